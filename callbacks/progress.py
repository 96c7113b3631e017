"""How far a run is, in one line."""

import math
import shutil
import sys
import time

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

REFRESH = 0.2  # seconds between two looks at the steps inside an epoch
WIDTH = 12  # characters of the bar


class Progress(ProgressBar):
    """One line that rewrites itself, in a terminal or a notebook; elsewhere, as in a file, a line an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.is_enabled = True
        self.is_rewriting = sys.stdout.isatty() or "ipykernel" in sys.modules
        self.next_look = 0.0
        self.metrics = ""  # of the last validation
        self.has_validated = False  # in the current epoch

    def disable(self) -> None:
        """Called by Lightning on every process but the first."""
        self.is_enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        if self.is_enabled and self.is_rewriting and time.perf_counter() > self.next_look:
            self.next_look = time.perf_counter() + REFRESH
            self.rewrite(self.line(trainer, pl_module))

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
            self.rewrite(self.line(trainer, pl_module))
        else:
            print(self.line(trainer, pl_module), flush=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_enabled and self.is_rewriting:
            print(flush=True)

    def rewrite(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns - 1  # a longer line would become two
        print(f"\r{line[:columns]:{columns}}", end="", flush=True)

    def line(self, trainer: L.Trainer, pl_module: L.LightningModule) -> str:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        total = trainer.estimated_stepping_batches
        bar = ""
        if self.is_rewriting and 0 < total < math.inf:
            filled = min(WIDTH, round(WIDTH * trainer.global_step / total))
            bar = f"  [{'#' * filled}{'.' * (WIDTH - filled)}]"
        return f"epoch {trainer.current_epoch + 1:2d}{of}{bar}{self.metrics}  {time.perf_counter() - self.start:5.1f} s"
