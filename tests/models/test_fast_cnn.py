import pytest
import torch

from models import FastCNN


def test_parameter_count() -> None:
    assert sum(p.numel() for p in FastCNN([1, 28, 28], 10).parameters()) == 33_914


def test_features_shift_with_the_input() -> None:
    stem = FastCNN([1, 40, 40], 10).eval().stem
    x = torch.zeros(1, 1, 40, 40)
    x[..., 15:21, 15:21] = torch.randn(6, 6)
    torch.testing.assert_close(stem(x.roll(3, dims=-1))[..., 1:], stem(x)[..., :-1])


@pytest.mark.parametrize("side", [18, 19])
def test_smallest_image_has_19_pixels_per_side(side: int) -> None:
    if side < 19:
        with pytest.raises(ValueError, match=r"input_shape=\[1, 18, 40\] is too small"):
            FastCNN([1, side, 40], 10)
    else:
        assert FastCNN([1, side, 40], 10)(torch.zeros(2, 1, side, 40)).shape == (2, 10)
