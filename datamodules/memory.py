"""Two tasks that ask for nothing but memory: add what was marked long ago, and say what was heard long ago."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.base import BaseDataModule
from datamodules.loader import Samples

DIGITS, BLANK, GO = range(1, 9), 0, 9  # the symbols of `CopyMemory`


class Generated(BaseDataModule):
    """Samples that are drawn: others in each epoch, so that none can be learned by heart."""

    def __init__(self, num_samples: int, batch_size: int, val_size: int, test_size: int, seed: int) -> None:
        super().__init__(batch_size, val_size, seed)
        for name, value in (("num_samples", num_samples), ("test_size", test_size)):
            if value < 1:
                raise ValueError(f"{name}={value} is too small; use {name}=1 or more")
        self.num_samples = num_samples
        self.test_size = test_size

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        """So many samples, as `load` promises them."""
        raise NotImplementedError(f"{type(self).__name__} must draw its samples")

    def load(self) -> tuple[Samples, Samples]:
        # what validates and tests is the same for every run
        samples = self.draw(self.num_samples + self.val_size, np.random.default_rng([0, 0]))
        return samples, self.draw(self.test_size, np.random.default_rng([0, 1]))

    def training_samples(self, epoch: int) -> Samples:
        inputs, targets = self.draw(self.num_samples, np.random.default_rng([1, self.seed, epoch]))
        device = self.splits["train"][0].device
        return inputs.to(device), targets.to(device)


class AddingProblem(Generated):
    """Numbers from 0 to 1, two of them marked: what is their sum? (Hochreiter & Schmidhuber 1997, section 5.4)

    Whoever always answers 1 has a mean squared error of 1/6, the variance of the sum; 0.05 counts as solved
    (Keller et al. 2023, table 1). Inputs `[T, 2]`: the number and its mark, 1 or 0.

    Args:
        num_steps: T, the length of a sequence.
        marks: `halves`, one mark in each half (Arjovsky, Shah & Bengio 2016), or two `anywhere` (Bai et al. 2018).
        num_samples: training samples, drawn anew in every epoch.
        batch_size: samples an optimizer step, over all devices.
        val_size: samples to validate on, the same for every seed; 0 has none.
        test_size: samples to test on, always the same.
        seed: of what is drawn; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range.
    """

    num_outputs = 1
    task = "regression"
    baseline = 1 / 6  # mean squared error of the answer 1

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
        if num_steps < 2:
            raise ValueError(f"num_steps={num_steps} has no room for two marks; use num_steps=2 or more")
        if marks not in ("halves", "anywhere"):
            raise ValueError(f"marks={marks!r} must be one of halves, anywhere")
        self.num_steps = num_steps
        self.marks = marks
        self.input_shape = [num_steps, 2]

    @property
    def title(self) -> str:
        return f"AddingProblem of {self.num_steps} steps"

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        numbers = random.random((num_samples, self.num_steps), dtype=np.float32)
        half = self.num_steps // 2
        if self.marks == "halves":
            first, second = random.integers(half, size=num_samples), random.integers(half, self.num_steps, num_samples)
        else:
            first, second = (
                random.integers(self.num_steps, size=num_samples),
                random.integers(self.num_steps - 1, size=num_samples),
            )
            second = second + (second >= first)  # any step but the first
        marks = np.zeros_like(numbers)
        samples = np.arange(num_samples)
        marks[samples, first] = marks[samples, second] = 1
        sums = numbers[samples, first] + numbers[samples, second]
        return torch.from_numpy(np.stack([numbers, marks], axis=-1)), torch.from_numpy(sums)[:, None]


class CopyMemory(Generated):
    """Ten symbols, a long wait, a sign: what were they? (Hochreiter & Schmidhuber 1997; here as Arjovsky et al. 2016)

    The sequence has T + 20 steps: ten of eight symbols, T - 1 blanks, the sign, ten blanks; the answer is blank but for
    the last ten steps. Whoever knows when to answer but guesses what has a mean loss of 10 ln 8 / (T + 20).
    Inputs `[T + 20, 10]`, one-hot; targets 0 (blank) to 8, at every step.

    Args:
        num_steps: T, how long to wait.
        num_samples: training samples, drawn anew in every epoch.
        batch_size: samples an optimizer step, over all devices.
        val_size: samples to validate on, the same for every seed; 0 has none.
        test_size: samples to test on, always the same.
        seed: of what is drawn; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range.
    """

    num_outputs = 9
    task = "tagging"

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
        if num_steps < 1:
            raise ValueError(f"num_steps={num_steps} is too small; use num_steps=1 or more")
        self.num_steps = num_steps
        self.input_shape = [num_steps + 20, 10]

    @property
    def baseline(self) -> float:
        """The mean loss of whoever knows when to answer but guesses what."""
        return 10 * math.log(8) / (self.num_steps + 20)

    @property
    def monitor(self) -> str | None:
        return "val/loss" if self.val_size else None  # accuracy is high from the start: most answers are blank

    @property
    def monitor_mode(self) -> str:
        return "min"

    @property
    def title(self) -> str:
        return f"CopyMemory over {self.num_steps} steps"

    def draw(self, num_samples: int, random: np.random.Generator) -> Samples:
        heard = torch.from_numpy(random.integers(DIGITS.start, DIGITS.stop, (num_samples, 10)))
        symbols = torch.full((num_samples, self.num_steps + 20), BLANK)
        symbols[:, :10] = heard
        symbols[:, self.num_steps + 9] = GO
        targets = torch.full_like(symbols, BLANK)
        targets[:, -10:] = heard
        return one_hot(symbols), targets


def one_hot(symbols: Tensor) -> Tensor:
    """`(N, T)` of 0 to 9 to `(N, T, 10)`."""
    return torch.eye(10)[symbols]  # nn.functional.one_hot would make 64-bit integers on the way
