"""AlexNet: five convolutions with ever smaller kernels, and two wide hidden layers with dropout.

Shapes: `(B, C, H, W)` to `(B, K)`; images of 15 pixels a side or more.
Parameters: 61,100,840 for `(3, 224, 224)` and 1,000 classes, as torchvision's; width 16 has 1,476,538 on MNIST.
Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", footnote 1: one tower.
The network of 2012 (Krizhevsky, Sutskever & Hinton) has two towers on two GPUs that meet only in some layers, with
96, 256, 384, 384 and 256 channels in all, and local response normalisation after the first two.
Differences: as torchvision's, no local response normalisation, dropout before the hidden layers instead of after, and
PyTorch's initial weights; on images of less than 64 pixels a side, the stem has 5x5 kernels and does not stride.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.base import BaseModel


class AlexNet(BaseModel):
    """stem - pooling - four convolutions with pooling after the first and the last - two hidden layers - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        width: channels of the stem; the convolutions have 3, 6, 4 and 4 times as many, the hidden layers 64 times.
        dropout: share of units set to 0 in training, before each hidden layer.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not images or too small, and for the task tagging.
    """

    width_option = "width"
    depth = 7

    def __init__(
        self, input_shape: list[int], num_outputs: int, width: int = 64, dropout: float = 0.5, **training: Any
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3 or min(input_shape[1:]) < 15:
            raise ValueError(
                f"AlexNet takes images [C, H, W] of 15 pixels a side or more, not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        is_small = min(input_shape[1:]) < 64
        kernel, stride = (5, 1) if is_small else (11, 4)
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, kernel, stride, padding=2), nn.ReLU())
        self.blocks = nn.Sequential(
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(width, 3 * width, 5, padding=2), nn.ReLU()),
            nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(3 * width, 6 * width, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6 * width, 4 * width, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        places = [side if is_small else (side - 7) // 4 + 1 for side in input_shape[1:]]
        for _ in range(3):
            places = [(side - 3) // 2 + 1 for side in places]
        rows, columns = (min(6, side) for side in places)
        self.pool = nn.AdaptiveAvgPool2d((rows, columns))
        size = 4 * width * rows * columns
        self.hidden = nn.Sequential(
            nn.Sequential(nn.Dropout(dropout), nn.Linear(size, 64 * width), nn.ReLU()),
            nn.Sequential(nn.Dropout(dropout), nn.Linear(64 * width, 64 * width), nn.ReLU()),
        )
        self.head = nn.Linear(64 * width, num_outputs)
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H', W')
        x = self.pool(self.blocks(x))  # (B, 4 * width, 6, 6), or fewer places of a small image
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
