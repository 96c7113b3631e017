from typing import Literal

import pytest
import torch
import torchvision

from models import VGG

Configuration = Literal["A", "B", "D", "E"]


@pytest.mark.parametrize(
    ("configuration", "layers", "parameters"),
    [("A", 11, 132_863_336), ("B", 13, 133_047_848), ("D", 16, 138_357_544), ("E", 19, 143_667_240)],
)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_parameter_shapes_equal_torchvision(
    configuration: Configuration, layers: int, parameters: int, batch_norm: bool
) -> None:
    with torch.device("meta"):
        ours = VGG([3, 224, 224], 1000, configuration, batch_norm=batch_norm)
        theirs = torchvision.models.get_model(f"vgg{layers}{'_bn' * batch_norm}", init_weights=False)
    assert ours.depth + 1 == layers
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    if not batch_norm:
        assert sum(p.numel() for p in ours.parameters()) == parameters


def test_stage_outputs_equal_torchvision() -> None:
    ours, theirs = VGG([3, 32, 32], 10).eval(), torchvision.models.vgg11(weights=None).features.eval()
    with torch.no_grad():
        for our, their in zip(ours.stages.parameters(), theirs.parameters(), strict=True):
            our.copy_(their)
        x = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(ours.stages(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_parameter_count_on_mnist() -> None:
    assert sum(p.numel() for p in VGG([1, 28, 28], 10, width=16).parameters()) == 1_768_778


@pytest.mark.parametrize("shape", [[1, 28, 28], [3, 5, 9], [1, 1, 1], [3, 96, 64]])
def test_images_of_any_size_are_accepted(shape: list[int]) -> None:
    assert VGG(shape, 4, width=2)(torch.randn(2, *shape)).shape == (2, 4)
