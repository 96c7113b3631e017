import pytest
import torch

from models import LeNet


def test_the_size_is_that_of_the_paper_with_every_map_connected() -> None:
    # 156 + 48,120 + 10,164 of the paper; 2,416 where its table I leaves 1,516; 850 for the output
    assert sum(p.numel() for p in LeNet([1, 28, 28], 10).parameters()) == 156 + 2416 + 48_120 + 10_164 + 850


def test_the_maps_have_the_sizes_of_the_paper() -> None:
    x, shapes = torch.randn(2, 1, 28, 28), []
    for stage in LeNet([1, 28, 28], 10).stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 14, 14), (16, 5, 5)]


def test_the_smallest_image_passes_and_a_smaller_one_is_refused() -> None:
    assert LeNet([3, 12, 15], 4)(torch.randn(2, 3, 12, 15)).shape == (2, 4)
    with pytest.raises(ValueError, match=r"input_shape=\[3, 11, 15\] is too small"):
        LeNet([3, 11, 15], 4)
