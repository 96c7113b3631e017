"""What every data set shares: tensors in memory, a seeded split, and loaders that cut batches by index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor

Samples = tuple[Tensor, Tensor]  # inputs (N, *input_shape), targets (N, ...)

SPLIT_SEED = 0  # which samples validate: the same for every run, whatever its seed


class BaseDataModule(L.LightningDataModule):
    """A data set: its task, and its samples in batches. A subclass sets the three names below and writes `load`.

    Data sets here fit in memory, so they are held as tensors on the device that trains, and a batch is one
    indexing operation: no workers, no copies. The order of samples depends on (seed, epoch) alone.

    Args:
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation; with 0 all are trained on and none validates.
        steps_per_execution: optimizer steps a call of `training_step`, as Keras names it. It changes how
            often callbacks and the progress bar look, not what is computed.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: a size outside its range.
    """

    input_shape: list[int]
    num_outputs: int
    task: Literal["classification", "tagging", "regression"]
    num_draws = 0  # random numbers that `augment` takes for a sample; 0 leaves the samples as they are

    def __init__(self, batch_size: int = 128, val_size: int = 0, steps_per_execution: int = 1, seed: int = 0) -> None:
        super().__init__()
        for name, value, lowest in (
            ("batch_size", batch_size, 1),
            ("val_size", val_size, 0),
            ("steps_per_execution", steps_per_execution, 1),
        ):
            if value < lowest:
                raise ValueError(f"{name}={value} is too small; type --data.{name} {lowest} or more")
        self.batch_size = batch_size
        self.val_size = val_size
        self.steps_per_execution = steps_per_execution
        self.seed = seed
        self.splits: dict[str, Samples] = {}

    def load(self) -> tuple[Samples, Samples]:
        """The official training samples and the official test samples, each as (inputs, targets).

        Inputs are float32 `(N, *input_shape)`. Targets are int64 `(N,)` for classification, int64 `(N, T)` for
        tagging, float32 `(N, num_outputs)` for regression. What is random needs a generator of its own with a fixed
        seed: the global one has a different state for every model.
        """
        raise NotImplementedError(f"{type(self).__name__} must load its samples")

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """Training inputs `(B, *input_shape)`, changed at random, anew in each epoch.

        What is random comes from `draws`, `(B, num_draws)` uniform from 0 to 1, which like the order of the samples
        depend on (seed, epoch) alone.
        """
        raise NotImplementedError(f"{type(self).__name__} has num_draws={self.num_draws} and must use them")

    @property
    def title(self) -> str:
        """What the data is called where results are shown."""
        return type(self).__name__

    @property
    def monitor(self) -> str | None:
        """The metric that says which epoch is best; none without validation."""
        if self.val_size == 0:
            return None
        return "val/loss" if self.task == "regression" else "val/acc"

    @property
    def monitor_mode(self) -> str:
        """Whether the best value of `monitor` is its `min` or its `max`."""
        return "min" if self.task == "regression" else "max"

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        (inputs, targets), test = self.load()
        for samples in ((inputs, targets), test):
            self.check(*samples)
        train, val = self.cut(targets, self.val_size)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        splits = {"train": (inputs[train], targets[train]), "val": (inputs[val], targets[val]), "test": test}
        self.splits = {name: (x.to(device), y.to(device)) for name, (x, y) in splits.items()}

    def check(self, inputs: Tensor, targets: Tensor) -> None:
        """Raises a ValueError if samples are not what `load` promises."""
        dtype = torch.float32 if self.task == "regression" else torch.int64
        if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
            raise ValueError(f"{self.title}.load gave {type(inputs).__name__}; give tensors: torch.from_numpy(...)")
        if inputs.dtype != torch.float32 or targets.dtype != dtype:
            raise ValueError(
                f"{self.title}.load gave inputs of {inputs.dtype} and targets of {targets.dtype}; "
                f"{self.task} takes torch.float32 and {dtype}: use .float() and .long()"
            )
        if list(inputs.shape[1:]) != list(self.input_shape) or len(inputs) != len(targets):
            raise ValueError(
                f"{self.title}.load gave inputs of shape {list(inputs.shape)} for {len(targets)} targets; "
                f"input_shape={list(self.input_shape)} needs {[len(targets), *self.input_shape]}"
            )

    def cut(self, targets: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Indices of the samples that stay and of `size` others, drawn by class with a fixed seed."""
        if size >= len(targets):
            raise ValueError(
                f"val_size={size} leaves nothing of the {len(targets)} samples to train on; "
                f"type a smaller --data.val_size"
            )
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(SPLIT_SEED))
        if self.task == "classification":
            order = order[targets[order].argsort(stable=True)]
        is_cut = torch.zeros(len(targets), dtype=torch.bool)
        # evenly spaced over the samples sorted by class: each class gives its share
        is_cut[order[torch.arange(size) * len(targets) // max(size, 1)]] = True
        return torch.nonzero(~is_cut).flatten(), torch.nonzero(is_cut).flatten()

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps an epoch: whole batches, as many as `trainer.limit_train_batches` allows."""
        num_samples = len(self.splits["train"][1])
        num_batches = num_samples // self.batch_size
        if num_batches == 0:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {num_samples} training samples of {self.title}; "
                f"type --data.batch_size {num_samples} or less"
            )
        limit = self.trainer.limit_train_batches if self.trainer else 1.0
        if isinstance(limit, float) and limit != 1.0:
            raise ValueError(
                f"{limit} of an epoch: trainer.limit_train_batches and overfit_batches take whole batches here; "
                f"type --trainer.limit_train_batches {max(2, int(limit * num_batches))}"
            )
        return min(limit, num_batches) if isinstance(limit, int) else num_batches

    def train_dataloader(self) -> ChunkLoader:
        rank, world_size = self.place()
        if self.batch_size % world_size:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared among {world_size} devices; "
                f"type --data.batch_size {self.batch_size // world_size * world_size or world_size}"
            )
        sampler = EpochSampler(len(self.splits["train"][1]), self.seed)
        sampler.is_fixed = bool(getattr(self.trainer, "overfit_batches", 0))
        shape = (self.steps_per_epoch, world_size, self.batch_size // world_size)
        augmentation = (self.augment, self.num_draws) if self.num_draws else None
        return ChunkLoader(self.training_samples, sampler, shape, rank, self.steps_per_execution, augmentation)

    def training_samples(self, epoch: int) -> Samples:
        """What an epoch trains on: always the same here. Override it for data that is drawn anew in each epoch.

        It is to depend on (seed, epoch) alone, to have as many samples as `splits["train"]`, and to be on its device.
        """
        return self.splits["train"]

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        return self.evaluation_loader("val") if self.val_size else []

    def test_dataloader(self) -> BatchLoader:
        return self.evaluation_loader("test")

    def predict_dataloader(self) -> BatchLoader:
        return self.evaluation_loader("test")

    def read_images(self, path: Path) -> tuple[Tensor, list[str]]:
        """Inputs `(N, *input_shape)` from an image or a folder of them, and the names of their files.

        Raises:
            ValueError: nothing there is an image, or the samples of this data are none.
        """
        raise ValueError(f"{self.title} is not made of images; leave out --images to predict on its test samples")

    def evaluation_loader(self, split: str) -> BatchLoader:
        """Every sample of the split once, in order; a device takes every world_size-th, so its share of each batch.

        Raises:
            ValueError: fewer samples than devices.
        """
        rank, world_size = self.place()
        inputs, targets = self.splits[split]
        if len(targets) < world_size:  # the device without any would leave the others waiting
            raise ValueError(
                f"the {len(targets)} {split} samples of {self.title} cannot be shared among {world_size} devices; "
                f"type --trainer.devices {len(targets)}"
            )
        batch_size = max(1, self.batch_size // world_size)
        return BatchLoader((inputs[rank::world_size], targets[rank::world_size]), batch_size)

    def place(self) -> tuple[int, int]:
        """This process among those that train together: (rank, number of processes)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class EpochSampler:
    """The order of the training samples: a pure function of (seed, epoch), the same on every device."""

    def __init__(self, num_samples: int, seed: int) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0
        self.is_fixed = False  # `trainer.overfit_batches` needs the same batches in each epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = 0 if self.is_fixed else epoch

    def order(self) -> Tensor:
        """Indices of all samples, shuffled: `(N,)`."""
        # numpy mixes the numbers; PyTorch's CPU generator heeds only the lower 32 bits of one
        return torch.from_numpy(np.random.default_rng([self.seed, self.epoch]).permutation(self.num_samples))

    def draws(self, batch_idx: int, shape: tuple[int, ...]) -> Tensor:
        """Random numbers, uniform from 0 to 1, for the samples of a batch."""
        random = np.random.default_rng([self.seed, self.epoch, batch_idx + 1])  # 0 would be the stream of `order`
        return torch.from_numpy(random.random(shape, dtype=np.float32))


class Chunk:
    """Batches in a row, each cut from the samples when its turn comes: it is then used while it lies in the cache.

    Lightning's hooks that move and convert a batch do not look into it: what is in it lies on the device already, and
    `training_step` converts it.
    """

    def __init__(self, cut: Callable[[int], Samples], numbers: range) -> None:
        self.cut = cut
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Samples]:
        return map(self.cut, self.numbers)


class ChunkLoader:
    """Training batches `(B, ...)`, `steps_per_execution` at a time, each by one indexing operation.

    The last partial batch of an epoch is dropped. The last chunk may hold fewer batches than the others.

    Args:
        samples: gives inputs and targets of an epoch.
        sampler: gives the order of the samples in an epoch.
        shape: batches an epoch, devices, samples a batch and device.
        rank: which device this is; it takes its slice of every batch.
        steps_per_execution: batches a chunk.
        augmentation: what changes the inputs of a batch, and how many random numbers it takes for a sample.
    """

    def __init__(
        self,
        samples: Callable[[int], Samples],
        sampler: EpochSampler,
        shape: tuple[int, int, int],
        rank: int,
        steps_per_execution: int,
        augmentation: tuple[Callable[[Tensor, Tensor], Tensor], int] | None = None,
    ) -> None:
        self.samples = samples
        self.sampler = sampler
        self.shape = shape
        self.rank = rank
        self.steps_per_execution = steps_per_execution
        self.augmentation = augmentation

    def __len__(self) -> int:
        return math.ceil(self.shape[0] / self.steps_per_execution)

    def __iter__(self) -> Iterator[Chunk]:
        inputs, targets = self.samples(self.sampler.epoch)
        num_batches, world_size, batch_size = self.shape
        order = self.sampler.order()[: num_batches * world_size * batch_size]
        batches = order.view(self.shape)[:, self.rank].to(inputs.device).unbind()
        if self.augmentation:
            augment, num_draws = self.augmentation

        def cut(number: int) -> Samples:
            indices = batches[number]  # `index_select` takes a third of the time of `inputs[indices]` on a CPU
            chosen, labels = inputs.index_select(0, indices), targets.index_select(0, indices)
            if self.augmentation:
                draws = self.sampler.draws(number, (world_size * batch_size, num_draws))
                chosen = augment(chosen, draws.view(world_size, batch_size, -1)[self.rank].to(inputs.device))
            return chosen, labels

        for first in range(0, num_batches, self.steps_per_execution):
            yield Chunk(cut, range(first, min(first + self.steps_per_execution, num_batches)))


class BatchLoader:
    """Batches for validation and test, `(B, ...)`, in order; the last one may be smaller, none is dropped."""

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self.samples = samples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.samples[1]) / self.batch_size)

    def __iter__(self) -> Iterator[Samples]:
        inputs, targets = self.samples
        return zip(inputs.split(self.batch_size), targets.split(self.batch_size), strict=True)
