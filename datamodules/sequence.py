"""Sequences: the rows or pixels of MNIST (pixels: Le et al. 2015), and MNIST-1D, which is generated."""

from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from datamodules.base import BaseDataModule
from datamodules.checks import check_choice
from datamodules.loader import Samples
from datamodules.mnist import MNIST

# MNIST-1D: each digit is a stroke, given by its horizontal positions at 12 points from top to bottom
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
NUM_STEPS = 40  # length of a finished signal
LENGTH = 12 + 60  # length of a signal before it is shortened to `NUM_STEPS`


class SequenceMNIST(MNIST):
    """Handwritten digits as sequences: 28 rows of 28 pixels, or 784 steps of one pixel.

    Args:
        order: `rows` gives `[28, 28]`. `pixels` gives `[784, 1]`, row after row. `permuted` gives the pixels in one
            random order, the same for every digit, so that neighbouring pixels are far apart.
        mnist: Options of `MNIST`.
    """

    def __init__(self, order: Literal["rows", "pixels", "permuted"] = "rows", **mnist: Any) -> None:
        check_choice(("rows", "pixels", "permuted"), order=order)
        super().__init__(**mnist)
        self.order = order
        self.input_shape = [28, 28] if order == "rows" else [784, 1]

    def to_inputs(self, images: Tensor) -> Tensor:
        return self.permute(super().to_inputs(images))

    def permute(self, sequences: Tensor) -> Tensor:
        """Sequences `(N, T, D)` in the order of the images become sequences in the order of this data set."""
        return sequences[:, permutation().to(sequences.device)] if self.order == "permuted" else sequences

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        if self.order == "permuted":
            inputs = inputs[:, permutation().argsort().to(inputs.device)]  # back to the order of the images
        return self.permute(super().augment(inputs, draws))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "order": self.order}


def permutation() -> Tensor:
    """The permuted order of the pixels, the same in every run, whatever its seed: `(784,)`."""
    return torch.randperm(784, generator=torch.Generator().manual_seed(0))


class MNIST1D(BaseDataModule):
    """Ten kinds of strokes as 40 numbers, padded, shifted, sheared and noisy.

    The generator of Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D", with its settings and its seed:
    4,000 samples to train, 1,000 to test. Nothing is downloaded. Random numbers are drawn in the order of the authors'
    code. The samples were not compared with the file that the authors publish.

    Args:
        form: `vector` gives `[40]`. `steps` gives `[40, 1]`, for networks that read a sequence.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training samples held back for validation.
        seed: Seed of the order of samples. Set by `seed_everything`.
    """

    num_outputs = 10
    task = "classification"

    def __init__(
        self, form: Literal["vector", "steps"] = "vector", batch_size: int = 100, val_size: int = 500, seed: int = 0
    ) -> None:
        check_choice(("vector", "steps"), form=form)
        super().__init__(batch_size, val_size, seed)
        self.input_shape = [NUM_STEPS] if form == "vector" else [NUM_STEPS, 1]

    def load(self) -> tuple[Samples, Samples]:
        signals, labels = mnist1d()
        inputs = torch.from_numpy(signals).float().view(-1, *self.input_shape)
        targets = torch.from_numpy(labels)
        return (inputs[:NUM_TRAIN], targets[:NUM_TRAIN]), (inputs[NUM_TRAIN:], targets[NUM_TRAIN:])


def mnist1d() -> tuple[np.ndarray, np.ndarray]:
    """Generates all signals `(5000, 40)` and their labels `(5000,)`, in the published order."""
    random = np.random.RandomState(42)  # the authors' generator and seed
    strokes = (TEMPLATES - TEMPLATES.mean(1, keepdims=True)) / TEMPLATES.std(1, keepdims=True)
    strokes = (strokes - strokes[:, :1]) / 6
    labels = np.repeat(np.arange(10), NUM_SAMPLES // 10)
    signals = np.stack([transform(strokes[label], random) for label in labels])
    order = random.permutation(NUM_SAMPLES)
    signals, labels = signals[order], labels[order]
    return (signals - signals.mean()) / signals.std(), labels


def transform(stroke: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Pads, scales, shifts and shears a stroke and adds noise: `(12,)` to `(40,)`."""
    zeros = np.zeros(36 + int(random.rand() * 25))  # 36 to 60
    signal = interpolate(np.concatenate([stroke + 1e-8, zeros]), LENGTH)  # only padding is exactly 0
    signal = signal * (1 + 0.4 * (random.rand() - 0.5))
    signal = np.roll(signal, random.choice(48))
    noise = gaussian_filter(0.25 * random.randn(LENGTH), 2)
    signal = np.where(signal != 0, signal, noise) + 0.02 * random.randn(LENGTH)
    signal = signal - 0.75 * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, LENGTH)
    return interpolate(signal, NUM_STEPS)


def interpolate(signal: np.ndarray, length: int) -> np.ndarray:
    """Resamples a signal at `length` evenly spaced points, with linear interpolation."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)
