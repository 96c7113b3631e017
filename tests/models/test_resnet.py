import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from models import ResNet
from models.resnet import ResidualBlock


def copy(ours: nn.Module, theirs: nn.Module) -> None:
    """Gives one network the weights of another that has the same tensors in the same order."""
    with torch.no_grad():
        for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            our.copy_(their)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_block_is_that_of_torchvision(bottleneck: bool) -> None:
    ours = ResidualBlock(8, 16, stride=2, bottleneck=bottleneck)
    shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    theirs: nn.Module = BasicBlock(8, 16, stride=2, downsample=shortcut)
    if bottleneck:
        theirs = Bottleneck(8, 4, stride=2, downsample=shortcut)
    copy(ours, theirs)
    x = torch.randn(4, 8, 14, 14)
    for _ in range(2):  # in training, and then with the statistics it left
        torch.testing.assert_close(ours(x), theirs(x))
        ours.eval(), theirs.eval()


def test_resnet_18_is_that_of_torchvision() -> None:
    ours = ResNet([3, 64, 64], 1000, blocks_per_stage=2, num_stages=4, width=64, stem_stride=4).eval()
    theirs = torchvision.models.resnet18().eval()
    copy(ours, theirs)
    assert sum(p.numel() for p in ours.parameters()) == 11_689_512
    assert ours.depth + 1 == 18
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_a_block_of_equal_shape_has_no_weights_on_its_shortcut() -> None:
    assert not list(ResidualBlock(8, 8).shortcut.parameters())


@pytest.mark.parametrize(
    ("n", "layers", "millions"),
    [(3, 20, 0.27), (5, 32, 0.46), (7, 44, 0.66), (9, 56, 0.85), (18, 110, 1.7), (200, 1202, 19.4)],
)
def test_the_published_sizes(n: int, layers: int, millions: float) -> None:
    # He et al. 2016a, table 6; there, shortcuts have no weights
    with torch.device("meta"):
        model = ResNet([3, 32, 32], 10, blocks_per_stage=n, stem_stride=1)
    size = sum(p.numel() for name, p in model.named_parameters() if "shortcut" not in name)
    assert model.depth + 1 == layers
    assert size / 1e6 == pytest.approx(millions, abs=0.05 if millions > 1 else 0.005)


def test_the_published_size_with_bottlenecks_and_pre_activation() -> None:
    # He et al. 2016b: ResNet-164, 1.7 M
    model = ResNet([3, 32, 32], 10, blocks_per_stage=18, stem_stride=1, bottleneck=True, pre_activation=True)
    assert model.depth + 1 == 164
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(1.7, abs=0.05)


def test_in_pre_activation_nothing_changes_what_goes_from_block_to_block() -> None:
    block = ResidualBlock(4, 4, pre_activation=True).eval()
    nn.init.zeros_(list(block.layers.parameters())[-1])
    x = torch.randn(2, 4, 6, 6)  # with negative values, which a ReLU would take away
    assert torch.equal(block(x), x)
    stem = ResNet([1, 8, 8], 2, pre_activation=True).stem
    assert (stem(torch.randn(1, 1, 8, 8)) < 0).any(), "the first block has the first ReLU"


def test_where_shapes_differ_pre_activation_comes_before_the_shortcut_too() -> None:
    block = ResidualBlock(4, 8, stride=2, pre_activation=True)
    (norm,), (conv1, norm2, conv2) = (
        [m for m in part if not isinstance(m, nn.ReLU)] for part in (block.before, block.layers)
    )
    x = torch.randn(3, 4, 6, 6)
    for _ in range(2):  # in training, and then with the statistics it left
        expected_input = norm(x).relu()
        expected = conv2(norm2(conv1(expected_input)).relu()) + block.shortcut[0](expected_input)
        torch.testing.assert_close(block(x), expected)
        block.eval()


def test_without_shortcuts_a_layer_of_zeros_ends_all() -> None:
    plain, residual = (ResidualBlock(4, 4, shortcut=shortcut).eval() for shortcut in (False, True))
    x = torch.randn(2, 4, 6, 6).relu()
    for block in (plain, residual):
        nn.init.zeros_(list(block.layers.parameters())[3])
    assert not plain(x).any()
    assert torch.equal(residual(x), x)


def test_the_default_has_the_documented_size() -> None:
    assert sum(p.numel() for p in ResNet([1, 28, 28], 10).parameters()) == 77_754


def test_stages_halve_the_image_and_double_the_channels() -> None:
    model = ResNet([1, 28, 28], 10, width=4, stem_stride=1)
    x = model.stem(torch.randn(2, 1, 28, 28))
    shapes = [x.shape[1:]]
    for stage in model.stages:
        x = stage(x)
        shapes.append(x.shape[1:])
    assert shapes == [(4, 28, 28), (4, 28, 28), (8, 14, 14), (16, 7, 7)]
