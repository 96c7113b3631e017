"""Sequences: MNIST row by row, pixel by pixel (Le et al. 2015) or shuffled, and MNIST-1D, which is generated."""

from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from datamodules.base import BaseDataModule
from datamodules.loader import Samples
from datamodules.mnist import MNIST

PERMUTATION_SEED = 0  # of the shuffled order: the same in every run, whatever its seed

# MNIST-1D: the height of each digit's stroke at 12 points from top to bottom, and how much it is changed
TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
NUM_SAMPLES, NUM_TRAIN = 5000, 4000
GENERATOR_SEED = 42
NUM_STEPS = 40
PADDING = (36, 60)  # fewest and most zeros behind the stroke
LENGTH = 12 + 60  # steps while it is changed
SCALE, MAX_SHIFT, SHEAR = 0.4, 48, 0.75
SMOOTH_NOISE, WHITE_NOISE = 0.25, 0.02


class SequenceMNIST(MNIST):
    """Handwritten digits as sequences: 28 rows of 28 pixels, or 784 steps of one pixel.

    Args:
        order: `rows` gives `[28, 28]`; `pixels`, row after row, gives `[784, 1]`; `permuted` gives the pixels in
            one random order, the same for every digit: neighbours in the picture are then far apart.
        variant: `mnist`, `fashion` or `kmnist`; see `MNIST`.
        data_dir: folder that has, or gets, the files; see `MNIST`.
        source: `auto`, `full` or `subset`; see `MNIST`.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation, a tenth of it in the subset; 0 holds none back.
        shift: in training, largest shift of an image in pixels; see `MNIST`.
        rotation: in training, largest rotation of an image in degrees.
        scale: in training, largest change of an image's size, as a share.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: as `MNIST`.
    """

    def __init__(
        self,
        order: Literal["rows", "pixels", "permuted"] = "rows",
        variant: Literal["mnist", "fashion", "kmnist"] = "mnist",
        data_dir: str | None = None,
        source: Literal["auto", "full", "subset"] = "auto",
        batch_size: int = 128,
        val_size: int = 5000,
        shift: float = 0.0,
        rotation: float = 0.0,
        scale: float = 0.0,
        seed: int = 0,
    ) -> None:
        if order not in ("rows", "pixels", "permuted"):
            raise ValueError(f"order={order!r} must be one of rows, pixels, permuted")
        super().__init__(variant, data_dir, source, batch_size, val_size, shift, rotation, scale, seed)
        self.order = order
        self.input_shape = [28, 28] if order == "rows" else [784, 1]

    def inputs(self, images: Tensor) -> Tensor:
        return self.in_order(super().inputs(images))

    def in_order(self, sequences: Tensor) -> Tensor:
        """Sequences `(N, T, D)` of rows or pixels from top to bottom, in the order in which they are read."""
        return sequences[:, permutation().to(sequences.device)] if self.order == "permuted" else sequences

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        if self.order != "permuted":
            return super().augment(inputs, draws)
        back = permutation().argsort().to(inputs.device)
        return self.in_order(super().augment(inputs[:, back], draws))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "order": self.order}


def permutation() -> Tensor:
    """The shuffled order of the pixels: `(784,)`."""
    return torch.randperm(784, generator=torch.Generator().manual_seed(PERMUTATION_SEED))


class MNIST1D(BaseDataModule):
    """Strokes of ten digits as 40 numbers, padded, shifted, sheared and noisy: small, and hard without structure.

    The published procedure (Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D") with its settings and
    its seed: 4,000 samples to train on, 1,000 to test. Nothing is downloaded. The numbers are drawn in the order in
    which the procedure draws them; they were not compared with the file that its authors publish.

    Args:
        form: `vector` gives `[40]`; `steps` gives `[40, 1]`, for networks that read a sequence.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation; 0 holds none back.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range.
    """

    num_outputs = 10
    task = "classification"

    def __init__(
        self,
        form: Literal["vector", "steps"] = "vector",
        batch_size: int = 100,
        val_size: int = 500,
        seed: int = 0,
    ) -> None:
        if form not in ("vector", "steps"):
            raise ValueError(f"form={form!r} must be one of vector, steps")
        super().__init__(batch_size, val_size, seed)
        self.input_shape = [NUM_STEPS] if form == "vector" else [NUM_STEPS, 1]

    def load(self) -> tuple[Samples, Samples]:
        signals, labels = mnist1d()
        inputs = torch.from_numpy(signals).float().view(-1, *self.input_shape)
        targets = torch.from_numpy(labels)
        return (inputs[:NUM_TRAIN], targets[:NUM_TRAIN]), (inputs[NUM_TRAIN:], targets[NUM_TRAIN:])


def mnist1d() -> tuple[np.ndarray, np.ndarray]:
    """All signals `(5000, 40)` and their labels `(5000,)`, in the published order."""
    random = np.random.RandomState(GENERATOR_SEED)  # the generator that the procedure was published with
    strokes = (TEMPLATES - TEMPLATES.mean(1, keepdims=True)) / TEMPLATES.std(1, keepdims=True)
    strokes = (strokes - strokes[:, :1]) / 6
    labels = np.repeat(np.arange(10), NUM_SAMPLES // 10)
    signals = np.stack([changed(strokes[label], random) for label in labels])
    order = random.permutation(NUM_SAMPLES)
    signals, labels = signals[order], labels[order]
    return (signals - signals.mean()) / signals.std(), labels


def changed(stroke: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """One sample of a digit: `(12,)` to `(40,)`."""
    shortest, longest = PADDING
    zeros = np.zeros(shortest + int(random.rand() * (longest - shortest + 1)))
    signal = resized(np.concatenate([stroke + 1e-8, zeros]), LENGTH)  # no part of the stroke is 0, all padding is
    signal = signal * (1 + SCALE * (random.rand() - 0.5))
    signal = np.roll(signal, random.choice(MAX_SHIFT))
    noise = gaussian_filter(SMOOTH_NOISE * random.randn(LENGTH), 2)
    signal = np.where(signal != 0, signal, noise) + WHITE_NOISE * random.randn(LENGTH)
    signal = signal - SHEAR * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, LENGTH)
    return resized(signal, NUM_STEPS)


def resized(signal: np.ndarray, length: int) -> np.ndarray:
    """The signal at so many evenly spaced points, linear between its own."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)
