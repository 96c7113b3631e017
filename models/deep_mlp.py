"""Multilayer perceptron with any number of hidden layers.

Shapes: `(B, *input_shape)` to `(B, K)`. The input is flattened.
Parameters: 784-256-256-256-10 has 335,114. Batch norm adds 512 per hidden layer of 256 units.
Source: initial weights: He et al. 2015, section 2.2, with PyTorch's gains for tanh (5/3), sigmoid and linear (1).
Batch norm: Ioffe & Szegedy 2015. Dropout: Srivastava et al. 2014. Noise: Rasmus et al. 2015, the noisy encoder only.
Differences: no max-norm constraint. The noise is added after the scale and shift of batch norm, and not to the logits.
"""

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.activations import ACTIVATIONS
from models.base import BaseModel


class GaussianNoise(nn.Module):
    """Adds Gaussian noise with standard deviation `std` in training. Does nothing in evaluation."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x


class DeepMLP(BaseModel):
    """`num_layers` hidden layers and an output layer.

    Each hidden layer is: linear, batch norm, noise, activation, dropout.

    Args:
        input_shape: Shape of one sample, without the batch dimension.
        num_outputs: Number of classes, or of target dimensions.
        hidden_size: Units per hidden layer: one number for all of them, or a list with one number for each.
        num_layers: Number of hidden layers.
        activation: Activation function of the hidden layers.
        batch_norm: Adds batch normalisation before each activation.
        dropout: Fraction of hidden units set to 0 in training.
        noise: Standard deviation of the Gaussian noise added to the input and to every pre-activation in training.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the task is tagging, or `hidden_size` is a list of another length than `num_layers`.
    """

    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        hidden_size: int | list[int] = 256,
        num_layers: int = 3,
        activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "linear"] = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        noise: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        make_activation, gain_name = ACTIVATIONS[activation]
        hidden_sizes = hidden_size if isinstance(hidden_size, list) else num_layers * [hidden_size]
        if len(hidden_sizes) != num_layers:
            raise ValueError(
                f"hidden_size={hidden_size} has {len(hidden_sizes)} numbers for num_layers={num_layers}; "
                "use one number for each hidden layer"
            )
        sizes = [math.prod(input_shape), *hidden_sizes]
        self.blocks = nn.Sequential()
        for size_in, size_out in pairwise(sizes):
            linear = nn.Linear(size_in, size_out)
            nn.init.kaiming_normal_(linear.weight, nonlinearity=gain_name)
            nn.init.zeros_(linear.bias)
            norm = [nn.BatchNorm1d(size_out)] if batch_norm else []
            layers = [linear, *norm, make_activation(), nn.Dropout(dropout)]
            if noise:
                layers.insert(-2, GaussianNoise(noise))
                if len(self.blocks) == 0:
                    layers.insert(0, GaussianNoise(noise))
            self.blocks.append(nn.Sequential(*layers))
        self.head = nn.Linear(sizes[-1], num_outputs)

    @property
    def depth(self) -> int:
        return len(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x.flatten(1))  # (B, *input_shape) -> (B, hidden_size)
        return self.head(x)  # (B, K)
