"""The progress of a run in one line."""

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
    """One line that is updated in a terminal or notebook. Elsewhere, such as in a file, one line per epoch.

    Args:
        history: Its seconds are shown, so that they agree with the result of the run.
    """

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.is_enabled = True
        self.is_rewriting = sys.stdout.isatty() or "ipykernel" in sys.modules
        self.next_update = 0.0
        self.metrics = ""  # of the last validation
        self.has_validated = False  # in the current epoch

    def disable(self) -> None:
        """Called by Lightning on every process but the first."""
        self.is_enabled = False

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        if self.is_enabled and self.is_rewriting and time.perf_counter() > self.next_update:
            self.next_update = time.perf_counter() + REFRESH
            self.rewrite(self.line(trainer, self.history.elapsed(trainer)))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.has_validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.is_enabled:
            return
        metrics = trainer.callback_metrics if self.has_validated else {}
        self.has_validated = False
        shown = [f"  val loss {metrics['val/loss']:.4f}"] if "val/loss" in metrics else []
        shown += [f"  val acc {metrics['val/acc']:.2%}"] if "val/acc" in metrics else []
        self.metrics = "".join(shown)
        if self.is_rewriting:
            self.rewrite(self.line(trainer, self.history.seconds))
        else:
            print(self.line(trainer, self.history.seconds), flush=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_enabled and self.is_rewriting:
            print(flush=True)

    def rewrite(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns - 1  # a longer line would become two
        print(f"\r{line[:columns]:{columns}}", end="", flush=True)

    def line(self, trainer: L.Trainer, seconds: float) -> str:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        total = trainer.estimated_stepping_batches
        bar = ""
        if self.is_rewriting and 0 < total < math.inf:
            filled = min(WIDTH, round(WIDTH * trainer.global_step / total))
            bar = f"  [{'#' * filled}{'.' * (WIDTH - filled)}]"
        return f"epoch {trainer.current_epoch + 1:2d}{of}{bar}{self.metrics}  {seconds:5.1f} s"
