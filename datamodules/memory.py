"""Two tasks that test a network's memory: add two marked numbers, and repeat ten symbols after a long delay."""

import math
from typing import Literal

import numpy as np
import torch

from datamodules.base import BaseDataModule
from datamodules.checks import check_at_least, check_choice
from datamodules.loader import Samples

SYMBOLS, BLANK, GO = range(1, 9), 0, 9  # the alphabet of `CopyMemory`


class Generated(BaseDataModule):
    """Base class of data that is generated anew in each epoch, so that a network cannot memorise the samples."""

    def __init__(self, num_samples: int, batch_size: int, val_size: int, test_size: int, seed: int) -> None:
        super().__init__(batch_size, val_size, seed)
        check_at_least(1, num_samples=num_samples, test_size=test_size)
        self.num_samples, self.test_size = num_samples, test_size

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        """Generates samples of the types that `load` promises."""
        raise NotImplementedError(f"{type(self).__name__} must implement draw")

    def load(self) -> tuple[Samples, Samples]:
        # the validation and test samples are the same in every run
        samples = self.draw(self.num_samples + self.val_size, np.random.default_rng([0, 0]))
        return samples, self.draw(self.test_size, np.random.default_rng([0, 1]))

    def training_samples(self, epoch: int) -> Samples:
        inputs, targets = self.draw(self.num_samples, np.random.default_rng([1, self.seed, epoch]))
        device = self.splits["train"][0].device
        return inputs.to(device), targets.to(device)


class AddingProblem(Generated):
    """Sequences of numbers from 0 to 1, two of them marked. The target is the sum of the marked numbers.

    Inputs are `[T, 2]`: the number, and 1 if it is marked, else 0. A constant output of 1 has a mean squared error of
    1/6, the variance of the sum. An error of 0.05 counts as solved (Keller et al. 2023, table 1).
    Source: Hochreiter & Schmidhuber 1997, section 5.4.

    Args:
        num_steps: T, the length of a sequence.
        marks: `halves`, one mark in each half (Arjovsky, Shah & Bengio 2016), or two `anywhere` (Bai et al. 2018).
        num_samples: Number of training samples, generated anew in each epoch.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of validation samples. They are the same for every seed.
        test_size: Number of test samples. They are the same for every seed.
        seed: Seed of the training samples. Set by `seed_everything`.
    """

    num_outputs = 1
    task = "regression"
    baseline = 1 / 6  # mean squared error of a constant output of 1

    def __init__(
        self,
        num_steps: int = 200,
        marks: Literal["halves", "anywhere"] = "halves",
        num_samples: int = 50_000,
        batch_size: int = 128,
        val_size: int = 1000,
        test_size: int = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__(num_samples, batch_size, val_size, test_size, seed)
        check_at_least(2, num_steps=num_steps)
        check_choice(("halves", "anywhere"), marks=marks)
        self.num_steps = num_steps
        self.marks = marks
        self.input_shape = [num_steps, 2]

    @property
    def title(self) -> str:
        return f"AddingProblem of {self.num_steps} steps"

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        numbers = random.random((num_samples, self.num_steps), dtype=np.float32)
        if self.marks == "halves":
            half = self.num_steps // 2
            first, second = random.integers(half, size=num_samples), random.integers(half, self.num_steps, num_samples)
        else:
            first = random.integers(self.num_steps, size=num_samples)
            second = random.integers(self.num_steps - 1, size=num_samples)
            second = second + (second >= first)  # any step but the first mark's
        marks = np.zeros_like(numbers)
        samples = np.arange(num_samples)
        marks[samples, first] = marks[samples, second] = 1
        sums = numbers[samples, first] + numbers[samples, second]
        return torch.from_numpy(np.stack([numbers, marks], axis=-1)), torch.from_numpy(sums)[:, None]


class CopyMemory(Generated):
    """Sequences of ten symbols, a delay and a go signal. The target is to repeat the ten symbols at the end.

    A sequence has T + 20 steps: ten of eight symbols, T - 1 blanks, the go signal and ten blanks. Inputs are
    `[T + 20, 10]`, one-hot. Targets are 0 (blank) to 8 at every step, and blank except at the last ten steps.
    Source: Arjovsky, Shah & Bengio 2016, after Hochreiter & Schmidhuber 1997.

    Args:
        num_steps: T, the length of the delay.
        num_samples: Number of training samples, generated anew in each epoch.
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of validation samples. They are the same for every seed.
        test_size: Number of test samples. They are the same for every seed.
        seed: Seed of the training samples. Set by `seed_everything`.
    """

    num_outputs = 9
    task = "tagging"
    score = "loss"  # the accuracy is high from the start: most targets are blank

    def __init__(
        self,
        num_steps: int = 100,
        num_samples: int = 10_000,
        batch_size: int = 128,
        val_size: int = 1000,
        test_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(num_samples, batch_size, val_size, test_size, seed)
        check_at_least(1, num_steps=num_steps)
        self.num_steps = num_steps
        self.input_shape = [num_steps + 20, 10]

    @property
    def baseline(self) -> float:
        """The mean loss of a network without memory: blanks at the right steps, and ten random symbols."""
        return 10 * math.log(8) / (self.num_steps + 20)

    @property
    def title(self) -> str:
        return f"CopyMemory over {self.num_steps} steps"

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        symbols = torch.from_numpy(random.integers(SYMBOLS.start, SYMBOLS.stop, (num_samples, 10)))
        sequences = torch.full((num_samples, self.num_steps + 20), BLANK)
        sequences[:, :10] = symbols
        sequences[:, self.num_steps + 9] = GO
        targets = torch.full_like(sequences, BLANK)
        targets[:, -10:] = symbols
        return torch.eye(10)[sequences], targets  # one-hot; `nn.functional.one_hot` would give 64-bit integers
