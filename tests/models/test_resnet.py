import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from models import ResNet
from models.resnet import ResidualBlock


def test_a_block_is_that_of_torchvision() -> None:
    ours = ResidualBlock(8, 16, stride=2)
    shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    theirs = BasicBlock(8, 16, stride=2, downsample=shortcut)
    names = {"conv": "conv", "norm": "bn", "shortcut": "downsample"}
    weights = ours.state_dict()
    for our_name, their_name in names.items():
        weights = {name.replace(our_name, their_name): value for name, value in weights.items()}
    theirs.load_state_dict(weights)
    x = torch.randn(4, 8, 14, 14)
    for _ in range(2):  # in training, and then with the statistics it left
        torch.testing.assert_close(ours(x), theirs(x))
        ours.eval(), theirs.eval()


def test_a_block_of_equal_shape_has_no_weights_on_its_shortcut() -> None:
    assert not list(ResidualBlock(8, 8).shortcut.parameters())


def test_resnet_20_has_the_published_size() -> None:
    # He et al. 2016, table 6: 0.27 M; our projections add 2,752 to its 269,722 (counted from section 4.2)
    model = ResNet([3, 32, 32], 10, blocks_per_stage=3, stem_stride=1)
    shortcuts = sum(p.numel() for name, p in model.named_parameters() if "shortcut" in name)
    assert model.depth + 1 == 20
    assert sum(p.numel() for p in model.parameters()) - shortcuts == 269_722


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
