"""Three convolutions, shrunk right after the first: 99 % of MNIST in one epoch, in seconds on a CPU.

Shapes: `(B, C, H, W)` to `(B, K)`; images of 19 pixels a side or more.
Parameters: 33,914 on MNIST.
Source: the one-epoch network of the repository tuomaso/train_mnist_fast, two convolutions with pooling and two layers;
pooling before the norm as in KellerJordan/cifar10-airbench.
Differences: pooling by 3, so that all that follows has 8x8 pixels or fewer; a third convolution in place of the hidden
layer; batch norm; 16, 32 and 64 channels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.base import BaseModel


class FastCNN(BaseModel):
    """stem of a 5x5 convolution and pooling - two 3x3 convolutions - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        width: channels of the stem; the convolutions after it have twice and four times as many.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not images or too small, and for the task tagging.
    """

    width_option = "width"
    depth = 3

    def __init__(self, input_shape: list[int], num_outputs: int, width: int = 16, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3 or min(input_shape[1:]) < 19:
            raise ValueError(
                f"FastCNN takes images [C, H, W] of 19 pixels a side or more, not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        self.stem = nn.Sequential(  # the norm after pooling, where it has a ninth of the pixels to go through
            nn.Conv2d(input_shape[0], width, 5, bias=False), nn.MaxPool2d(3), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(width, 2 * width, 3, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()),
            nn.Sequential(nn.Conv2d(2 * width, 4 * width, 3, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU()),
        )
        rows, columns = ((side - 4) // 3 - 4 for side in input_shape[1:])  # of the last map
        self.head = nn.Linear(4 * width * rows * columns, num_outputs)
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H/3, W/3)
        return self.head(self.blocks(x).flatten(1))  # (B, K)
