"""Loaders of tensors in memory. A batch is one indexing operation, without worker processes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

Samples = tuple[Tensor, ...]  # inputs (N, *input_shape), targets (N, ...), and lengths (N,) of unequal sequences


@dataclass(eq=False, repr=False)
class TensorLoader:
    """Batches `(inputs, targets)`, or `(inputs, targets, lengths)`, in order. The last batch may be smaller."""

    samples: Samples
    batch_size: int

    def __len__(self) -> int:
        return math.ceil(len(self.samples[1]) / self.batch_size)

    def __iter__(self) -> Iterator[Samples]:
        return zip(*(values.split(self.batch_size) for values in self.samples), strict=True)


@dataclass(eq=False, repr=False)
class ShuffledLoader:
    """Batches of shuffled samples, without a smaller last one. Their order depends on (seed, epoch) alone.

    Args:
        samples: Returns the samples of an epoch. Their number is the same in every epoch.
        num_samples: Number of samples per epoch.
        batch_size: Samples per batch, over all processes.
        seed: Seed of the order.
        rank: Index of this process, which takes its part of every batch.
        world_size: Number of processes that train together.
        trainer: With a trainer, an epoch that is resumed starts at the trainer's next batch.
    """

    samples: Callable[[int], Samples]
    num_samples: int
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    trainer: L.Trainer | None = None
    epoch: int = 0

    @property
    def sampler(self) -> ShuffledLoader:
        """Lightning sets the epoch of `loader.sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples // self.batch_size

    def order(self) -> Tensor:
        """The indices of all samples, shuffled: `(N,)`."""
        # numpy mixes both numbers into its seed; PyTorch's CPU generator uses only the lower 32 bits of one number
        return torch.from_numpy(np.random.default_rng([self.seed, self.epoch]).permutation(self.num_samples))

    def __iter__(self) -> Iterator[Samples]:
        samples = self.samples(self.epoch)
        batches = self.order().to(samples[0].device).split(self.batch_size)
        first = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.trainer else 0
        for batch in itertools.islice(batches, first, len(self)):
            indices = batch if self.world_size == 1 else batch.view(self.world_size, -1)[self.rank]
            # on a CPU, `index_select` takes a third of the time of `inputs[indices]`
            yield tuple([values.index_select(0, indices) for values in samples])

    # Lightning warns that a loader without these two cannot be resumed. This one needs only the trainer's progress.

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass
