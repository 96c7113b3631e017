"""Stops a run whose loss is NaN or infinite."""

import math

import lightning as L


class Diverged(FloatingPointError):
    """The loss of a run is NaN or infinite."""


class StopWhenDiverged(L.Callback):
    """Stops a run whose training or validation loss is NaN or infinite, before its checkpoint is saved.

    With one process, `StepCurves` also checks the loss of every logged step.

    Raises:
        Diverged: the loss is NaN or infinite.
    """

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            for name, value in trainer.callback_metrics.items():
                if name.startswith("val/loss"):  # one per validation loader
                    check_finite(trainer, name, float(value))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        check_finite(trainer, "train/loss", float(trainer.callback_metrics.get("train/loss", 0.0)))


def check_finite(trainer: L.Trainer, name: str, loss: float) -> None:
    """Raises `Diverged` if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise Diverged(
            f"{name} is {loss} in epoch {trainer.current_epoch + 1}: the run has diverged; use a lower learning rate"
        )
