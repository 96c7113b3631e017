"""VGG: stages of 3x3 convolutions that halve the resolution and double the channels.

Shapes: `(B, C, H, W)` to `(B, K)`. Small images work too, because a feature map of one pixel is not pooled.
Parameters: 132,863,336 (configuration A, "VGG-11") on `(3, 224, 224)` with 1,000 classes, as in torchvision. A with
width 16 has 1,768,778 on MNIST.
Source: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1
(A, B, D, E), sections 2 and 3.1.
Differences: batch norm as an option. The initial weights of the convolutions are those of He et al. 2015, section
2.2; the paper starts from a trained network A. The linear layers have PyTorch's initial weights.
"""

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel
from models.dry_run import output_shape

CONVOLUTIONS = {  # per stage
    "A": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "D": (2, 2, 3, 3, 3),
    "E": (2, 2, 4, 4, 4),
}


class Convolution(nn.Sequential):
    """3x3 convolution, optional batch norm, ReLU: `(B, C, H, W)` to `(B, channels_out, H, W)`."""

    def __init__(self, channels_in: int, channels_out: int, batch_norm: bool) -> None:
        convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, *([nn.BatchNorm2d(channels_out)] if batch_norm else []), nn.ReLU())


class VGG(BaseModel):
    """Five stages of convolutions and max pooling, two hidden layers and an output layer.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: Number of classes, or of target dimensions.
        configuration: Column of table 1. `A` has 11 weight layers, `B` 13, `D` 16, `E` 19.
        width: Channels of the first stage. The last two stages have 8 times as many. The hidden layers have 64 times as
            many units.
        batch_norm: Adds batch normalisation after each convolution.
        dropout: Fraction of units set to 0 in training, after each hidden layer.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not images, or the task is tagging.
    """

    takes = ("images",)
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
        self.stages = nn.Sequential()
        shape = input_shape
        for number, num_convolutions in enumerate(CONVOLUTIONS[configuration]):
            channels_in, channels = shape[0], width * min(2**number, 8)
            sizes = [channels_in] + [channels] * num_convolutions
            stage = nn.Sequential(*(Convolution(*pair, batch_norm) for pair in pairwise(sizes)))
            if min(shape[1:]) > 1:
                stage.append(nn.MaxPool2d(2))
            shape = output_shape(stage, shape)
            self.stages.append(stage)
        self.hidden = nn.Sequential(
            nn.Sequential(nn.Linear(math.prod(shape), 64 * width), nn.ReLU(), nn.Dropout(dropout)),
            nn.Sequential(nn.Linear(64 * width, 64 * width), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.head = nn.Linear(64 * width, num_outputs)
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    @property
    def depth(self) -> int:
        return sum(CONVOLUTIONS[self.hparams["configuration"]]) + len(self.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, 8 * width, H', W')
        return self.head(self.hidden(x.flatten(1)))  # (B, K)
