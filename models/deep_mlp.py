"""A plain stack of hidden layers: what depth alone brings, and where it stops to help.

Shapes: `(B, *input_shape)` to `(B, K)`; the input is flattened.
Parameters: 784-256-256-256-10 has 335,114; batch norm adds 512 a hidden layer of 256.
Source: initial weights: He et al. 2015, section 2.2, with PyTorch's gains for tanh (5/3), sigmoid and linear (1);
batch norm: Ioffe & Szegedy 2015; dropout: Srivastava et al. 2014; noise: Rasmus et al. 2015, the encoder without its
decoder.
Differences: no max-norm constraint; noise comes after the scale and shift of batch norm, and none on the logits.
"""

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel

# the layer, and the name under which PyTorch knows the gain that keeps its variance
Gain = Literal["relu", "tanh", "sigmoid", "linear"]
ACTIVATIONS: dict[str, tuple[type[nn.Module], Gain]] = {
    "relu": (nn.ReLU, "relu"),
    "tanh": (nn.Tanh, "tanh"),
    "sigmoid": (nn.Sigmoid, "sigmoid"),
    "gelu": (nn.GELU, "relu"),
    "silu": (nn.SiLU, "relu"),
    "linear": (nn.Identity, "linear"),
}


class GaussianNoise(nn.Module):
    """Adds noise of this standard deviation in training; the shape stays."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x


class DeepMLP(BaseModel):
    """input - `num_layers` hidden layers - output; a layer is linear, norm, noise, activation, dropout.

    Args:
        input_shape: shape of one sample, without the batch.
        num_outputs: classes, or target dimensions.
        hidden_size: units of each hidden layer.
        num_layers: hidden layers; 1 is a shallow network.
        activation: of the hidden layers.
        batch_norm: normalises each hidden layer before its activation.
        dropout: share of hidden units set to 0 in training.
        noise: standard deviation of what is added in training to the input and to each layer before its activation.
        training: options of `BaseModel`.

    Raises:
        ValueError: for the task tagging.
    """

    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        hidden_size: int = 256,
        num_layers: int = 3,
        activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "linear"] = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        noise: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        make_activation, gain_name = ACTIVATIONS[activation]
        sizes = [math.prod(input_shape)] + num_layers * [hidden_size]
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
