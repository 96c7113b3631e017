"""What a run came to: the time it took, and the validation metrics along the way."""

import re
import statistics
import time
from collections.abc import Mapping
from typing import Any

import lightning as L

from callbacks.insight import Insight


class History(L.Callback):
    """Remembers every validation, and the time from the first training step to the end of `fit`.

    Attributes:
        seconds: wall-clock time of training, validation included, looks inside the network left out.
        seconds_per_epoch: the median of all epochs, the same included.
        validation: the metrics of validation by optimizer step.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start: float | None = None
        self.validation: dict[int, dict[str, float]] = {}
        self.epochs: list[float] = []  # seconds
        self.num_steps = 0
        self.validation_seconds = 0.0

    @property
    def seconds_per_epoch(self) -> float:
        return statistics.median(self.epochs) if self.epochs else self.seconds

    def samples_per_second(self, batch_size: int) -> float:
        """Of the whole epochs, without their validation."""
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

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.start is not None:
            self.seconds = clock(trainer) - self.start


def stage_metrics(stage: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a stage, such as `val/loss` or `val_loss`, without its name."""
    return {name[len(stage) + 1 :]: float(value) for name, value in metrics.items() if re.match(rf"{stage}[/_]", name)}


def clock(trainer: Any) -> float:
    """Seconds that pass while nobody looks inside."""
    looked = sum(callback.seconds for callback in trainer.callbacks if isinstance(callback, Insight))
    return time.perf_counter() - looked
