"""Linear model without hidden layers, the baseline for every other network.

Shapes: `(B, *input_shape)` to `(B, K)`. The input is flattened.
Parameters: 784-10, on MNIST, has 7,850.
Source: logistic regression (Cox 1958, two classes). LeCun et al. 1998 report an error of 12.0 % on MNIST.
Differences: cross entropy as the loss. LeCun et al. use the squared error.
"""

import math
from typing import Any

from torch import Tensor, nn

from models.base import BaseModel


class Linear(BaseModel):
    """One linear layer. It has no width option.

    Args:
        input_shape: Shape of one sample, without the batch dimension.
        num_outputs: Number of classes, or of target dimensions.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the task is tagging.
    """

    width_option = None
    depth = 0

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.head = nn.Linear(math.prod(input_shape), num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))  # (B, *input_shape) -> (B, K)
