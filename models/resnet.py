"""A residual network for small images: three stages of blocks that each learn a correction to their input.

Shapes: `(B, C, H, W)` to `(B, K)`; the stages have `width`, 2x and 4x as many channels at 1/1, 1/2 and 1/4
of the stem's resolution.
Parameters: width 16 with one block a stage has 77,754 on MNIST.
Source: He et al. 2016, "Deep Residual Learning", section 4.2 (CIFAR-10).
Differences: a shortcut between stages is a 1x1 convolution (the paper's option B; for CIFAR-10 it pads with
zeros), and the stem may stride: by 2 it costs a quarter.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.base import BaseModel


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to the input: `(B, C, H, W)` to `(B, channels_out, H/stride, W/stride)`."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()  # the identity, where shapes allow it
        if stride != 1 or channels_in != channels_out:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return (residual + self.shortcut(x)).relu()


class ResNet(BaseModel):
    """stem - three stages of residual blocks - mean over the image - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        blocks_per_stage: n of the paper, whose networks have 6n + 2 layers.
        width: channels of the first stage.
        stem_stride: 1 as in the paper, or 2 to compute on a quarter of the pixels.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not images, and for the task tagging.
    """

    width_option = "width"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        blocks_per_stage: int = 1,
        width: int = 16,
        stem_stride: int = 2,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3:
            raise ValueError(
                f"ResNet takes images [C, H, W], not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        self.stem = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.stages = nn.Sequential()
        channels = width
        for stage in range(3):
            blocks = nn.Sequential()
            for block in range(blocks_per_stage):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(channels, width * 2**stage, stride))
                channels = width * 2**stage
            self.stages.append(blocks)
        self.head = nn.Linear(channels, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    @property
    def depth(self) -> int:
        return 1 + 6 * int(self.hparams["blocks_per_stage"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H', W')
        x = self.stages(x)  # (B, 4 * width, H'/4, W'/4)
        return self.head(x.mean(dim=(2, 3)))  # (B, K)
