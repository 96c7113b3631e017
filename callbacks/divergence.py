"""Ends a run whose loss is not a finite number any more."""

from __future__ import annotations

import math

import lightning as L


class Diverged(FloatingPointError):
    """The loss of a run is not a finite number any more."""


class StopWhenDiverged(L.Callback):
    """Ends a run whose training or validation loss is NaN or infinite, before a checkpoint of it is saved.

    With one process, `StepCurves` checks the loss of every step that it logs too.

    Raises:
        Diverged: the loss is NaN or infinite.
    """

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            for name, value in trainer.callback_metrics.items():
                if name.startswith("val/loss"):  # several validation loaders have one each
                    check_finite(trainer, name, float(value))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        check_finite(trainer, "train/loss", float(trainer.callback_metrics.get("train/loss", 0.0)))


def check_finite(trainer: L.Trainer, name: str, loss: float) -> None:
    """Raises `Diverged` if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise Diverged(
            f"{name} is {loss} in epoch {trainer.current_epoch + 1}: the run has diverged; use a lower learning rate"
        )
