"""The activation functions by name, each with the name of the gain that keeps the variance of its layer."""

from typing import Literal

from torch import nn

Gain = Literal["relu", "tanh", "sigmoid", "linear"]  # as `torch.nn.init.calculate_gain` calls them

ACTIVATIONS: dict[str, tuple[type[nn.Module], Gain]] = {
    "relu": (nn.ReLU, "relu"),
    "tanh": (nn.Tanh, "tanh"),
    "sigmoid": (nn.Sigmoid, "sigmoid"),
    "gelu": (nn.GELU, "relu"),
    "silu": (nn.SiLU, "relu"),
    "linear": (nn.Identity, "linear"),
}
