"""LeNet-5: two convolutions, each followed by pooling, then three fully connected layers.

Shapes: `(B, C, H, W)` to `(B, K)`. Images need at least 12 pixels per side. 28x28 gives the map sizes of the paper,
which pads MNIST to 32x32.
Parameters: 61,706 on MNIST.
Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B and figure 2.
Differences: ReLU instead of a scaled tanh. Max pooling instead of average pooling with a trainable coefficient, a bias
and a sigmoid per map. Each map of the second convolution is connected to all maps of the first (the paper: 3, 4 or 6,
table I). A linear output instead of radial basis functions.
"""

import math
from typing import Any

from torch import Tensor, nn

from models.base import BaseModel
from models.dry_run import output_shape


class LeNet(BaseModel):
    """Two stages of convolution and max pooling, two hidden layers and an output layer.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: Number of classes, or of target dimensions.
        width: Feature maps of the first convolution. All layers scale with it.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not images or too small, or the task is tagging.
    """

    takes = ("images",)
    width_option = "width"
    depth = 4

    def __init__(self, input_shape: list[int], num_outputs: int, width: int = 6, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        c1, c3, c5, f6 = width, width * 16 // 6, width * 20, width * 14  # 6, 16, 120, 84, named as in figure 2
        self.stages = nn.Sequential(
            # (B, 1, 28, 28) -> (B, 6, 14, 14) -> (B, 16, 5, 5) on MNIST
            nn.Sequential(nn.Conv2d(input_shape[0], c1, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(c1, c3, 5), nn.ReLU(), nn.MaxPool2d(2)),
        )
        size = math.prod(output_shape(self.stages, input_shape))  # 16 * 5 * 5 on MNIST
        self.hidden = nn.Sequential(
            nn.Linear(size, c5),  # on 5x5 maps, the paper's 5x5 convolution is a fully connected layer
            nn.ReLU(),
            nn.Linear(c5, f6),
            nn.ReLU(),
        )
        self.head = nn.Linear(f6, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x)  # (B, C, H, W) -> (B, 16, 5, 5) on MNIST
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
