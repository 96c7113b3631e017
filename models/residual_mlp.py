"""Multilayer perceptron with residual connections, so that networks with many hidden layers can be trained.

Shapes: `(B, *input_shape)` to `(B, K)`. The input is flattened.
Parameters: 784-64, 49 blocks of 64, 64-10 (50 layers) has 254,779, including one scale per block.
Source: residual connections: He et al. 2016. Scales that start at 0: Bachlechner et al. 2021 (ReZero), section 3.
Initial weights: He et al. 2015, section 2.2, with PyTorch's gains for tanh (5/3), sigmoid and linear (1).
Differences: one weight layer per block, so that `num_layers` means the same as in `DeepMLP`. No normalisation.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.activations import ACTIVATIONS
from models.base import BaseModel


class HiddenLayer(nn.Sequential):
    """Linear, activation, dropout: `(B, size_in)` to `(B, size_out)`."""

    def __init__(self, size_in: int, size_out: int, activation: str, dropout: float) -> None:
        make_activation, gain_name = ACTIVATIONS[activation]
        linear = nn.Linear(size_in, size_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity=gain_name)
        nn.init.zeros_(linear.bias)
        super().__init__(linear, make_activation(), *([nn.Dropout(dropout)] if dropout else []))


class ResidualBlock(nn.Module):
    """`x + scale * layer(x)`, with a scale that is learned and starts at 0: `(B, size)` to `(B, size)`."""

    def __init__(self, size: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.layer = HiddenLayer(size, size, activation, dropout)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.layer(x)


class ResidualMLP(BaseModel):
    """A hidden layer, `num_layers - 1` residual blocks and an output layer.

    Args:
        input_shape: Shape of one sample, without the batch dimension.
        num_outputs: Number of classes, or of target dimensions.
        hidden_size: Units per hidden layer.
        num_layers: Number of hidden layers. The first has no residual connection.
        activation: Activation function of the hidden layers.
        dropout: Fraction of hidden units set to 0 in training.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the task is tagging.
    """

    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        hidden_size: int = 64,
        num_layers: int = 50,
        activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "linear"] = "relu",
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.stem = HiddenLayer(math.prod(input_shape), hidden_size, activation, dropout)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden_size, activation, dropout) for _ in range(num_layers - 1)))
        self.head = nn.Linear(hidden_size, num_outputs)

    @property
    def depth(self) -> int:
        return 1 + len(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1))  # (B, *input_shape) -> (B, hidden_size)
        return self.head(self.blocks(x))  # (B, K)
