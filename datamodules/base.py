"""Base class of the data modules: tensors in memory, a seeded validation split, and the loaders."""

from __future__ import annotations

import inspect
import logging
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from datamodules.checks import IGNORE_INDEX, check_at_least, check_samples
from datamodules.loader import Samples, ShuffledLoader, TensorLoader

log = logging.getLogger(__name__)


class BaseDataModule(L.LightningDataModule):
    """A data set that fits in memory. A subclass sets `input_shape`, `num_outputs` and `task`, and implements `load`.

    The samples are tensors on the device that trains. Their order depends on (seed, epoch) alone.

    Args:
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training samples held back for validation. With 0, there is no validation, unless the data
            set has validation samples of its own.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Raises:
        ValueError: If a size is outside its range.
    """

    input_shape: list[int]
    num_outputs: int
    task: Literal["classification", "tagging", "regression"]
    has_val_split = False  # whether `load` returns validation samples
    num_tokens: int | None = None  # size of the vocabulary, if the inputs are tokens: integers `(N, T)`
    has_lengths = False  # whether samples are sequences of unequal length, padded at the end
    classes: list[str] | None = None  # names of the classes, in the order of their labels; None shows numbers
    is_ink = False  # whether samples are light strokes on dark, as in MNIST; they are shown as ink on paper
    score: Literal["acc", "loss"] = "acc"  # decides which epoch is best; not used for regression
    num_draws = 0  # random numbers per sample for `augment`; with 0, training samples are not changed

    def __init__(self, batch_size: int = 128, val_size: int = 0, seed: int = 0) -> None:
        super().__init__()
        check_at_least(1, batch_size=batch_size)
        check_at_least(0, val_size=val_size)
        self.batch_size = batch_size
        self.val_size = val_size
        self.seed = seed
        self.splits: dict[str, Samples] = {}

    def load(self) -> tuple[Samples, ...]:
        """Returns the official training and test samples, each as (inputs, targets).

        If `has_val_split` is True, it returns training, validation and test samples.

        Inputs are `(N, *input_shape)` of float32, or of int64 for tokens. Targets are int64 `(N,)` for classification,
        int64 `(N, T)` for tagging, float32 `(N, num_outputs)` for regression.

        Sequences of unequal length are padded at the end to `input_shape[0]` steps, and `has_lengths` is True. The
        samples are then (inputs, targets, lengths), with the number of steps of each sequence as int64 `(N,)`. Labels
        behind the end must be -100.

        Draw random numbers from a generator with a fixed seed, because the state of the global one differs between
        models.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement load")

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """Returns a random variation of the training inputs `(B, *input_shape)`, on the device that trains.

        Args:
            inputs: A training batch.
            draws: Random numbers `(B, num_draws)`, uniform from 0 to 1. They depend on (seed, epoch, batch) alone.
        """
        raise NotImplementedError(f"{type(self).__name__} has num_draws={self.num_draws} and must implement augment")

    @property
    def title(self) -> str:
        """The name of the data set in tables and figures."""
        return type(self).__name__

    @property
    def has_validation(self) -> bool:
        return self.has_val_split or self.val_size > 0

    @property
    def monitor(self) -> str | None:
        """The metric that decides which epoch is best. None without validation."""
        score = "loss" if self.task == "regression" else self.score
        return f"val/{score}" if self.has_validation else None

    def setup(self, stage: str | None = None) -> None:
        self.check_model()
        if self.splits:
            return
        loaded, names = self.load(), ["train", "val", "test"] if self.has_val_split else ["train", "test"]
        if len(loaded) != len(names):
            raise ValueError(f"{self.title}.load gave {len(loaded)} splits; give {' and '.join(names)}")
        splits = dict(zip(names, loaded, strict=True))
        for name, samples in splits.items():
            check_samples(self, name, *samples)
        targets = splits["train"][1]
        if self.task == "classification" and len(targets.unique()) == 1:
            message = "All training samples of %s have the label %d, so there is nothing to learn."
            log.warning(message, self.title, int(targets[0]))
        if not self.has_val_split:
            rest, drawn = self.stratified_split(targets, self.val_size)
            splits["val"] = tuple(values[drawn] for values in splits["train"])
            splits["train"] = tuple(values[rest] for values in splits["train"])
        elif self.val_size:
            raise ValueError(f"val_size={self.val_size} does not go with own validation samples; use val_size=0")
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        self.splits = {name: tuple(values.to(device) for values in splits[name]) for name in ("train", "val", "test")}

    def check_model(self) -> None:
        """Raises a ValueError if the model of the run cannot read these samples."""
        model = self.trainer and self.trainer.lightning_module
        if self.has_lengths and model and "lengths" not in inspect.signature(model.forward).parameters:
            raise ValueError(
                f"{self.title} has sequences of unequal length, and {type(model).__name__}.forward has no argument "
                "lengths; choose RNN, TCN or Transformer, or add the argument"
            )

    def stratified_split(self, targets: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Draws `size` samples in proportion to the classes, the same in every run, whatever its seed.

        Returns the indices of the others, and of the drawn ones.
        """
        if size >= len(targets):
            raise ValueError(f"val_size={size} leaves nothing of the {len(targets)} samples to train on; reduce it")
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
        if self.task == "classification":
            order = order[targets[order].argsort(stable=True)]
        is_drawn = torch.zeros(len(targets), dtype=torch.bool)
        # evenly spaced over the samples sorted by class, so that each class gives the same fraction
        is_drawn[order[torch.arange(size) * len(targets) // max(size, 1)]] = True
        return torch.nonzero(~is_drawn).flatten(), torch.nonzero(is_drawn).flatten()

    def constant_loss(self) -> float:
        """The training loss of the best constant output: the class frequencies, or the mean of the targets."""
        targets = self.splits["train"][1]
        if self.task == "regression":
            return float(targets.var(0, correction=0).mean())
        frequencies = targets[targets != IGNORE_INDEX].bincount().double()
        frequencies = frequencies[frequencies > 0] / frequencies.sum()
        return float(-(frequencies * frequencies.log()).sum())

    def training_samples(self, epoch: int) -> Samples:
        """The training samples of an epoch. Override it for samples that are generated anew in each epoch.

        They must depend on (seed, epoch) alone, have the number of `splits["train"]`, and be on its device.
        """
        return self.splits["train"]

    def train_dataloader(self) -> ShuffledLoader | TensorLoader:
        rank, world_size = self.rank_and_world_size()
        if self.batch_size % world_size:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared among {world_size} devices; "
                f"use batch_size={self.batch_size // world_size * world_size or world_size}"
            )
        num_samples = len(self.splits["train"][1])
        if num_samples < self.batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {num_samples} training samples of {self.title}; "
                f"use batch_size={num_samples} or less"
            )
        loader = ShuffledLoader(
            self.training_samples, num_samples, self.batch_size, self.seed, rank, world_size, self.trainer
        )
        if self.trainer and self.trainer.overfit_batches:  # type: ignore[attr-defined]
            samples = self.training_samples(0)  # every epoch repeats the batches of the first
            order = loader.order()[rank::world_size].to(samples[0].device)
            return TensorLoader(tuple(values[order] for values in samples), self.batch_size // world_size)
        return loader

    def val_dataloader(self) -> TensorLoader | list[TensorLoader]:
        return self.evaluation_loader("val") if self.has_validation else []

    def test_dataloader(self) -> TensorLoader:
        return self.evaluation_loader("test")

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        # Lightning's prediction writers get the indices of the samples only from a DataLoader
        return DataLoader(TensorDataset(*self.splits["test"]), batch_size=self.batch_size)

    def evaluation_loader(self, split: str) -> TensorLoader:
        """Loads each sample of a split once, in order. With several devices, each takes every n-th sample."""
        rank, world_size = self.rank_and_world_size()
        samples = self.splits[split]
        if len(samples[1]) < world_size:  # a device without samples would make the others wait forever
            raise ValueError(f"{world_size} devices cannot share the {len(samples[1])} samples of the {split} split")
        batch_size = max(1, self.batch_size // world_size)
        return TensorLoader(tuple(values[rank::world_size] for values in samples), batch_size)

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> Samples:
        if not self.num_draws or not self.trainer or not self.trainer.training:
            return batch
        inputs, *others = batch
        loop: Any = self.trainer.fit_loop
        epoch, batch_idx = loop.epoch_progress.current.processed, loop.epoch_loop.batch_progress.current.ready
        random = np.random.default_rng([self.seed, epoch, batch_idx + 1])  # with 0, it would repeat the order's numbers
        rank, world_size = self.rank_and_world_size()
        draws = random.random((world_size, len(inputs), self.num_draws), dtype=np.float32)[rank]
        augmented = self.augment(inputs.float(), torch.from_numpy(draws).to(inputs.device))
        return augmented.to(inputs), *others  # back to the precision of the run

    def rank_and_world_size(self) -> tuple[int, int]:
        """The index of this process and the number of processes that train together."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Values that a checkpoint keeps. They must be equal wherever it is loaded."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses a checkpoint of other data or of another split, whose training samples may be test samples here."""
        for name, value in self.state_dict().items():
            if (saved := state_dict[name]) != value:
                is_option = name in inspect.signature(type(self)).parameters
                hint = f"{name}={saved}" if is_option else "the data of the checkpoint"
                raise ValueError(f"the checkpoint was made with {name}={saved}, not {name}={value}; use {hint}")
