import pytest
import torch
import torchvision

from models import AlexNet


def test_outputs_equal_torchvision() -> None:
    ours, theirs = AlexNet([3, 224, 224], 1000).eval(), torchvision.models.alexnet().eval()
    assert sum(p.numel() for p in ours.parameters()) == 61_100_840
    with torch.no_grad():
        for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            our.copy_(their)
        x = torch.randn(2, 3, 224, 224)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_parameter_count_on_mnist() -> None:
    assert sum(p.numel() for p in AlexNet([1, 28, 28], 10, width=16).parameters()) == 1_476_538


@pytest.mark.parametrize("shape", [[1, 15, 15], [3, 32, 40], [3, 64, 64]])
def test_images_of_other_sizes_are_accepted(shape: list[int]) -> None:
    assert AlexNet(shape, 4, width=2)(torch.randn(2, *shape)).shape == (2, 4)


def test_image_below_the_smallest_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"input_shape=\[1, 14, 28\] is too small"):
        AlexNet([1, 14, 28], 10)
