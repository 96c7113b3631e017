import math
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import Plane
from datamodules.csv_file import read_points
from datamodules.plane import FEATURES

SHAPES: list[Any] = ["circle", "xor", "gauss", "spiral", "plane", "bumps"]


def all_points(shape: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    train, test = Plane(shape, val_size=0, **options).load()
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
        ({"features": []}, r"features=\[\] must be some of x, y, x2, y2, xy, sin_x, sin_y, in this order"),
        ({"features": ["y", "x"]}, "in this order"),
        ({"features": ["x", "x"]}, "in this order"),
        ({"features": ["x", "z"]}, "must be some of"),
        ({"num_classes": 3}, "num_classes=3 must be 2, or up to 6 for shapes gauss and spiral"),
        ({"shape": "plane", "num_classes": 3}, "num_classes=3 must be 2, or"),
        ({"shape": "spiral", "num_classes": 7}, "num_classes=7 must be 2, or up to 6"),
        ({"shape": "gauss", "num_classes": 1}, "num_classes=1 must be 2, or up to 6"),
        ({"shape": "points"}, "shape=points and points_file=None do not go together; use both"),
        ({"points_file": "own.csv"}, "shape=circle and points_file=own.csv do not go together"),
        ({"shape": "points", "points_file": "missing.csv"}, "points_file=missing.csv cannot be read: No such file"),
    ],
)
def test_option_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plane(**{"shape": "circle", **options})


@pytest.mark.parametrize("num_samples", [500, 7])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_two_classes_equal_the_formulas_of_tensorflow_playground_to_the_bit(num_samples: int, noise: float) -> None:
    half = num_samples // 2
    first = np.arange(num_samples) < half
    fraction = np.where(first, np.arange(num_samples) / half, (np.arange(num_samples) - half) / (num_samples - half))
    angle = 3.5 * math.pi * fraction + np.where(first, 0, math.pi)
    arms = 5 * fraction[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    random = {shape: np.random.default_rng(0) for shape in ("spiral", "gauss")}
    deviation = math.sqrt(0.5 + 7 * noise)
    expected = {
        "spiral": arms + noise * random["spiral"].uniform(-1, 1, arms.shape),
        "gauss": np.where(first, 2.0, -2.0)[:, None] + deviation * random["gauss"].standard_normal(arms.shape),
    }
    for shape, points in expected.items():
        order = random[shape].permutation(num_samples)
        found, labels = all_points(shape, num_samples=num_samples, noise=noise)
        assert torch.equal(found, torch.from_numpy(points[order]).float())
        assert torch.equal(labels, torch.from_numpy(first[order]).long())


@pytest.mark.parametrize("num_classes", [2, 3, 5, 6])
def test_several_clouds_are_evenly_spaced_on_a_circle(num_classes: int) -> None:
    points, labels = all_points("gauss", num_samples=12_000, num_classes=num_classes)
    centres = torch.stack([points[labels == label].mean(0) for label in range(num_classes)])
    torch.testing.assert_close(centres[-1], torch.tensor([2.0, 2.0]), atol=0.1, rtol=0)
    torch.testing.assert_close(centres.norm(dim=1), torch.full((num_classes,), math.sqrt(8)), atol=0.1, rtol=0)
    angles = torch.atan2(centres[:, 1], centres[:, 0]).rad2deg()
    turns = (angles - angles.roll(-1)) % 360
    torch.testing.assert_close(turns, torch.full((num_classes,), 360 / num_classes), atol=4, rtol=0)
    assert (labels.bincount() - 12_000 / num_classes).abs().max() <= 1


@pytest.mark.parametrize("num_classes", [3, 4, 6])
def test_every_arm_is_the_first_arm_turned(num_classes: int) -> None:
    data = Plane("spiral", num_samples=60 * num_classes, num_classes=num_classes)
    assert data.num_outputs == num_classes
    train, test = data.load()
    points, labels = torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])
    arms = [points[labels == label] for label in reversed(range(num_classes))]
    arms = [arm[arm.norm(dim=1).argsort()] for arm in arms]
    for index, arm in enumerate(arms):
        angle = torch.tensor(2 * math.pi * index / num_classes)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
        torch.testing.assert_close(arm, arms[0] @ turn, atol=1e-5, rtol=0)


