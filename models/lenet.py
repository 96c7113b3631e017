"""LeNet-5: convolutions and pooling in turn, then fully connected layers, as it read bank cheques.

Shapes: `(B, C, H, W)` to `(B, K)`; images of 12 pixels a side or more.
Parameters: 61,706 on MNIST (28x28, padded to 32x32 as in the paper).
Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B and figure 2.
Differences: ReLU and max pooling for the scaled tanh and the trained averages; every map of the second convolution
sees all maps of the first, where the paper's see 3 to 6 of them (table I); a linear output for the
radial basis functions.
"""

from typing import Any

from torch import Tensor, nn

from models.base import BaseModel


class LeNet(BaseModel):
    """convolution 5x5 - pooling - convolution 5x5 - pooling - two hidden layers - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        width: maps of the first convolution; LeNet-5 has 6, then 16 maps, then layers of 120 and 84 units.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not images or too small, and for the task tagging.
    """

    width_option = "width"
    depth = 4

    def __init__(self, input_shape: list[int], num_outputs: int, width: int = 6, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3 or min(input_shape[1:]) < 12:
            raise ValueError(
                f"LeNet takes images [C, H, W] of 12 pixels a side or more, not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        channels, rows, columns = input_shape
        maps = 8 * width // 3
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(width, maps, 5), nn.ReLU(), nn.MaxPool2d(2)),
        )
        # the paper's third convolution covers all 5x5 places of its maps: a fully connected layer
        size = maps * ((rows // 2 - 4) // 2) * ((columns // 2 - 4) // 2)
        self.hidden = nn.Sequential(
            nn.Linear(size, 20 * width), nn.ReLU(), nn.Linear(20 * width, 14 * width), nn.ReLU()
        )
        self.head = nn.Linear(14 * width, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x)  # (B, C, H, W) -> (B, maps, H', W')
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
