"""Points in the plane: two clouds to be told apart, or a height to be learned, small enough to draw.

The generators of TensorFlow Playground (Smilkov et al. 2017), from the description of their formulas.
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

BUMPS = [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]  # centre and sign


def circle(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """A disc inside a ring; noise moves the boundary, not the points."""
    inner = np.arange(num_samples) < num_samples // 2
    radius = np.where(inner, random.uniform(0, 2.5, num_samples), random.uniform(3.5, 5, num_samples))
    angle = random.uniform(0, 2 * math.pi, num_samples)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    seen = points + noise * random.uniform(-5, 5, points.shape)
    return points, np.hypot(*seen.T) < 2.5


def xor(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Opposite quadrants belong together, with a gap of 0.6 along the axes; noise moves the boundary."""
    points = random.uniform(-5, 5, (num_samples, 2))
    points += np.where(points > 0, 0.3, -0.3)
    seen = points + noise * random.uniform(-5, 5, points.shape)
    return points, seen[:, 0] * seen[:, 1] >= 0


def gauss(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Two normal clouds around (2, 2) and (-2, -2), whose variance 0.5 grows by 7 times the noise."""
    first = np.arange(num_samples) < num_samples // 2
    centres = np.where(first, 2.0, -2.0)[:, None]
    return centres + math.sqrt(0.5 + 7 * noise) * random.standard_normal((num_samples, 2)), first


def spiral(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Two arms of 1.75 turns each around the other; noise moves the points."""
    half = num_samples // 2
    first = np.arange(num_samples) < half
    share = np.where(first, np.arange(num_samples) / half, (np.arange(num_samples) - half) / (num_samples - half))
    angle = 3.5 * math.pi * share + np.where(first, 0, math.pi)
    points = 5 * share[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return points + noise * random.uniform(-1, 1, points.shape), first


def plane(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """A height that rises along the diagonal; noise moves where it is measured."""
    points = random.uniform(-6, 6, (num_samples, 2))
    seen = points + noise * random.uniform(-6, 6, points.shape)
    return points, seen.sum(axis=1) / 10


def bumps(num_samples: int, noise: float, random: Random) -> tuple[Points, np.ndarray]:
    """Six cones of radius 2, up and down in turn; noise moves where the height is measured."""
    points = random.uniform(-6, 6, (num_samples, 2))
    seen = points + noise * random.uniform(-6, 6, points.shape)
    heights = [
        sign * np.clip(1 - np.hypot(seen[:, 0] - x, seen[:, 1] - y) / 2, 0, 1) for x, y, sign in BUMPS
    ]  # the cones touch nowhere, so that their sum is the highest of them
    return points, np.sum(heights, axis=0)


SHAPES: dict[str, Callable[[int, float, Random], tuple[Points, np.ndarray]]] = {
    "circle": circle,
    "xor": xor,
    "gauss": gauss,
    "spiral": spiral,
    "plane": plane,
    "bumps": bumps,
}


class Plane(BaseDataModule):
    """Points of `[2]`; of the first four shapes to be classified, of `plane` and `bumps` their height.

    Args:
        shape: `circle`, `xor`, `gauss`, `spiral` (classification into 2), `plane` or `bumps` (regression).
        num_samples: points in all; the playground has 500, and 1,200 for regression.
        noise: 0 to 0.5 in the playground; what it does depends on the shape.
        train_share: share of the points that train; the others test.
        points_seed: of the points: the same in every run, whatever its seed.
        batch_size: samples an optimizer step, over all devices.
        val_size: training points held back for validation; 0 holds none back.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: an option outside its range.
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
                "choose train_share between 0 and 1"
            )
        if shape not in SHAPES:
            raise ValueError(f"shape={shape!r} must be one of {', '.join(SHAPES)}")
        self.input_shape = [2]
        self.shape = shape
        self.num_samples = num_samples
        self.noise = noise
        self.num_train = num_train
        self.points_seed = points_seed
        self.task = "regression" if shape in ("plane", "bumps") else "classification"
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
