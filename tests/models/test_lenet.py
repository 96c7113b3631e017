import pytest
import torch

from models import LeNet


def test_parameter_count() -> None:
    # 156 + 48,120 + 10,164 as in the paper; 2,416 where table I has 1,516 connections; 850 for the output layer
    assert sum(p.numel() for p in LeNet([1, 28, 28], 10).parameters()) == 156 + 2416 + 48_120 + 10_164 + 850


def test_feature_maps_have_the_sizes_of_the_paper() -> None:
    x, shapes = torch.randn(2, 1, 28, 28), []
    for stage in LeNet([1, 28, 28], 10).stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 14, 14), (16, 5, 5)]


def test_image_below_the_smallest_size_is_refused() -> None:
    assert LeNet([3, 12, 15], 4)(torch.randn(2, 3, 12, 15)).shape == (2, 4)
    with pytest.raises(ValueError, match=r"input_shape=\[3, 11, 15\] is too small"):
        LeNet([3, 11, 15], 4)
