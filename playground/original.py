"""The learning rule of TensorFlow Playground, for comparison with the rule of this package.

Source: TensorFlow Playground (Smilkov et al. 2017), written from a description of its rule.
Differences: the examples of an update are computed together. The result is the same, because the original changes no
weight between two updates.
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from models.activations import ACTIVATIONS


class OriginalMLP(nn.Module):
    """Multilayer perceptron with one output: `(B, num_inputs)` to `(B, 1)`.

    Weights are uniform in (-0.5, 0.5) at first, and biases are 0.1. The output is linear for regression. Otherwise its
    activation function is tanh, for the classes -1 and 1.
    """

    def __init__(self, num_inputs: int, layers: list[int], activation: str, is_regression: bool) -> None:
        super().__init__()
        make_activation, _ = ACTIVATIONS[activation]
        sizes = [num_inputs, *layers]
        hidden = (nn.Sequential(nn.Linear(*pair), make_activation()) for pair in pairwise(sizes))
        self.blocks = nn.Sequential(*hidden)
        self.head = nn.Linear(sizes[-1], 1)
        self.output_activation = nn.Identity() if is_regression else nn.Tanh()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -0.5, 0.5)
                nn.init.constant_(module.bias, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_activation(self.head(self.blocks(x)))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Half the mean squared error. Targets are classes `(B,)` or values `(B, 1)`."""
        return F.mse_loss(outputs, to_values(targets)) / 2

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        inputs, targets = batch
        return self.loss(self(inputs), targets)


def to_values(targets: Tensor) -> Tensor:
    """Classes 0 and 1 `(B,)` as -1 and 1 `(B, 1)`. Values stay as they are."""
    return targets if targets.is_floating_point() else 2.0 * targets[:, None] - 1


def batches(num_samples: int, batch_size: int, epoch: int) -> list[Tensor]:
    """The indices of the examples of each update in an epoch.

    The order is always the same. Examples that do not fill a batch at the end of an epoch join the first update of the
    next one.
    """
    filled = torch.arange(num_samples - num_samples % batch_size)
    updates = list(filled.split(batch_size))
    if epoch > 0:
        updates[0] = torch.cat([torch.arange(len(filled), num_samples), updates[0]])
    return updates


class OriginalSGD(Optimizer):
    """Gradient descent, followed by a step of regularisation.

    The step of regularisation is `lr * rate * sign(weight)` with L1, and `lr * rate * weight` with L2. It uses the
    weights from before the gradient step, and leaves biases alone. If it would change the sign of a weight with L1, the
    weight becomes 0 and is never updated again.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, regularization: str = "none", rate: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "regularization": regularization, "rate": rate})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure
        for group in self.param_groups:
            lr, rate = group["lr"], group["rate"]
            for parameter in group["params"]:
                regularization = group["regularization"] if parameter.ndim == 2 else "none"  # not of biases
                updated = parameter - lr * parameter.grad
                if regularization == "l2":
                    updated -= lr * rate * parameter
                elif regularization == "l1":
                    is_dead = self.state[parameter].setdefault("is_dead", torch.zeros_like(parameter, dtype=torch.bool))
                    shrunk = updated - lr * rate * parameter.sign()
                    dies = updated * shrunk < 0
                    updated = torch.where(is_dead, parameter, shrunk.masked_fill(dies, 0))
                    is_dead |= dies
                parameter.copy_(updated)
