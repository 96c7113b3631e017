"""The progress of a run: one line per epoch, or one line that is updated."""

import math
import shutil
import sys
import time

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from callbacks.history import History

REFRESH = 0.2  # seconds between two updates inside an epoch
WIDTH = 12  # characters of the bar


class Progress(ProgressBar):
    """Prints one line per epoch.

    Args:
        history: Its seconds are shown, so that they agree with the result of the run.
    """

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.is_enabled = True
        self.metrics = ""  # of the last validation
        self.has_validated = False  # in the current epoch

    def disable(self) -> None:
        """Called by Lightning on every process but the first."""
        self.is_enabled = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.has_validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics if self.has_validated else {}
        self.has_validated = False
        shown = [f"  val loss {metrics['val/loss']:.4f}"] if "val/loss" in metrics else []
        shown += [f"  val acc {metrics['val/acc']:.2%}"] if "val/acc" in metrics else []
        self.metrics = "".join(shown)
        if self.is_enabled:
            self.show(trainer, self.history.seconds)

    def show(self, trainer: L.Trainer, seconds: float) -> None:
        print(self.line(trainer, seconds), flush=True)

    def line(self, trainer: L.Trainer, seconds: float, bar: str = "") -> str:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        return f"epoch {trainer.current_epoch + 1:2d}{of}{bar}{self.metrics}  {seconds:5.1f} s"


class LiveProgress(Progress):
    """Updates one line with a bar, for terminals and notebooks."""

    next_update = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        if self.is_enabled and time.perf_counter() > self.next_update:
            self.next_update = time.perf_counter() + REFRESH
            self.show(trainer, self.history.elapsed(trainer))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_enabled:
            print(flush=True)

    def show(self, trainer: L.Trainer, seconds: float) -> None:
        total, bar = trainer.estimated_stepping_batches, ""
        if 0 < total < math.inf:
            filled = min(WIDTH, round(WIDTH * trainer.global_step / total))
            bar = f"  [{'#' * filled}{'.' * (WIDTH - filled)}]"
        columns = shutil.get_terminal_size().columns - 1  # a longer line would become two
        print(f"\r{self.line(trainer, seconds, bar)[:columns]:{columns}}", end="", flush=True)


def progress(history: History) -> Progress:
    """Returns a live line for terminals and notebooks, otherwise one line per epoch."""
    is_live = sys.stdout.isatty() or "ipykernel" in sys.modules
    return LiveProgress(history) if is_live else Progress(history)
