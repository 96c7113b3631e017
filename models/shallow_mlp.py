"""One hidden layer: the baseline that every deeper network has to beat.

Shapes: `(B, *input_shape)` to `(B, K)`; the input is flattened.
Parameters: 784-128-10, the default on MNIST, has 101,770.
Source: Rumelhart, Hinton & Williams 1986; 784-100-10 on MNIST in Nielsen 2015, chapter 3.
Differences: ReLU and cross entropy instead of sigmoid units.
"""

import math
from typing import Any, Literal

from torch import Tensor, nn

from models.base import BaseModel

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "linear": nn.Identity,
}


class ShallowMLP(BaseModel):
    """input - hidden layer - output.

    Args:
        input_shape: shape of one sample, without the batch.
        num_outputs: classes, or target dimensions.
        hidden_size: units of the hidden layer.
        activation: of the hidden layer; `linear` makes the whole network linear.
        training: options of `BaseModel`.

    Raises:
        ValueError: for the task tagging.
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
        self.activation = ACTIVATIONS[activation]()
        self.head = nn.Linear(hidden_size, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.hidden(x.flatten(1)))  # (B, *input_shape) -> (B, hidden_size)
        return self.head(x)  # (B, K)
