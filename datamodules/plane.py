"""Points in the plane with a class or a height to predict. Small enough to draw what a network has learned.

Source: the data sets of TensorFlow Playground (Smilkov et al. 2017), written from a description of their formulas.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.base import BaseDataModule
from datamodules.checks import check_at_least, check_choice
from datamodules.csv_file import MOST_CLASSES, read_points
from datamodules.loader import Samples

Points = np.ndarray  # (N, 2)
Random = np.random.Generator

BUMPS = [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]  # centre (x, y) and sign


def circle(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """A disc inside a ring. Noise changes labels near the boundary, not the points."""
    inner = np.arange(num_samples) < num_samples // 2
    radius = np.where(inner, random.uniform(0, 2.5, num_samples), random.uniform(3.5, 5, num_samples))
    angle = random.uniform(0, 2 * math.pi, num_samples)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    noisy = points + noise * random.uniform(-5, 5, points.shape)
    return points, np.hypot(*noisy.T) < 2.5


def xor(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Opposite quadrants have the same class, with a gap of 0.6 along the axes. Noise changes labels near the gap."""
    points = random.uniform(-5, 5, (num_samples, 2))
    points += np.where(points > 0, 0.3, -0.3)
    noisy = points + noise * random.uniform(-5, 5, points.shape)
    return points, noisy[:, 0] * noisy[:, 1] >= 0


def arms(num_samples: int, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divides the samples into equal arms. Returns the arm, position within the arm (0 to 1) and class of each."""
    starts = np.arange(num_classes + 1) * num_samples // num_classes
    samples = np.arange(num_samples)
    arm = np.searchsorted(starts, samples, side="right") - 1
    fraction = (samples - starts[arm]) / np.diff(starts)[arm]
    return arm, fraction, num_classes - 1 - arm


def gauss(num_samples: int, noise: float, random: Random, num_classes: int = 2) -> tuple[Points, np.ndarray]:
    """Gaussian clouds, with a variance of 0.5 plus 7 times the noise.

    Their centres are evenly spaced on a circle. Two clouds are around (2, 2) and (-2, -2).
    """
    arm, _, labels = arms(num_samples, num_classes)
    angle = math.pi / 4 + 2 * math.pi * arm / num_classes
    centres = math.sqrt(8) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centres = centres.round(12)  # exactly 2 and -2 for two clouds
    return centres + math.sqrt(0.5 + 7 * noise) * random.standard_normal((num_samples, 2)), labels


def spiral(num_samples: int, noise: float, random: Random, num_classes: int = 2) -> tuple[Points, np.ndarray]:
    """Arms of 1.75 turns, evenly spaced around the origin. Noise moves the points."""
    arm, fraction, labels = arms(num_samples, num_classes)
    angle = 3.5 * math.pi * fraction + 2 * math.pi * arm / num_classes
    points = 5 * fraction[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return points + noise * random.uniform(-1, 1, points.shape), labels


def plane(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """A height that rises along the diagonal. Noise moves the place where it is measured."""
    points = random.uniform(-6, 6, (num_samples, 2))
    noisy = points + noise * random.uniform(-6, 6, points.shape)
    return points, noisy.sum(axis=1) / 10


def bumps(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Six cones of radius 2, up and down in turn. Noise moves the place where the height is measured."""
    points = random.uniform(-6, 6, (num_samples, 2))
    noisy = points + noise * random.uniform(-6, 6, points.shape)
    heights = np.zeros(num_samples)
    for x, y, sign in BUMPS:
        distance = np.hypot(noisy[:, 0] - x, noisy[:, 1] - y)
        heights += sign * np.clip(1 - distance / 2, 0, 1)
    return points, heights


Generator = Callable[..., tuple[Points, np.ndarray]]
SEVERAL_CLASSES: dict[str, Generator] = {"gauss": gauss, "spiral": spiral}
CLASSIFICATION: dict[str, Generator] = {"circle": circle, "xor": xor, **SEVERAL_CLASSES}
REGRESSION: dict[str, Generator] = {"plane": plane, "bumps": bumps}
SHAPES = {**CLASSIFICATION, **REGRESSION}

FeatureName = Literal["x", "y", "x2", "y2", "xy", "sin_x", "sin_y"]
FEATURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # of the coordinates x and y
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "x2": lambda x, y: x * x,
    "y2": lambda x, y: y * y,
    "xy": lambda x, y: x * y,
    "sin_x": lambda x, y: x.sin(),
    "sin_y": lambda x, y: y.sin(),
}
COORDINATES: list[FeatureName] = ["x", "y"]


