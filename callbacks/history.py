"""The time that a run took, and its validation metrics along the way."""

import re
import statistics
import time
from collections.abc import Mapping
from typing import Any

import lightning as L

from callbacks.insight import Insight


class History(L.Callback):
    """Records the time of training and the metrics of every validation.

    Attributes:
        seconds: Wall-clock time of training so far, up to the last finished epoch or the end of the run. Validation is
            included, the inspection callbacks are not.
        num_epochs: Epochs of the whole run, with the fraction of an unfinished one.
        validation: The validation metrics by optimizer step.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.num_epochs = 0.0
        self.start: float | None = None
        self.validation: dict[int, dict[str, float]] = {}
        self.epochs: list[float] = []  # seconds
        self.num_steps = 0
        self.validation_seconds = 0.0

    def elapsed(self, trainer: L.Trainer) -> float:
        """Seconds since the first training step."""
        return clock(trainer) - (self.start or 0.0)

    @property
    def seconds_per_epoch(self) -> float:
        """The median of all finished epochs."""
        return statistics.median(self.epochs) if self.epochs else self.seconds

    def samples_per_second(self, batch_size: int) -> float:
        """Training samples per second, without validation."""
        return self.num_steps * batch_size / max(sum(self.epochs) - self.validation_seconds, 1e-9)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.first_step = trainer.global_step
        self.start = self.epoch_start = clock(trainer)  # a resumed run may begin inside an epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch_start = clock(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.validation_start = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validation_seconds += time.perf_counter() - self.validation_start
            self.validation[trainer.global_step] = stage_metrics("val", trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epochs.append(clock(trainer) - self.epoch_start)
        self.num_steps = trainer.global_step - self.first_step
        self.seconds = self.elapsed(trainer)
        # `max_steps` and `max_time` may end a run inside an epoch
        batches = trainer.fit_loop.epoch_loop.batch_progress
        is_partial = not batches.is_last_batch
        self.num_epochs = trainer.current_epoch + (
            batches.current.ready / trainer.num_training_batches if is_partial else 1
        )


def stage_metrics(stage: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a stage, such as `val/loss` or `val_loss`, without its name."""
    return {name[len(stage) + 1 :]: float(value) for name, value in metrics.items() if re.match(rf"{stage}[/_]", name)}


def clock(trainer: Any) -> float:
    """The time in seconds, minus the time that the inspection callbacks took."""
    looked = sum(callback.seconds for callback in trainer.callbacks if isinstance(callback, Insight))
    return time.perf_counter() - looked
