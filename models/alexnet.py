"""AlexNet: five convolutions and two wide hidden layers with dropout.

Shapes: `(B, C, H, W)` to `(B, K)`. Images need at least 15 pixels per side.
Parameters: 61,100,840 on `(3, 224, 224)` with 1,000 classes, as in torchvision. Width 16 has 1,476,538 on MNIST.
Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", footnote 1 (one tower).
The network of Krizhevsky, Sutskever & Hinton 2012 has two towers on two GPUs, with 96, 256, 384, 384 and 256 channels
in all, and local response normalisation after the first two convolutions.
Differences: as in torchvision, there is no local response normalisation, dropout comes before the hidden layers, and
the initial weights are PyTorch's. On images below 64 pixels per side, the first convolution is 5x5 with stride 1.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from models.base import BaseModel
from models.dry_run import output_shape


class AlexNet(BaseModel):
    """Five convolutions with max pooling after the first, second and last, two hidden layers and an output layer.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: Number of classes, or of target dimensions.
        width: Channels of the first convolution. The others have 3, 6, 4 and 4 times as many. The hidden layers have
            64 times as many units.
        dropout: Fraction of units set to 0 in training, before each hidden layer.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not images or too small, or the task is tagging.
    """

    takes = ("images",)
    width_option = "width"
    depth = 7

    def __init__(
        self, input_shape: list[int], num_outputs: int, width: int = 64, dropout: float = 0.5, **training: Any
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        kernel_size, stride = (11, 4) if min(input_shape[1:]) >= 64 else (5, 1)
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, kernel_size, stride, padding=2), nn.ReLU())
        self.blocks = nn.Sequential(
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(width, 3 * width, 5, padding=2), nn.ReLU()),
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(3 * width, 6 * width, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6 * width, 4 * width, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        size = math.prod(output_shape(nn.Sequential(self.stem, self.blocks), input_shape))
        self.hidden = nn.Sequential(
            nn.Sequential(nn.Dropout(dropout), nn.Linear(size, 64 * width), nn.ReLU()),
            nn.Sequential(nn.Dropout(dropout), nn.Linear(64 * width, 64 * width), nn.ReLU()),
        )
        self.head = nn.Linear(64 * width, num_outputs)
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H', W')
        x = self.blocks(x)  # (B, 4 * width, H'', W''), 6x6 for 224x224
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
