"""The learning rule of TensorFlow Playground, for comparison with the rules of this package.

Source: TensorFlow Playground (Smilkov et al. 2017), written from a description of its rule.
Differences: the examples of an update are computed together. This gives the same result, because the original changes
no weight between two updates.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models.activations import ACTIVATIONS


class OriginalMLP(nn.Module):
    """Multilayer perceptron with one output: `(B, num_inputs)` to `(B, 1)`.

    Weights are uniform in (-0.5, 0.5) at first, and biases are 0.1.

    Args:
        num_inputs: Number of inputs.
        layers: Units of each hidden layer.
        activation: Activation function of the hidden layers.
        is_regression: Makes the output linear. Otherwise its activation function is tanh, for the classes -1 and 1.
    """

    def __init__(
        self,
        num_inputs: int,
        layers: list[int],
        activation: Literal["relu", "tanh", "sigmoid", "linear"],
        is_regression: bool,
    ) -> None:
        super().__init__()
        make_activation, _ = ACTIVATIONS[activation]
        sizes = [num_inputs, *layers]
        self.blocks = nn.Sequential()
        for size_in, size_out in pairwise(sizes):
            self.blocks.append(nn.Sequential(nn.Linear(size_in, size_out), make_activation()))
        self.head = nn.Linear(sizes[-1], 1)
        self.output_activation = nn.Identity() if is_regression else nn.Tanh()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -0.5, 0.5)
                nn.init.constant_(module.bias, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_activation(self.head(self.blocks(x)))


def batches(num_samples: int, batch_size: int) -> Iterator[tuple[Tensor, bool]]:
    """The indices of the examples of each update, and whether the update is the last one of its epoch. Never ends.

    The order of the examples is the same in every epoch. Examples that do not fill a batch at the end of an epoch join
    the first update of the next epoch, which is then larger.

    Raises:
        ValueError: If the examples do not fill a batch.
    """
    if batch_size > num_samples:
        raise ValueError(
            f"batch_size={batch_size} gives no update with {num_samples} training samples; "
            f"use batch_size=1 to {num_samples}"
        )
    num_updates = num_samples // batch_size
    *updates, rest = torch.arange(num_samples).tensor_split(batch_size * torch.arange(1, num_updates + 1))
    first_again = torch.cat([rest, updates[0]])
    while True:
        for number, update in enumerate(updates, start=1):
            yield update, number == num_updates
        updates[0] = first_again


class OriginalSGD(Optimizer):
    """Gradient descent, followed by a step of regularisation.

    The step of regularisation uses the weights from before the gradient step, and leaves biases alone. If this step
    would change the sign of a weight with L1, the weight becomes 0 and is never updated again.

    Args:
        parameters: The weights and biases to train.
        lr: Learning rate.
        regularization: Regularisation of the weights.
        rate: Regularisation rate. The step is `lr * rate * sign(weight)` with L1, `lr * rate * weight` with L2.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        regularization: Literal["none", "l1", "l2"] = "none",
        rate: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "regularization": regularization, "rate": rate})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure
        for group in self.param_groups:
            lr, rate = group["lr"], group["rate"]
            for parameter in group["params"]:
                updated = parameter - lr * parameter.grad
                is_weight = parameter.ndim == 2
                if is_weight and group["regularization"] == "l2":
                    updated -= lr * rate * parameter
                elif is_weight and group["regularization"] == "l1":
                    updated = self.shrink(parameter, updated, lr * rate)
                parameter.copy_(updated)

    def shrink(self, weight: Tensor, descended: Tensor, amount: float) -> Tensor:
        """The weights after the step of L1. A weight that would change its sign dies."""
        is_dead = self.state[weight].setdefault("is_dead", torch.zeros_like(weight, dtype=torch.bool))
        updated = descended - amount * weight.sign()
        dies = descended * updated < 0
        updated = torch.where(is_dead, weight, updated.masked_fill(dies, 0))
        is_dead |= dies
        return updated
