"""Points in the plane with a class or a height to predict. Small enough to draw what a network has learned.

Source: the data sets of TensorFlow Playground (Smilkov et al. 2017), written from a description of their formulas.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from datamodules.base import BaseDataModule
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


def gauss(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Two Gaussian clouds around (2, 2) and (-2, -2), with a variance of 0.5 plus 7 times the noise."""
    first = np.arange(num_samples) < num_samples // 2
    centres = np.where(first, 2.0, -2.0)[:, None]
    return centres + math.sqrt(0.5 + 7 * noise) * random.standard_normal((num_samples, 2)), first


def spiral(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Two arms of 1.75 turns. Noise moves the points."""
    half = num_samples // 2
    first = np.arange(num_samples) < half
    fraction = np.where(first, np.arange(num_samples) / half, (np.arange(num_samples) - half) / (num_samples - half))
    angle = 3.5 * math.pi * fraction + np.where(first, 0, math.pi)
    points = 5 * fraction[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return points + noise * random.uniform(-1, 1, points.shape), first


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


Generator = Callable[[int, float, Random], tuple[Points, np.ndarray]]
CLASSIFICATION: dict[str, Generator] = {"circle": circle, "xor": xor, "gauss": gauss, "spiral": spiral}
REGRESSION: dict[str, Generator] = {"plane": plane, "bumps": bumps}
SHAPES = {**CLASSIFICATION, **REGRESSION}


class Plane(BaseDataModule):
    """Points `[2]` with one of two classes, or with a height.

    Args:
        shape: `circle`, `xor`, `gauss` or `spiral` for classification, `plane` or `bumps` for regression.
        num_samples: Number of points. TensorFlow Playground has 500 for classification and 1,200 for regression.
        noise: Amount of noise, 0 to 0.5 in TensorFlow Playground. It moves points, labels or heights, by shape.
        train_share: Fraction of the points to train on. The others are test points.
        points_seed: Seed of the points. Runs with different seeds have the same points.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training points held back for validation.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Raises:
        ValueError: If an option is outside its range.
    """

    def __init__(
        self,
        shape: Literal["circle", "xor", "gauss", "spiral", "plane", "bumps"] = "circle",
        num_samples: int = 500,
        noise: float = 0.0,
        train_share: float = 0.5,
        points_seed: int = 0,
        batch_size: int = 10,
        val_size: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, val_size, seed)
        if num_samples < 4:
            raise ValueError(f"num_samples={num_samples} is too small; use num_samples=4 or more")
        if noise < 0:
            raise ValueError(f"noise={noise} is negative; use noise=0 or more")
        num_train = int(num_samples * train_share)
        if not 0 < num_train < num_samples:
            raise ValueError(
                f"train_share={train_share} leaves {num_train} of {num_samples} points to train on; "
                "use train_share between 0 and 1"
            )
        if shape not in SHAPES:
            raise ValueError(f"shape={shape!r} must be one of {', '.join(SHAPES)}")
        self.input_shape = [2]
        self.shape = shape
        self.num_samples = num_samples
        self.noise = noise
        self.num_train = num_train
        self.points_seed = points_seed
        self.task = "regression" if shape in REGRESSION else "classification"
        self.num_outputs = 1 if self.task == "regression" else 2

    @property
    def title(self) -> str:
        return f"Plane-{self.shape}"

    def load(self) -> tuple[Samples, Samples]:
        random = np.random.default_rng(self.points_seed)
        points, values = SHAPES[self.shape](self.num_samples, self.noise, random)
        order = random.permutation(self.num_samples)
        inputs = torch.from_numpy(points[order]).float()
        targets = torch.from_numpy(values[order].astype(np.float32))[:, None]
        if self.task == "classification":
            targets = targets[:, 0].long()
        cut = self.num_train
        return (inputs[:cut], targets[:cut]), (inputs[cut:], targets[cut:])