def test_inputs_are_the_features_of_the_points() -> None:
    data = Plane("circle", features=list(FEATURES), val_size=30)  # type: ignore[arg-type]
    data.setup()
    for name in ("train", "val", "test"):
        x, y = data.points[name].T
        expected = torch.stack([x, y, x**2, y**2, x * y, torch.sin(x), torch.sin(y)], dim=1)
        torch.testing.assert_close(data.splits[name][0], expected)
    assert data.input_shape == [7]
    some = Plane("circle", features=["y", "xy"], val_size=30)
    some.setup()
    assert torch.equal(some.splits["train"][0], data.splits["train"][0][:, [1, 4]])
    assert torch.equal(some.points["train"], data.points["train"])
    plain = Plane("circle")
    plain.setup()
    assert torch.equal(plain.splits["train"][0], plain.points["train"])


def test_points_of_a_file_are_shuffled_and_split(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("x,y,class\n" + "".join(f"{i},{-i / 4},{i % 3}\n" for i in range(20)), encoding="utf-8-sig")
    data = Plane("points", points_file=str(path), train_share=0.75, val_size=5, features=["x"])
    data.setup()
    assert (data.num_outputs, data.task, data.title) == (3, "classification", "Plane-points")
    assert {name: len(points) for name, points in data.points.items()} == {"train": 10, "val": 5, "test": 5}
    points = torch.cat(list(data.points.values()))
    assert sorted(points[:, 0].tolist()) == list(range(20))
    assert torch.equal(points[:, 1], -points[:, 0] / 4)
    for name, (inputs, targets) in data.splits.items():
        assert torch.equal(targets, data.points[name][:, 0].long() % 3)
        assert torch.equal(inputs, data.points[name][:, :1])
    other = Plane("points", points_file=str(path), points_seed=1, train_share=0.75, val_size=5)
    other.setup()
    assert not torch.equal(other.points["test"], data.points["test"])


def test_a_file_of_values_is_regression() -> None:
    points, targets, task = read_points(StringIO(" x, y, value\r\n1,2,0.5\r\n\r\n-1e1, 2 ,-3\r\n"))
    assert points.tolist() == [[1, 2], [-10, 2]]
    assert targets.tolist() == [0.5, -3]
    assert task == "regression"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "own.csv cannot be read: No columns to parse from file; use a CSV file with a header"),
        ("x;y;class\n1;2;0", "has ';' between its columns; save it with ','"),
        ("a,b,class\n1,2,0", "own.csv: the header is 'a,b,class'; write x,y,class or x,y,value"),
        ("1,2,0\n1,2,1", "own.csv begins with numbers; write a first line"),
        ("x,y,class\n1,2,0\n1,2", "own.csv, row 2, column class: nan must be a whole number from 0 to 5"),
        ("x,y,class\n1,2,0\n1,2,1,", "Expected 3 fields in line 3, saw 4"),
        ("x,y,class\n1,2,0,\n1,2,1,", "has more values in its rows than names"),
        ("x,y,class\n1,two,0\n1,2,1", "own.csv, row 1, column y: two must be a number from -100 to 100"),
        ("x,y,class\n1,2,0\n\n101,2,1", "row 2, column x: 101 must be a number from -100 to 100"),
        ("x,y,value\n1,2,nan\n1,2,1", "row 1, column value: nan must be a number from -100 to 100"),
        ("x,y,value\n1,2,\n1,2,1", "row 1, column value: nan must be a number"),
        ("x,y,class\n1,2,6\n1,2,1", "row 1, column class: 6 must be a whole number from 0 to 5"),
        ("x,y,class\n1,2,0.5\n1,2,1", "column class: 0.5 must be a whole number from 0 to 5"),
        ("x,y,class\n1,2,0\n1,2,0", "every class is 0; write at least two classes, 0 and 1"),
        ("x,y,class\n1,2,0", "own.csv has fewer than 2 points"),
    ],
)
def test_a_file_with_a_mistake_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_points(StringIO(text), "own.csv")
    assert "\n" not in str(caught.value)
