"""Multilayer perceptron with one hidden layer, the baseline for every deeper network.

Shapes: `(B, *input_shape)` to `(B, K)`. The input is flattened.
Parameters: 784-128-10, the default on MNIST, has 101,770.
Source: Rumelhart, Hinton & Williams 1986; 784-100-10 on MNIST in Nielsen 2015, chapter 3.
Differences: ReLU and cross entropy instead of sigmoid units.
"""

import math
from typing import Any, Literal

from torch import Tensor, nn

from models.activations import ACTIVATIONS
from models.base import BaseModel


class ShallowMLP(BaseModel):
    """A hidden layer and an output layer.

    Args:
        input_shape: Shape of one sample, without the batch dimension.
        num_outputs: Number of classes, or of target dimensions.
        hidden_size: Units of the hidden layer.
        activation: Activation function of the hidden layer. With `linear`, the whole network is linear.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the task is tagging.
    """

    width_option = "hidden_size"
    depth = 1

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        hidden_size: int = 128,
        activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "linear"] = "relu",
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.hidden = nn.Linear(math.prod(input_shape), hidden_size)
        make_activation, _ = ACTIVATIONS[activation]
        self.activation = make_activation()
        self.head = nn.Linear(hidden_size, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.hidden(x.flatten(1)))  # (B, *input_shape) -> (B, hidden_size)
        return self.head(x)  # (B, K)
