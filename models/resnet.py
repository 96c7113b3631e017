"""A residual network: each block learns a correction that is added to its input.

Shapes: `(B, C, H, W)` to `(B, K)`. Each stage after the first doubles the channels and halves the resolution, rounded
up.
Parameters: the default has 77,754 on MNIST. ResNet-18 as in torchvision (`num_stages=4`, `blocks_per_stage=2`,
`width=64`, `stem_stride=4`) has 11,689,512 on `(3, 224, 224)` with 1,000 classes. All stages have equally many blocks,
so ResNet-34 and deeper networks of table 1 cannot be built.
Source: He et al. 2016, "Deep Residual Learning for Image Recognition", figure 5, section 4.2 (CIFAR-10) and table 1
(ImageNet). Initial weights: He et al. 2015, section 2.2.
Differences: where shapes differ, the shortcut is a 1x1 convolution (option B; in the paper, ResNet-18 and the networks
for CIFAR-10 pad with zeros). A bottleneck has its stride in the 3x3 convolution, as in torchvision. The default
`stem_stride=2` is not in the paper. The output layer keeps PyTorch's initial weights.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with padding and without bias."""
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)


def shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """The identity, or a 1x1 convolution with batch norm if the shapes differ."""
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions: `(B, channels_in, H, W)` to `(B, channels, H/stride, W/stride)`."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, channels, stride)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm1(self.conv1(x)).relu()
        out = self.norm2(self.conv2(out))
        return (out + self.shortcut(x)).relu()


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions: `(B, channels_in, H, W)` to `(B, 4 * channels, H/stride, W/stride)`."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels_in, channels)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, 4 * channels)
        self.norm3 = nn.BatchNorm2d(4 * channels)
        self.shortcut = shortcut(channels_in, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm1(self.conv1(x)).relu()
        out = self.norm2(self.conv2(out)).relu()
        out = self.norm3(self.conv3(out))
        return (out + self.shortcut(x)).relu()


class PlainBlock(nn.Sequential):
    """A basic block without its shortcut, as in the plain networks of the paper."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__(
            conv3x3(channels_in, channels, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            conv3x3(channels, channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


BLOCKS: dict[str, Any] = {"basic": BasicBlock, "bottleneck": Bottleneck, "plain": PlainBlock}


class ResNet(BaseModel):
    """A stem, stages of residual blocks, global average pooling and an output layer.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: Number of classes, or of target dimensions.
        block: Kind of block: `basic`, `bottleneck`, or `plain` for a network without shortcuts.
        blocks_per_stage: Number of blocks per stage, n in section 4.2. With 3 stages, a network has 6n + 2 layers, or
            9n + 2 with bottlenecks.
        num_stages: Number of stages: 3 as for CIFAR-10, or 4 as for ImageNet.
        width: Channels of the first stage. A bottleneck outputs 4 times as many.
        stem_stride: Factor by which the stem reduces the resolution: 1 as for CIFAR-10, or 4 as for ImageNet (a 7x7
            convolution and max pooling, each with stride 2). With 2, the compute is a quarter of that with 1.
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
        block: Literal["basic", "bottleneck", "plain"] = "basic",
        blocks_per_stage: int = 1,
        num_stages: Literal[3, 4] = 3,
        width: int = 16,
        stem_stride: Literal[1, 2, 4] = 2,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        kernel_size, stride = (7, 2) if stem_stride == 4 else (3, stem_stride)
        self.stem = nn.Sequential(
            nn.Conv2d(input_shape[0], width, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        if stem_stride == 4:
            self.stem.append(nn.MaxPool2d(3, 2, padding=1))

        block_class = BLOCKS[block]
        channels_in = width
        self.stages = nn.Sequential()
        for stage in range(num_stages):
            channels = width * 2**stage
            blocks = nn.Sequential()
            for number in range(blocks_per_stage):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(block_class(channels_in, channels, stride))
                channels_in = channels * block_class.expansion
            self.stages.append(blocks)
        self.head = nn.Linear(channels_in, num_outputs)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    @property
    def depth(self) -> int:
        layers_per_block = 3 if self.hparams["block"] == "bottleneck" else 2
        return 1 + layers_per_block * int(self.hparams["num_stages"] * self.hparams["blocks_per_stage"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H', W')
        x = self.stages(x)  # (B, channels of the last stage, H'', W'')
        return self.head(x.mean(dim=(2, 3)))  # (B, K)
