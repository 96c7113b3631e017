"""A residual network: stages of blocks that each learn a correction to their input.

Shapes: `(B, C, H, W)` to `(B, K)`; each stage has twice the channels of the one before at half of its resolution.
Parameters: width 16 with one block a stage has 77,754 on MNIST; ResNet-18 (`num_stages` 4, `blocks_per_stage` 2,
`width` 64, `stem_stride` 4) 11,689,512 for `(3, 224, 224)` and 1,000 classes.
Source: He et al. 2016a, "Deep Residual Learning", section 4.2 (CIFAR-10) and table 1 (ImageNet); pre-activation:
He et al. 2016b, "Identity Mappings in Deep Residual Networks", figure 4e; initial weights: He et al. 2015, section 2.2.
Differences: a shortcut between stages is a 1x1 convolution (the paper's option B; for CIFAR-10 it pads with zeros); a
bottleneck strides in its 3x3 convolution; the stem may stride: by 2 it costs a quarter; in pre-activation, the
shortcut of a first block that needs no convolution takes the stem's output without norm and ReLU.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel


class ResidualBlock(nn.Module):
    """Convolutions added to the input: `(B, C, H, W)` to `(B, channels_out, H/stride, W/stride)`.

    Two of 3x3, or as a bottleneck 1x1, 3x3 and 1x1, the first two with a quarter of the channels. ReLU and norm come
    after the convolutions or, in pre-activation, before them, so that nothing changes what goes from block to block;
    where shapes differ, the first norm and ReLU come before the shortcut's convolution too.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int = 1,
        bottleneck: bool = False,
        pre_activation: bool = False,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        inner = channels_out // 4 if bottleneck else channels_out
        kernels, sizes = ((1, 3, 1), (inner, inner, channels_out)) if bottleneck else ((3, 3), (inner, channels_out))
        self.layers = nn.Sequential()
        size_in = channels_in
        for number, (kernel, size) in enumerate(zip(kernels, sizes, strict=True)):
            is_strided = number == len(kernels) - 2
            convolution = nn.Conv2d(size_in, size, kernel, stride if is_strided else 1, padding=kernel // 2, bias=False)
            if pre_activation:
                self.layers.extend([nn.BatchNorm2d(size_in), nn.ReLU(), convolution])
            else:
                self.layers.extend([convolution, nn.BatchNorm2d(size), nn.ReLU()])
            size_in = size
        if not pre_activation:
            del self.layers[-1]  # its ReLU comes after the sum
        self.activation = nn.Identity() if pre_activation else nn.ReLU()
        self.has_shortcut = shortcut
        self.before = nn.Sequential()  # norm and ReLU that layers and shortcut share
        self.shortcut = nn.Sequential()  # the identity, where shapes allow it
        if shortcut and (stride != 1 or channels_in != channels_out):
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False))
            if pre_activation:
                self.before, self.layers = self.layers[:2], self.layers[2:]
            else:
                self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        residual = self.layers(x)
        return self.activation(residual + self.shortcut(x) if self.has_shortcut else residual)


class ResNet(BaseModel):
    """stem - stages of residual blocks - mean over the image - output.

    Args:
        input_shape: `[C, H, W]`.
        num_outputs: classes, or target dimensions.
        blocks_per_stage: n of the paper, whose networks for CIFAR-10 have 6n + 2 layers (9n + 2 with bottlenecks).
        num_stages: 3 as for CIFAR-10, or 4 as for ImageNet.
        width: channels of the first stage, within its bottlenecks if it has them.
        stem_stride: 1 as for CIFAR-10; 2 to compute on a quarter of the pixels; 4 as for ImageNet, by a 7x7
            convolution and pooling.
        bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions.
        pre_activation: norm and ReLU before each convolution.
        shortcut: false leaves a plain network, to show what shortcuts are for.
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
        num_stages: Literal[3, 4] = 3,
        width: int = 16,
        stem_stride: Literal[1, 2, 4] = 2,
        bottleneck: bool = False,
        pre_activation: bool = False,
        shortcut: bool = True,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 3:
            raise ValueError(
                f"ResNet takes images [C, H, W], not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data MNIST"
            )
        kernel, stride = (7, 2) if stem_stride == 4 else (3, stem_stride)
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, kernel, stride, padding=kernel // 2, bias=False))
        if not pre_activation:  # whose first block begins with them
            self.stem.extend([nn.BatchNorm2d(width), nn.ReLU()])
        if stem_stride == 4:
            self.stem.append(nn.MaxPool2d(3, 2, padding=1))
        self.stages = nn.Sequential()
        channels = width
        for stage in range(num_stages):
            blocks = nn.Sequential()
            for block in range(blocks_per_stage):
                stride = 2 if stage > 0 and block == 0 else 1
                channels_out = width * 2**stage * (4 if bottleneck else 1)
                blocks.append(ResidualBlock(channels, channels_out, stride, bottleneck, pre_activation, shortcut))
                channels = channels_out
            self.stages.append(blocks)
        self.norm = nn.Sequential(*([nn.BatchNorm2d(channels), nn.ReLU()] if pre_activation else []))
        self.head = nn.Linear(channels, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # faster on CPU and GPU

    @property
    def depth(self) -> int:
        convolutions = 3 if self.hparams["bottleneck"] else 2
        return 1 + convolutions * int(self.hparams["num_stages"] * self.hparams["blocks_per_stage"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))  # (B, C, H, W) -> (B, width, H', W')
        x = self.norm(self.stages(x))  # (B, channels of the last stage, H'', W'')
        return self.head(x.mean(dim=(2, 3)))  # (B, K)
