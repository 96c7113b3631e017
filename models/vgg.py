"""VGG: nothing but 3x3 convolutions, in stages that halve the image and double the channels.

Shapes: `(B, C, H, W)` to `(B, K)`; images of any size: pooling stops where one place is left.
Parameters: 132,863,336 (A, "VGG-11") for `(3, 224, 224)` and 1,000 classes; A of width 16 has 1,768,778 on MNIST.
Source: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks", table 1 (A, B, D, E), sections 2 and 3.1;
initial weights of the convolutions: He et al. 2015, section 2.2, for the paper's pretraining with A.
Differences: batch norm as an option, which the paper did not have; PyTorch's initial weights of the linear layers.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel

CONVOLUTIONS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}  # a stage


class Convolution(nn.Sequential):
    """3x3 convolution, batch norm if wanted, ReLU: `(B, C, H, W)` to `(B, channels_out, H, W)`."""

    def __init__(self, channels_in: int, channels_out: int, batch_norm: bool) -> None:
        convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution)
        if batch_norm:
            self.append(nn.BatchNorm2d(channels_out))
        self.append(nn.ReLU())


class VGG(BaseModel):
    """five stages of convolutions and pooling - two hidden layers - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        configuration: column of the paper's table 1: `A` has 11 weight layers, `B` 13, `D` 16, `E` 19.
        width: channels of the first stage; the last two have 8 times as many, the hidden layers 64 times.
        batch_norm: normalise after each convolution.
        dropout: share of units set to 0 in training, after each hidden layer.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not images, and for the task tagging.
    """

    width_option = "width"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        configuration: Literal["A", "B", "D", "E"] = "A",
        width: int = 64,
        batch_norm: bool = False,
        dropout: float = 0.5,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3:
            raise ValueError(
                f"VGG takes images [C, H, W], not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        self.stages = nn.Sequential()
        channels, places = input_shape[0], input_shape[1:]
        for number, num_convolutions in enumerate(CONVOLUTIONS[configuration]):
            stage = nn.Sequential()
            for _ in range(num_convolutions):
                channels_out = width * min(2**number, 8)
                stage.append(Convolution(channels, channels_out, batch_norm))
                channels = channels_out
            if min(places) > 1:
                stage.append(nn.MaxPool2d(2))
                places = [side // 2 for side in places]
            self.stages.append(stage)
        rows, columns = (min(7, side) for side in places)
        self.pool = nn.AdaptiveAvgPool2d((rows, columns))
        size = channels * rows * columns
        self.hidden = nn.Sequential(
            nn.Sequential(nn.Linear(size, 64 * width), nn.ReLU(), nn.Dropout(dropout)),
            nn.Sequential(nn.Linear(64 * width, 64 * width), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.head = nn.Linear(64 * width, num_outputs)
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    @property
    def depth(self) -> int:
        return sum(CONVOLUTIONS[self.hparams["configuration"]]) + len(self.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, 8 * width, H', W')
        return self.head(self.hidden(self.pool(x).flatten(1)))  # (B, K)
