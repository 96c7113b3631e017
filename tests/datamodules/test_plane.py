import math
from typing import Any

import pytest
import torch

from datamodules import Plane

SHAPES: list[Any] = ["circle", "xor", "gauss", "spiral", "plane", "bumps"]


def all_points(shape: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    train, test = Plane(shape, **options).load()
    return torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])


@pytest.mark.parametrize("shape", SHAPES)
def test_splits_have_the_requested_sizes(shape: Any) -> None:
    data = Plane(shape, num_samples=300, train_share=0.8, val_size=40, batch_size=7)
    data.setup()
    sizes = {name: len(targets) for name, (_, targets) in data.splits.items()}
    assert sizes == {"train": 200, "val": 40, "test": 60}
    inputs, targets = data.splits["train"]
    assert list(inputs.shape[1:]) == data.input_shape == [2]
    assert targets.shape == ((200, 1) if data.task == "regression" else (200,))


@pytest.mark.parametrize("shape", SHAPES)
def test_points_depend_only_on_points_seed(shape: Any) -> None:
    torch.manual_seed(1)
    first, again, other = (
        all_points(shape, points_seed=points, seed=seed) for points, seed in ((3, 0), (3, 9), (4, 0))
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_circle_is_a_disc_in_a_ring() -> None:
    points, labels = all_points("circle")
    radius = points.norm(dim=1)
    assert radius[labels == 1].max() < 2.5
    assert radius[labels == 0].min() >= 3.5
    assert radius.max() <= 5
    assert labels.sum() == 250


def test_xor_gives_opposite_quadrants_the_same_class() -> None:
    points, labels = all_points("xor")
    assert torch.equal(labels == 1, points.prod(1) >= 0)
    assert points.abs().min() >= 0.3


def test_gauss_clouds_have_the_documented_mean_and_variance() -> None:
    points, labels = all_points("gauss", num_samples=20_000, noise=0.1)
    for label, centre in ((1, 2.0), (0, -2.0)):
        cloud = points[labels == label]
        torch.testing.assert_close(cloud.mean(0), torch.full((2,), centre), atol=0.05, rtol=0)
        torch.testing.assert_close(cloud.var(0), torch.full((2,), 0.5 + 0.7), atol=0.05, rtol=0)


def test_spiral_arms_have_the_documented_angle() -> None:
    points, labels = all_points("spiral")
    radius = points.norm(dim=1)
    turned = torch.atan2(points[:, 0], points[:, 1]) - 3.5 * math.pi * radius / 5
    for label, start in ((1, 0.0), (0, math.pi)):
        off = (turned[labels == label] - start)[radius[labels == label] > 0.01]
        torch.testing.assert_close(off.cos(), torch.ones_like(off), atol=1e-3, rtol=0)


def test_heights_equal_the_formulas() -> None:
    points, heights = all_points("plane")
    torch.testing.assert_close(heights[:, 0], points.sum(1) / 10)
    points, heights = all_points("bumps", num_samples=5000)
    assert heights.max() > 0.9
    assert heights.min() < -0.9
    near = (points - torch.tensor([4.0, 2.5])).norm(dim=1) < 0.5
    assert (heights[near] > 0.7).all()
    far = (points - torch.tensor([0.0, 2.5])).norm(dim=1) < 0.5
    assert (heights[far] < -0.7).all()


@pytest.mark.parametrize("shape", ["circle", "xor"])
def test_noise_changes_labels_and_not_points(shape: Any) -> None:
    points, labels = all_points(shape)
    noisy_points, noisy_labels = all_points(shape, noise=0.3)
    assert torch.equal(points, noisy_points)
    assert 0.02 < (labels != noisy_labels).float().mean() < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 2}, "use num_samples=4"),
        ({"noise": -0.1}, "use noise=0"),
        ({"train_share": 1.0}, "use train_share between 0 and 1"),
    ],
)
def test_option_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plane("circle", **options)
