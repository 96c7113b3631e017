"""The progress of a run: Lightning's bar on a terminal or in a notebook, otherwise one line per epoch."""

import builtins
import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from callbacks.history import History

SECONDS_BETWEEN_UPDATES = 0.2  # an update takes longer than a training step of a small network


class LiveProgress(TQDMProgressBar):
    """Lightning's progress bar on one line, updated at fixed times instead of after a number of batches."""

    next_update = 0.0

    def _should_update(self, current: int, total: int) -> bool:
        if time.perf_counter() < self.next_update and current != total:
            return False
        self.next_update = time.perf_counter() + SECONDS_BETWEEN_UPDATES
        return self.is_enabled

    def init_validation_tqdm(self) -> Tqdm:
        is_fit = self.trainer.state.fn == "fit"  # where it would need a second line
        return Tqdm(disable=True) if is_fit else super().init_validation_tqdm()

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(epoch_number(trainer))

    def on_exception(self, *_: Any) -> None:
        for bar in vars(self).values():
            if isinstance(bar, Tqdm):
                bar.close()  # ends the line before the error message is printed


class EpochLines(ProgressBar):
    """Prints one line per epoch, with the seconds of the history, so that they agree with the result of the run."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history

    def disable(self) -> None:
        """Lightning calls this on every process but the first."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            metrics = self.history.validation.get(trainer.global_step, {})  # empty in an epoch without validation
            specs = {"loss": ".4f", "acc": ".2%"}
            texts = [f"val {name} {metrics[name]:{spec}}" for name, spec in specs.items() if name in metrics]
            print("  ".join([epoch_number(trainer), *texts, f"{self.history.seconds:5.1f} s"]), flush=True)


def epoch_number(trainer: L.Trainer) -> str:
    """The number of the current epoch, counted from 1."""
    total = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
    return f"epoch {trainer.current_epoch + 1:2d}{total}"


def progress(history: History) -> ProgressBar:
    """A bar on a terminal or in a notebook, otherwise one line per epoch, as for a pipe or a log file."""
    return LiveProgress() if sys.stdout.isatty() or hasattr(builtins, "__IPYTHON__") else EpochLines(history)
