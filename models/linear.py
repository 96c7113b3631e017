"""No hidden layer: the baseline of every table, and what depth and nonlinearity have to beat.

Shapes: `(B, *input_shape)` to `(B, K)`; the input is flattened.
Parameters: 784-10, on MNIST, has 7,850.
Source: logistic regression, Cox 1958 (of two classes); 12.0 % error on MNIST in LeCun et al. 1998.
Differences: trained by the optimizer that all models here share, on cross entropy (LeCun: squared error).
"""

import math
from typing import Any

from torch import Tensor, nn

from models.base import BaseModel


class Linear(BaseModel):
    """input - output. It has no width: `compare.py --match` leaves it as it is.

    Args:
        input_shape: shape of one sample, without the batch.
        num_outputs: classes, or target dimensions.
        training: options of `BaseModel`.

    Raises:
        ValueError: for the task tagging.
    """

    width_option = None
    depth = 0

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.head = nn.Linear(math.prod(input_shape), num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))  # (B, *input_shape) -> (B, K)
