"""What all callbacks that look into a network share: when they look, on what, and that training notices nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

FOLDER = "insight"  # of a run: numbers behind the pictures, for figures of several runs


class Insight(L.Callback):
    """Looks into a network before training, at intervals, and when it ends; draws for TensorBoard what it sees.

    A subclass writes `look`; `why_not` if it does not apply to every run, and `finish` for what comes once. Training
    computes the same bits with and without it: it looks in evaluation mode, without gradients, and with generators of
    its own.

    Args:
        every_n_epochs: epochs from one look to the next; by default `num_intervals` looks a run. TensorBoard's slider
            keeps 10 pictures, unless it is started with --samples_per_plugin images=100.

    Attributes:
        seconds: it has looked for so long.

    Raises:
        ValueError: an interval below 1.
    """

    num_intervals: ClassVar[int] = 5  # of a run, by default; with 0 it looks only at the end

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None and every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__}: every_n_epochs={every_n_epochs} is too small; type 1 or more")
        self.every_n_epochs = every_n_epochs
        self.is_on = False

    # What a subclass writes.

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        """Why it does not apply to this run; none if it does."""
        return None

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Looks at the model as it is after `self.epoch` epochs."""
        raise NotImplementedError(f"{type(self).__name__} must say what it looks at")

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """What is left to do after the last look."""

    # When it looks.

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = 0.0
        self.last_look: int | None = None
        self.places: dict[str, list[Bbox]] = {}  # of the axes in the figures of a tag
        self.first_epoch = self.epoch = trainer.current_epoch  # finished ones
        self.num_epochs = epochs_of(trainer)
        reason = None
        if not hasattr(data_of(trainer), "splits") or not hasattr(pl_module, "loss"):
            reason = "it needs a model and data of this project's base classes"
        reason = reason or self.why_not(trainer, pl_module)
        if reason is None and board_of(trainer) is None:
            reason = "there is no TensorBoard logger to draw for"
        if reason is None and first_of(type(self), trainer) is not self:
            reason = "it was named twice"
        self.is_on = trainer.is_global_zero and reason is None
        if trainer.is_global_zero and reason is not None:
            print(f"{type(self).__name__} is off: {reason}.", flush=True)
        if self.is_on and self.epoch == 0 and self.is_due(0):
            self.look_aside(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        if self.is_on and self.is_due(self.epoch):
            self.look_aside(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_on and self.last_look != self.epoch:
            self.look_aside(trainer, pl_module)
        if self.is_on:
            start = time.perf_counter()
            self.finish(trainer, pl_module)
            self.seconds += time.perf_counter() - start

    def is_due(self, epoch: int) -> bool:
        """Whether it looks when this many epochs are finished; it looks after the last one anyway."""
        if self.every_n_epochs is None and self.num_intervals == 0:
            return False
        return epoch % (self.every_n_epochs or math.ceil(self.num_epochs / self.num_intervals)) == 0

    def look_aside(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        start = time.perf_counter()
        with aside(model):
            self.look(trainer, model)
        self.last_look = self.epoch
        self.seconds += time.perf_counter() - start

    # What it looks at, and where it draws.

    def samples(self, trainer: L.Trainer, most: int, split: str = "val") -> tuple[Tensor, Tensor]:
        """Samples of a split, evenly spaced over all; training samples where none validate."""
        splits = data_of(trainer).splits
        inputs, targets = splits[split if len(splits[split][1]) else "train"]
        chosen = torch.linspace(0, len(targets) - 1, min(most, len(targets))).long().to(targets.device)
        return trainer.precision_plugin.convert_input(inputs[chosen]), targets[chosen]

    def writer(self, trainer: L.Trainer) -> SummaryWriter:
        logger: Any = board_of(trainer)
        return logger.experiment

    def draw(self, trainer: L.Trainer, tag: str, figure: Figure, is_alike: bool = True) -> np.ndarray:
        """Puts a figure under TensorBoard's IMAGES, at x = finished epochs; returns its pixels `(H, W, 3)`.

        Args:
            trainer: of the run.
            tag: `<what it shows>/<of which part>`.
            figure: to be drawn.
            is_alike: its labels need as much room as those of the last one with this tag, which then is kept.
        """
        canvas = FigureCanvasAgg(figure)
        if is_alike and tag in self.places:  # arranging takes as long as drawing
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, self.places[tag], strict=True):
                axes.set_position(place)
        canvas.draw()
        self.places[tag] = [axes.get_position(original=True) for axes in figure.axes]
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        self.writer(trainer).add_image(tag, pixels, self.epoch, dataformats="HWC")
        return pixels

    def write_curves(self, trainer: L.Trainer, curves: dict[str, float], step: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(curves, step=step)

    def folder(self, trainer: L.Trainer) -> Path:
        """Of the run: for what is kept in files."""
        logger: Any = board_of(trainer)
        folder = Path(logger.log_dir, FOLDER)
        folder.mkdir(exist_ok=True)
        return folder

    def keep(self, trainer: L.Trainer, **arrays: np.ndarray) -> None:
        """Keeps the numbers behind the last picture in `insight/<callback>.npz` of the run."""
        np.savez_compressed(self.folder(trainer) / f"{type(self).__name__}.npz", allow_pickle=False, **arrays)


def data_of(trainer: Any) -> Any:
    return trainer.datamodule


def is_ink(trainer: L.Trainer) -> bool:
    """Whether the samples are strokes, light on dark, which are shown as ink on paper."""
    return bool(getattr(data_of(trainer), "is_ink", False))


def class_names(trainer: L.Trainer) -> list[str]:
    """The names of the classes, or their numbers if the data has no names."""
    data = data_of(trainer)
    return list(getattr(data, "classes", None) or map(str, range(data.num_outputs)))


def epochs_of(trainer: L.Trainer) -> int:
    """Epochs of the whole run; 1 if it has no end."""
    steps = trainer.estimated_stepping_batches
    steps_per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    return max(1, math.ceil(steps / steps_per_epoch)) if steps < math.inf else 1


def board_of(trainer: L.Trainer) -> TensorBoardLogger | None:
    """The first TensorBoard logger."""
    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


def first_of(kind: type[L.Callback], trainer: Any) -> L.Callback:
    return next(one for one in trainer.callbacks if type(one) is kind)


@contextmanager
def aside(model: L.LightningModule) -> Iterator[None]:
    """Inside, the model can be looked at in a way that training does not notice."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        # PyTorch's generators alone: a model draws from them, if from any, even in evaluation mode
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