class Plane(BaseDataModule):
    """Points in the plane with a class, or with a height. The inputs are features of their coordinates: `[F]`.

    Args:
        shape: `circle`, `xor`, `gauss` or `spiral` for classification, `plane` or `bumps` for regression, or `points`
            for the points of a file.
        num_samples: Number of points. TensorFlow Playground has 500 for classification and 1,200 for regression. Not
            used with `shape=points`.
        noise: Amount of noise, 0 to 0.5 in TensorFlow Playground. It moves points, labels or heights, by shape. Not
            used with `shape=points`.
        train_share: Fraction of the points to train on. The others are test points.
        points_seed: Seed of the points, or of the order of the points of a file. Runs with different seeds have the
            same points.
        features: Inputs of the network, in this order: `x`, `y`, their squares `x2` and `y2`, their product `xy`, and
            the sines `sin_x` and `sin_y`.
        num_classes: Number of classes, 2 to 6. More than 2 need `shape=gauss` or `shape=spiral`.
        points_file: CSV file with the header `x,y,class` or `x,y,value`. For `shape=points` only.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training points held back for validation.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Attributes:
        points: The coordinates `(N, 2)` of the samples of each split, after `setup`.

    Raises:
        ValueError: If an option is outside its range, or the file has the wrong content.
    """

    def __init__(
        self,
        shape: Literal["circle", "xor", "gauss", "spiral", "plane", "bumps", "points"] = "circle",
        num_samples: int = 500,
        noise: float = 0.0,
        train_share: float = 0.5,
        points_seed: int = 0,
        features: list[FeatureName] = COORDINATES,
        num_classes: int = 2,
        points_file: str | None = None,
        batch_size: int = 10,
        val_size: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, val_size, seed)
        check_at_least(4, num_samples=num_samples)
        check_at_least(0, noise=noise)
        check_choice([*SHAPES, "points"], shape=shape)
        if not features or list(features) != [name for name in FEATURES if name in features]:
            raise ValueError(f"features={list(features)} must be some of {', '.join(FEATURES)}, in this order")
        if not 2 <= num_classes <= (MOST_CLASSES if shape in SEVERAL_CLASSES else 2):
            names = " and ".join(SEVERAL_CLASSES)
            raise ValueError(f"num_classes={num_classes} must be 2, or up to {MOST_CLASSES} for shapes {names}")
        if (shape == "points") != (points_file is not None):
            raise ValueError(f"shape={shape} and points_file={points_file} do not go together; use both, or none")
        self.task = "regression" if shape in REGRESSION else "classification"
        self.own_points: tuple[Points, np.ndarray] | None = None
        if points_file is not None:
            points, targets, self.task = read_points(Path(points_file).expanduser(), f"points_file={points_file}")
            self.own_points = points, targets
            num_samples, num_classes = len(points), int(targets.max()) + 1
        num_train = int(num_samples * train_share)
        if not 0 < num_train < num_samples:
            fault = f"gives {num_train} of {num_samples} points to train on"
            raise ValueError(f"train_share={train_share} {fault}; use train_share between 0 and 1")
        self.shape = shape
        self.num_samples = num_samples
        self.noise = noise
        self.num_train = num_train
        self.points_seed = points_seed
        self.features = list(features)
        self.input_shape = [len(self.features)]
        self.points: dict[str, Tensor] = {}
        self.num_outputs = 1 if self.task == "regression" else num_classes

    @property
    def title(self) -> str:
        return f"Plane-{self.shape}"

    def features_of(self, points: Tensor) -> Tensor:
        """The inputs of the network for points of the plane: `(N, 2)` to `(N, F)`."""
        x, y = points.unbind(1)
        return torch.stack([FEATURES[name](x, y) for name in self.features], dim=1)

    def load(self) -> tuple[Samples, Samples]:
        random = np.random.default_rng(self.points_seed)
        if self.own_points:
            points, values = self.own_points
        else:
            options = {"num_classes": self.num_outputs} if self.shape in SEVERAL_CLASSES else {}
            points, values = SHAPES[self.shape](self.num_samples, self.noise, random, **options)
        order = random.permutation(self.num_samples)
        coordinates = torch.from_numpy(points[order]).float()
        targets = torch.from_numpy(values[order].astype(np.float32))[:, None]
        if self.task == "classification":
            targets = targets[:, 0].long()
        inputs, cut = self.features_of(coordinates), self.num_train
        train, val = self.stratified_split(targets[:cut], self.val_size)  # as the base class splits the samples
        self.points = {"train": coordinates[train], "val": coordinates[val], "test": coordinates[cut:]}
        return (inputs[:cut], targets[:cut]), (inputs[cut:], targets[cut:])
