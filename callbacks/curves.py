"""The curves of a run: at optimizer steps, and at finished epochs."""

import math
from typing import Any

import lightning as L
import torch
from torch import nn


class Diverged(FloatingPointError):
    """The loss of a run is NaN or infinite."""


class StepCurves(L.Callback):
    """Writes `step/loss`, `step/lr` and `step/grad_norm` every `trainer.log_every_n_steps` optimizer steps.

    `step/grad_norm` is the norm of the whole gradient before clipping.

    Raises:
        Diverged: the loss of a logged step is NaN or infinite, and there is one process.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.step = trainer.global_step  # counted here, because `trainer.global_step` is slow

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self.step += 1
        log_every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if log_every == 0 or self.step % log_every != 0:
            return
        groups = optimizer.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        self.values = {"step/lr": groups[0]["lr"], "step/grad_norm": float(nn.utils.get_total_norm(gradients))}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.values:
            values, self.values = self.values, {}
            if isinstance(outputs, dict) and "loss" in outputs:
                values["step/loss"] = float(outputs["loss"])
                if trainer.world_size == 1:  # a single process that stops would leave the others waiting
                    check_finite(trainer, "step/loss", values["step/loss"])
            log_metrics(trainer, values, self.step)


class EpochCurves(L.Callback):
    """Writes the metrics of a `BaseModel` with finished epochs on x, so that different batch sizes can be compared.

    The curves are `train/`, `val/`, `test/`, and `gap/`, the lead of training over validation. If validation runs more
    than once per epoch, `val/` has the optimizer step on x. Metrics that the model logs to the loggers itself are not
    written again. `trainer.test` returns only metrics logged by the model; all are in `trainer.callback_metrics`.

    Raises:
        Diverged: the training or validation loss is NaN or infinite. The epoch then has no checkpoint.
    """

    def __init__(self) -> None:
        self.has_validated = False  # in the current epoch

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        model: Any = pl_module
        model.logs_to_loggers = stage not in ("fit", "test")  # used by BaseModel only

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.has_validated = True
        is_once = trainer.val_check_batch == trainer.num_training_batches  # per epoch
        log_metrics(trainer, unlogged(trainer, "val"), trainer.current_epoch + 1 if is_once else trainer.global_step)
        for name, value in trainer.callback_metrics.items():
            if name.startswith("val/loss"):  # one per validation loader
                check_finite(trainer, name, float(value))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        train = unlogged(trainer, "train")
        val = unlogged(trainer, "val") if self.has_validated else {}
        self.has_validated = False
        name = "acc" if "train/acc" in train else "loss"  # the training loss may include label smoothing
        sign = 1 if name == "acc" else -1
        has_both = f"train/{name}" in train and f"val/{name}" in val
        gap = {f"gap/{name}": sign * (train[f"train/{name}"] - val[f"val/{name}"])} if has_both else {}
        log_metrics(trainer, train | gap, trainer.current_epoch + 1)
        check_finite(trainer, "train/loss", float(trainer.callback_metrics.get("train/loss", 0.0)))

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        log_metrics(trainer, unlogged(trainer, "test"), trainer.current_epoch)


class BroadcastBuffers(L.Callback):
    """Copies buffers, such as the running means of batch norm, from the first process to all others before validation.

    A checkpoint holds the buffers of the first process, so validation must use them too.
    """

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.world_size > 1:
            for buffer in pl_module.buffers():
                torch.distributed.broadcast(buffer, 0)


def unlogged(trainer: L.Trainer, stage: str) -> dict[str, float]:
    """The metrics of a stage that the model did not log to the loggers itself."""
    metrics, logged = trainer.callback_metrics, trainer.logged_metrics
    return {
        name: float(value) for name, value in metrics.items() if name.startswith(f"{stage}/") and name not in logged
    }


def log_metrics(trainer: L.Trainer, values: dict[str, float], step: int) -> None:
    """Writes values to all loggers."""
    for logger in trainer.loggers if values else ():
        logger.log_metrics(values, step=step)


def check_finite(trainer: L.Trainer, name: str, loss: float) -> None:
    """Raises `Diverged` if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        epoch = trainer.current_epoch + 1
        raise Diverged(f"{name} is {loss} in epoch {epoch}: the run has diverged; use a lower learning rate")
