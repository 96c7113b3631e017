"""The learning rule of TensorFlow Playground, for comparison with the rules of this package.

Source: TensorFlow Playground (Smilkov et al. 2017), written from a description of its rule.
Differences: the examples of an update are computed together. This gives the same result, because the original changes
no weight between two updates.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

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
    if not 1 <= batch_size <= num_samples:
        raise ValueError(
            f"batch_size={batch_size} gives no update with {num_samples} training samples; "
            f"use batch_size=1 to {num_samples}"
        )
    return _batches(num_samples, batch_size)


def _batches(num_samples: int, batch_size: int) -> Iterator[tuple[Tensor, bool]]:
    full, *others = torch.arange(num_samples).split(batch_size)
    rest = others.pop() if num_samples % batch_size else full[:0]
    updates = [full, *others]
    while True:
        for index, update in enumerate(updates):
            yield update, index == len(updates) - 1
        updates[0] = torch.cat([rest, full])


class OriginalRule:
    """Gradient descent on half the squared error, followed by a step of regularisation.

    The step of regularisation uses the weights from before the gradient step, and leaves biases alone. If this step
    would change the sign of a weight with L1, the weight becomes 0 and is never updated again.

    Args:
        model: The network to train.
        regularization: Regularisation of the weights.
        rate: Regularisation rate. The step is `lr * rate * sign(weight)` with L1, `lr * rate * weight` with L2.
    """

    def __init__(self, model: nn.Module, regularization: Literal["none", "l1", "l2"] = "none", rate: float = 0.0):
        self.model = model
        self.regularization = regularization
        self.rate = rate
        self.is_dead: dict[Tensor, Tensor] = {
            module.weight: torch.zeros_like(module.weight, dtype=torch.bool)
            for module in model.modules()
            if isinstance(module, nn.Linear)
        }

    def step(self, inputs: Tensor, targets: Tensor, lr: float) -> Tensor:
        """Makes one update, and leaves its gradients in `grad`.

        Args:
            inputs: The examples `(B, num_inputs)` of the update.
            targets: `(B, 1)`, -1 or 1 for classification, the value for regression.
            lr: Learning rate.

        Returns:
            The mean loss of the examples before the update.
        """
        self.model.zero_grad()
        loss = 0.5 * (self.model(inputs) - targets).square().mean()
        loss.backward()
        for parameter in self.model.parameters():
            assert parameter.grad is not None
            self.update(parameter, parameter.grad, lr)
        return loss.detach()

    @torch.no_grad()
    def update(self, parameter: Tensor, gradient: Tensor, lr: float) -> None:
        descended = parameter - lr * gradient
        is_dead = self.is_dead.get(parameter)
        if is_dead is None:  # a bias
            parameter.copy_(descended)
            return
        if self.regularization == "l1":
            updated = descended - lr * self.rate * parameter.sign()
            dies = descended * updated < 0
            updated = torch.where(dies, 0, updated)
            updated = torch.where(is_dead, parameter, updated)
            is_dead |= dies
        elif self.regularization == "l2":
            updated = descended - lr * self.rate * parameter
        else:
            updated = descended
        parameter.copy_(updated)
