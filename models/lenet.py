"""LeNet-5: convolution and pooling in turn, then fully connected layers.

Shapes: `(B, C, H, W)` to `(B, K)`. Images need at least 12 pixels per side.
Parameters: 61,706 on MNIST (28x28, padded to 32x32 as in the paper).
Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B and figure 2.
Differences: ReLU and max pooling, where the paper has a scaled tanh and averages with trained weights. Every map of the
second convolution takes all maps of the first (the paper: 3 to 6 of them, table I). The output is linear (the paper:
radial basis functions).
"""

import math
from typing import Any

from torch import Tensor, nn

from models.base import BaseModel
from models.dry_run import output_shape


class LeNet(BaseModel):
    """convolution - pooling - convolution - pooling - two hidden layers - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: Number of classes, or of target dimensions.
        width: Maps of the first convolution. LeNet-5 has 6, then 16 maps, then hidden layers of 120 and 84 units.
        training: Options of `BaseModel`.

    Raises:
        ValueError: the inputs are not images or too small, or the task is tagging.
    """

    takes = ("images",)
    width_option = "width"
    depth = 4

    def __init__(self, input_shape: list[int], num_outputs: int, width: int = 6, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        maps = 8 * width // 3
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv2d(input_shape[0], width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(width, maps, 5), nn.ReLU(), nn.MaxPool2d(2)),
        )
        # the paper's third convolution covers its whole input, so it is a fully connected layer
        size = math.prod(output_shape(self.stages, input_shape))
        self.hidden = nn.Sequential(
            nn.Linear(size, 20 * width), nn.ReLU(), nn.Linear(20 * width, 14 * width), nn.ReLU()
        )
        self.head = nn.Linear(14 * width, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x)  # (B, C, H, W) -> (B, maps, H', W')
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
