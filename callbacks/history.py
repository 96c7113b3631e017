"""The training time and the validation metrics of a run."""

import re
import statistics
import time
from collections.abc import Mapping
from typing import Any

import lightning as L

from callbacks.insight import Insight


class History(L.Callback):
    """Records the training time and the metrics of every validation.

    Times include validation and leave out the inspection callbacks. They cover this process only, not the run that it
    resumed.

    Attributes:
        seconds: Training time up to the last epoch, which may be unfinished.
        num_epochs: Epochs of the whole run, with the fraction of an unfinished one.
        validation: Validation metrics, such as `loss` and `acc`, by optimizer step.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.num_epochs = 0.0
        self.validation: dict[int, dict[str, float]] = {}
        self.epochs: list[float] = []  # seconds
        self.num_steps = 0
        self.validation_seconds = 0.0

    @property
    def seconds_per_epoch(self) -> float:
        """Median over the epochs."""
        return statistics.median(self.epochs) if self.epochs else self.seconds

    def samples_per_second(self, batch_size: int) -> float:
        """Training samples per second, without the time of validation."""
        return self.num_steps * batch_size / max(sum(self.epochs) - self.validation_seconds, 1e-9)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.first_step = trainer.global_step
        self.start = self.epoch_start = clock(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch_start = clock(trainer)  # not called if a resumed run continues inside an epoch

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.validation_start = clock(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validation_seconds += clock(trainer) - self.validation_start
            self.validation[trainer.global_step] = stage_metrics("val", trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = clock(trainer)
        self.epochs.append(now - self.epoch_start)
        self.seconds = now - self.start
        self.num_steps = trainer.global_step - self.first_step
        batches = trainer.fit_loop.epoch_loop.batch_progress
        # max_steps and max_time may end a run inside an epoch
        fraction = 1 if batches.is_last_batch else batches.current.ready / trainer.num_training_batches
        self.num_epochs = trainer.current_epoch + fraction


def stage_metrics(stage: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a stage, such as `val/loss` or `val_loss`, by their names without the stage."""
    return {name[len(stage) + 1 :]: float(value) for name, value in metrics.items() if re.match(rf"{stage}[/_]", name)}


def clock(trainer: Any) -> float:
    """The time in seconds, minus the time of the inspection callbacks."""
    return time.perf_counter() - sum(one.seconds for one in trainer.callbacks if isinstance(one, Insight))
