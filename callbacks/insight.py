"""Base class of the inspection callbacks."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.drawing import MOST_LABELS, visible

FOLDER = "insight"  # in the folder of a run


class Insight(L.Callback):
    """Base class of the inspection callbacks. They run before training, at fixed intervals, and after training.

    They run in evaluation mode, without gradients and with random numbers of their own, so they never change the
    training run. Figures and curves have the number of finished epochs, `epoch`, on x.

    A subclass implements `inspect`. It may also implement `reason_to_skip` and `finish`. It uses the data module `data`
    and the TensorBoard logger `board` of the run.

    Args:
        every_n_epochs: Epochs between two inspections. None divides `max_epochs` into `num_intervals` intervals; a run
            without `max_epochs` is then inspected once, after training.
            TensorBoard's slider keeps 10 pictures, unless it is started with `--samples_per_plugin images=100`.

    Raises:
        ValueError: every_n_epochs is below 1.
    """

    num_intervals: ClassVar[int] = 5  # 0 inspects the network only after training

    def __init__(self, every_n_epochs: int | None = None) -> None:
        if every_n_epochs is not None and every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__}: every_n_epochs={every_n_epochs} must be at least 1")
        self.every_n_epochs = every_n_epochs
        self.is_on = False
        self.seconds = 0.0  # of all inspections, which the seconds of a run leave out

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Inspects the model after `self.epoch` epochs."""
        raise NotImplementedError(f"{type(self).__name__} must implement inspect")

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        """Why the callback cannot be used in this run, or None if it can."""
        return None

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Runs once, after the last inspection."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = 0.0
        self.epoch = trainer.current_epoch
        self.last_inspection: int | None = None  # its `epoch`
        self.data: Any = getattr(trainer, "datamodule", None)
        self.has_tokens = getattr(self.data, "num_tokens", None) is not None
        self.board: Any = tensorboard_logger(trainer)
        if not hasattr(self.data, "splits") or not hasattr(pl_module, "loss"):
            reason: str | None = "it needs a BaseModel and a BaseDataModule"
        elif self.board is None:
            reason = "there is no TensorBoard logger"
        else:
            reason = self.reason_to_skip(trainer, pl_module)
        self.is_on = trainer.is_global_zero and reason is None
        if trainer.is_global_zero and reason is not None:
            print(f"{type(self).__name__} is off: {reason}.", flush=True)
        max_epochs = trainer.max_epochs or -1
        default = math.ceil(max_epochs / self.num_intervals) if self.num_intervals and max_epochs > 0 else None
        self.interval = self.every_n_epochs or default
        if self.epoch == 0:
            self.inspect_if_due(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch = trainer.current_epoch + 1
        self.inspect_if_due(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_on:
            if self.last_inspection != self.epoch:
                self.run(self.inspect, trainer, pl_module)
            self.run(self.finish, trainer, pl_module)

    def inspect_if_due(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        if self.is_on and self.interval is not None and self.epoch % self.interval == 0:
            self.run(self.inspect, trainer, model)

    def run(self, method: Callable[..., None], trainer: L.Trainer, model: L.LightningModule) -> None:
        """Calls `inspect` or `finish` without an effect on training, and measures its time."""
        start = time.perf_counter()
        with evaluation_mode(model):
            method(trainer, model)
        self.last_inspection = self.epoch
        self.seconds += time.perf_counter() - start

    def samples(self, trainer: L.Trainer, most: int, split: str = "val") -> tuple[Tensor, ...]:
        """Evenly spaced samples of a split, or of training if it is empty: inputs, targets and any lengths."""
        splits = self.data.splits
        inputs, *others = splits[split if len(splits[split][1]) else "train"]
        chosen = torch.linspace(0, len(inputs) - 1, min(most, len(inputs))).long().to(inputs.device)
        return trainer.precision_plugin.convert_input(inputs[chosen]), *(values[chosen] for values in others)

    def step_labels(self, inputs: Tensor, *lengths: Tensor) -> list[str]:
        """The first 40 tokens of the first sample as text, or as numbers if the data has no `decode`, or no labels."""
        if not self.has_tokens:
            return []
        decode = getattr(self.data, "decode", lambda tokens: str(tokens[0]))
        end = int(lengths[0][0]) if lengths else None
        return [visible(decode([token])) for token in inputs[0, :end].tolist()[:MOST_LABELS]]

    def class_names(self) -> list[str]:
        """The names of the classes, or their numbers if the data has no names."""
        return self.data.classes or [str(label) for label in range(self.data.num_outputs)]

    def draw(self, tag: str, figure: Figure) -> np.ndarray:
        """Writes a figure to TensorBoard's IMAGES page and returns its pixels `(H, W, 3)`."""
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        self.board.experiment.add_image(tag, pixels, self.epoch, dataformats="HWC")
        return pixels

    def folder(self) -> Path:
        """The folder for files of the inspection callbacks, `insight/` in the folder of the run."""
        folder = Path(self.board.log_dir, FOLDER)
        folder.mkdir(exist_ok=True)
        return folder

    def save_arrays(self, **arrays: np.ndarray) -> None:
        """Saves the data of the last picture as `insight/<callback>.npz`, for figures that compare several runs."""
        np.savez_compressed(self.folder() / f"{type(self).__name__}.npz", allow_pickle=False, **arrays)


@contextmanager
def evaluation_mode(model: L.LightningModule) -> Iterator[None]:
    """Inside this context, the model can be called without an effect on the training run."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def tensorboard_logger(trainer: L.Trainer) -> TensorBoardLogger | None:
    """The first TensorBoard logger, or None."""
    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
