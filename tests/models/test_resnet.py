from typing import Any, Literal

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import resnet

from models import ResNet
from models.resnet import BasicBlock, Bottleneck, PlainBlock


def copy(ours: nn.Module, theirs: nn.Module) -> None:
    """Gives one network the weights of another that has the same tensors in the same order."""
    with torch.no_grad():
        for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            our.copy_(their)


@pytest.mark.parametrize(("ours", "theirs"), [(BasicBlock, resnet.BasicBlock), (Bottleneck, resnet.Bottleneck)])
def test_block_equals_torchvision(ours: Any, theirs: Any) -> None:
    channels = 4 * ours.expansion
    shortcut = nn.Sequential(nn.Conv2d(8, channels, 1, 2, bias=False), nn.BatchNorm2d(channels))
    our_block, their_block = ours(8, 4, stride=2), theirs(8, 4, stride=2, downsample=shortcut)
    copy(our_block, their_block)
    x = torch.randn(4, 8, 14, 14)
    for _ in range(2):  # in training, and then with the statistics it left
        torch.testing.assert_close(our_block(x), their_block(x))
        our_block.eval(), their_block.eval()


@pytest.mark.parametrize(
    ("layers", "block", "blocks_per_stage", "parameters"), [(18, "basic", 2, 11_689_512), (26, "bottleneck", 2, None)]
)
def test_network_equals_torchvision(layers: int, block: Any, blocks_per_stage: int, parameters: int | None) -> None:
    ours = ResNet([3, 64, 64], 1000, block, blocks_per_stage, num_stages=4, width=64, stem_stride=4).eval()
    kind = resnet.BasicBlock if block == "basic" else resnet.Bottleneck
    theirs = torchvision.models.ResNet(kind, [blocks_per_stage] * 4).eval()
    copy(ours, theirs)
    if parameters is not None:
        assert sum(p.numel() for p in ours.parameters()) == parameters
    assert ours.depth + 1 == layers
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "layers", "millions"),
    [(3, 20, 0.27), (5, 32, 0.46), (7, 44, 0.66), (9, 56, 0.85), (18, 110, 1.7), (200, 1202, 19.4)],
)
@pytest.mark.parametrize("block", ["basic", "plain"])
def test_published_sizes(block: Any, n: int, layers: int, millions: float) -> None:
    # He et al. 2016a, table 6; shortcuts have no weights there
    with torch.device("meta"):
        model = ResNet([3, 32, 32], 10, block, blocks_per_stage=n, stem_stride=1)
    size = sum(p.numel() for name, p in model.named_parameters() if "shortcut" not in name)
    assert model.depth + 1 == layers
    assert size / 1e6 == pytest.approx(millions, abs=0.05 if millions > 1 else 0.005)


def test_published_size_with_bottlenecks() -> None:
    # He et al. 2016b, table 4: ResNet-164, 1.7 M
    with torch.device("meta"):
        model = ResNet([3, 32, 32], 10, "bottleneck", blocks_per_stage=18, stem_stride=1)
    assert model.depth + 1 == 164
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(1.7, abs=0.05)


@pytest.mark.parametrize("block", [BasicBlock(8, 8), Bottleneck(32, 8)])
def test_shortcut_between_equal_shapes_has_no_weights(block: BasicBlock | Bottleneck) -> None:
    assert not list(block.shortcut.parameters())


@pytest.mark.parametrize("stride", [1, 2])
def test_plain_block_is_a_basic_block_without_its_shortcut(stride: Literal[1, 2]) -> None:
    plain, residual = PlainBlock(4, 8, stride).eval(), BasicBlock(4, 8, stride).eval()
    with torch.no_grad():
        for our, their in zip(plain.parameters(), residual.parameters(), strict=False):
            our.copy_(their)
    x = torch.randn(2, 4, 6, 6)
    nn.init.zeros_(residual.shortcut[1].weight)  # type: ignore[index]
    torch.testing.assert_close(plain(x), residual(x))


def test_default_has_the_documented_size() -> None:
    assert sum(p.numel() for p in ResNet([1, 28, 28], 10).parameters()) == 77_754


def test_stages_halve_the_image_and_double_the_channels() -> None:
    model = ResNet([1, 28, 28], 10, width=4, stem_stride=1)
    x = model.stem(torch.randn(2, 1, 28, 28))
    shapes = [x.shape[1:]]
    for stage in model.stages:
        x = stage(x)
        shapes.append(x.shape[1:])
    assert shapes == [(4, 28, 28), (4, 28, 28), (8, 14, 14), (16, 7, 7)]
