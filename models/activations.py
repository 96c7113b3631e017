"""Activation functions by name, each with the gain of its initial weights."""

from typing import Literal

from torch import nn

Gain = Literal["relu", "tanh", "sigmoid", "linear"]  # names of `torch.nn.init.calculate_gain`

ACTIVATIONS: dict[str, tuple[type[nn.Module], Gain]] = {
    "relu": (nn.ReLU, "relu"),
    "tanh": (nn.Tanh, "tanh"),
    "sigmoid": (nn.Sigmoid, "sigmoid"),
    "gelu": (nn.GELU, "relu"),
    "silu": (nn.SiLU, "relu"),
    "linear": (nn.Identity, "linear"),
}
