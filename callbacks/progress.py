"""How far a run is, in one line an epoch."""

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

REFRESH = 0.2  # seconds between two looks at the steps inside an epoch


class Progress(ProgressBar):
    """Prints a line when an epoch ends; in a terminal, also the step inside the epoch, on the same line."""

    def __init__(self) -> None:
        super().__init__()
        self.is_enabled = True
        self.is_terminal = sys.stdout.isatty()
        self.next_look = 0.0

    def disable(self) -> None:
        """Called by Lightning on every process but the first."""
        self.is_enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        now = time.perf_counter()
        if self.is_enabled and self.is_terminal and now > self.next_look:
            self.next_look = now + REFRESH
            done, total = self.steps(trainer)
            print(f"\r{self.epoch(trainer)}  step {done}/{total}  {now - self.start:5.1f} s", end="", flush=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.is_enabled:
            return
        metrics = trainer.callback_metrics
        shown = [f"val loss {metrics['val/loss']:.4f}"] if "val/loss" in metrics else []
        shown += [f"val acc {metrics['val/acc']:.2%}"] if "val/acc" in metrics else []
        line = "  ".join([self.epoch(trainer), *shown, f"{time.perf_counter() - self.start:5.1f} s"])
        print(f"\r{line}" + " " * 20 if self.is_terminal else line, flush=True)

    @staticmethod
    def epoch(trainer: L.Trainer) -> str:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        return f"epoch {trainer.current_epoch + 1:2d}{of}"

    @staticmethod
    def steps(trainer: L.Trainer) -> tuple[int, int]:
        """Optimizer steps done and to do in this epoch."""
        datamodule: Any = getattr(trainer, "datamodule", None)
        total = datamodule.steps_per_epoch
        return trainer.global_step - trainer.current_epoch * total, total
