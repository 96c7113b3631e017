"""What every data set shares: tensors in memory, a seeded split, and the loaders."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from datamodules.loader import ResumableLoader, Samples, ShuffledLoader, TensorLoader

log = logging.getLogger(__name__)

SPLIT_SEED = 0  # the validation samples are the same for every run, whatever its seed
IGNORE_INDEX = -100  # PyTorch's own: a target with this value counts neither in the loss nor in the accuracy


class BaseDataModule(L.LightningDataModule):
    """A data set that fits in memory. A subclass sets the three names below and writes `load`.

    The samples are kept as tensors on the device that trains. Their order depends on (seed, epoch) alone.

    Args:
        batch_size: Samples per optimizer step, over all devices.
        val_size: Number of training samples held back for validation. With 0, there is no validation.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Raises:
        ValueError: a size outside its range.
    """

    input_shape: list[int]
    num_outputs: int
    task: Literal["classification", "tagging", "regression"]
    classes: list[str] | None = None  # names of the classes, in the order of their labels; None shows numbers
    is_ink = False  # whether the samples are strokes, light on dark as in MNIST, which are shown as ink on paper
    num_draws = 0  # random numbers per sample that `augment` takes; 0 leaves the samples as they are

    def __init__(self, batch_size: int = 128, val_size: int = 0, seed: int = 0) -> None:
        super().__init__()
        for name, value, lowest in (("batch_size", batch_size, 1), ("val_size", val_size, 0)):
            if value < lowest:
                raise ValueError(f"{name}={value} is too small; use {name}={lowest} or more")
        self.batch_size = batch_size
        self.val_size = val_size
        self.seed = seed
        self.splits: dict[str, Samples] = {}

    def load(self) -> tuple[Samples, Samples]:
        """The official training samples and the official test samples, each as (inputs, targets).

        Inputs are float32 or, for tokens, int64 `(N, *input_shape)`. Targets are int64 `(N,)` for classification,
        int64 `(N, T)` for tagging, float32 `(N, num_outputs)` for regression. Draw random numbers from a generator
        with a fixed seed: the global one has a different state for every model.
        """
        raise NotImplementedError(f"{type(self).__name__} must load its samples")

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """Training inputs `(B, *input_shape)`, changed at random, on the device that trains.

        The random numbers are `draws`, `(B, num_draws)` uniform from 0 to 1. They depend on (seed, epoch, batch) alone.
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
        for split, samples in (("training", (inputs, targets)), ("test", test)):
            self.check(*samples)
            self.check_values(split, *samples)
        if self.task == "classification" and len(targets.unique()) == 1:
            log.warning(
                "All %d training samples of %s have the label %d, so there is nothing to tell apart.",
                *(len(targets), self.title, int(targets[0])),
            )
        train, val = self.cut(targets, self.val_size)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        splits = {"train": (inputs[train], targets[train]), "val": (inputs[val], targets[val]), "test": test}
        self.splits = {name: (x.to(device), y.to(device)) for name, (x, y) in splits.items()}

    def check(self, inputs: Tensor, targets: Tensor) -> None:
        """Raises a ValueError if samples are not what `load` promises."""
        dtype = torch.float32 if self.task == "regression" else torch.int64
        if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
            raise ValueError(f"{self.title}.load gave {type(inputs).__name__}; give tensors: torch.from_numpy(...)")
        if inputs.dtype not in (torch.float32, torch.int64) or targets.dtype != dtype:
            raise ValueError(
                f"{self.title}.load gave inputs of {inputs.dtype} and targets of {targets.dtype}; {self.task} takes "
                f"inputs of torch.float32, or torch.int64 for tokens, and targets of {dtype}: use .float() and .long()"
            )
        if list(inputs.shape[1:]) != list(self.input_shape) or len(inputs) != len(targets):
            raise ValueError(
                f"{self.title}.load gave inputs of shape {list(inputs.shape)} for {len(targets)} targets; "
                f"input_shape={list(self.input_shape)} needs {[len(targets), *self.input_shape]}"
            )

    def check_values(self, split: str, inputs: Tensor, targets: Tensor) -> None:
        """Raises a ValueError that names the first sample with a value that cannot be trained on."""
        if len(targets) == 0:
            raise ValueError(f"{self.title}.load gave no {split} samples; give at least 1")
        checks = [("input", inputs, inputs.isfinite(), "finite numbers")]
        if self.task == "regression":
            checks.append(("target", targets, targets.isfinite(), "finite numbers"))
        else:
            is_label = ((targets >= 0) & (targets < self.num_outputs)) | (targets == IGNORE_INDEX)
            checks.append(("label", targets, is_label, f"0 to {self.num_outputs - 1}"))
        for kind, values, is_right, expected in checks:
            if not is_right.all():
                place = (~is_right).nonzero()[0].tolist()
                raise ValueError(
                    f"{self.title}.load gave the {kind} {values[tuple(place)].item()} in {split} sample {place[0]}; "
                    f"{kind}s must be {expected}"
                )
        if self.classes is not None and len(self.classes) != self.num_outputs:
            raise ValueError(
                f"{self.title} has {len(self.classes)} classes, not num_outputs={self.num_outputs}; name all classes"
            )

    def constant_loss(self) -> float:
        """The loss on the training samples of the best constant output: the class frequencies, or the mean."""
        _, targets = self.splits["train"]
        if self.task == "regression":
            return float(targets.var(0, correction=0).mean())
        frequencies = targets[targets != IGNORE_INDEX].bincount().double()
        frequencies = frequencies[frequencies > 0] / frequencies.sum()
        return float(-(frequencies * frequencies.log()).sum())

    def cut(self, targets: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Indices of the samples that stay and of `size` others, drawn by class with a fixed seed."""
        if size >= len(targets):
            raise ValueError(
                f"val_size={size} leaves nothing of the {len(targets)} samples to train on; use a smaller val_size"
            )
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(SPLIT_SEED))
        if self.task == "classification":
            order = order[targets[order].argsort(stable=True)]
        is_cut = torch.zeros(len(targets), dtype=torch.bool)
        # evenly spaced over the samples sorted by class: each class gives its share
        is_cut[order[torch.arange(size) * len(targets) // max(size, 1)]] = True
        return torch.nonzero(~is_cut).flatten(), torch.nonzero(is_cut).flatten()

    def train_dataloader(self) -> ShuffledLoader | TensorLoader:
        rank, world_size = self.place()
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
        arguments = (self.training_samples, num_samples, self.batch_size, self.seed, rank, world_size)
        if not self.trainer:
            return ShuffledLoader(*arguments)
        # every epoch repeats the batches of the first
        if self.trainer.overfit_batches:  # type: ignore[attr-defined]
            inputs, targets = self.training_samples(0)
            order = ShuffledLoader(*arguments).order()[rank::world_size].to(inputs.device)
            return TensorLoader((inputs[order], targets[order]), self.batch_size // world_size)
        loader = ResumableLoader(*arguments)
        loader.trainer = self.trainer
        return loader

    def training_samples(self, epoch: int) -> Samples:
        """The samples of an epoch: always the same here. Override it for data that is drawn anew in each epoch.

        They must depend on (seed, epoch) alone, be as many as `splits["train"]`, and be on its device.
        """
        return self.splits["train"]

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> Samples:
        if not self.num_draws or not self.trainer or not self.trainer.training:
            return batch
        inputs, targets = batch
        draws = self.draws(len(inputs)).to(inputs.device)
        return self.augment(inputs.float(), draws).to(inputs), targets  # in whatever precision the run has

    def draws(self, num_samples: int) -> Tensor:
        """Random numbers, uniform from 0 to 1, for the samples of the next training batch: `(B, num_draws)`."""
        loop: Any = self.trainer.fit_loop  # type: ignore[union-attr]
        epoch, batch_idx = loop.epoch_progress.current.processed, loop.epoch_loop.batch_progress.current.ready
        random = np.random.default_rng([self.seed, epoch, batch_idx + 1])  # 0 would be the stream of the order
        rank, world_size = self.place()
        draws = random.random((world_size, num_samples, self.num_draws), dtype=np.float32)
        return torch.from_numpy(draws[rank])

    def val_dataloader(self) -> TensorLoader | list[TensorLoader]:
        return self.evaluation_loader("val") if self.val_size else []

    def test_dataloader(self) -> TensorLoader:
        return self.evaluation_loader("test")

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        # Lightning knows the indices of the samples, which its prediction writers take, of a DataLoader only
        return DataLoader(TensorDataset(*self.splits["test"]), batch_size=self.batch_size)

    def read_images(self, path: Path) -> tuple[Tensor, list[str]]:
        """Inputs `(N, *input_shape)` from an image or a folder of them, and the names of their files.

        Raises:
            ValueError: nothing there is an image, or the samples of this data are none.
        """
        raise ValueError(f"{self.title} is not made of images, so it cannot read {path}; predict on its test samples")

    def evaluation_loader(self, split: str) -> TensorLoader:
        """Every sample of the split once, in order. A process takes every world_size-th sample.

        Raises:
            ValueError: fewer samples than devices.
        """
        rank, world_size = self.place()
        inputs, targets = self.splits[split]
        if len(targets) < world_size:  # the device without any would leave the others waiting
            raise ValueError(
                f"the {len(targets)} {split} samples of {self.title} cannot be shared among {world_size} devices; "
                f"use devices={len(targets)} of the trainer"
            )
        batch_size = max(1, self.batch_size // world_size)
        return TensorLoader((inputs[rank::world_size], targets[rank::world_size]), batch_size)

    def place(self) -> tuple[int, int]:
        """This process among those that train together: (rank, number of processes)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
