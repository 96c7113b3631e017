"""The curves of a run: at optimizer steps, and at finished epochs."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import nn

from callbacks.divergence import check_finite


class StepCurves(L.Callback):
    """Writes `step/loss`, `step/lr` and `step/grad_norm` every `trainer.log_every_n_steps` optimizer steps.

    `step/grad_norm` is the norm of the whole gradient before clipping.

    Raises:
        Diverged: the loss of such a step is NaN or infinite. With several processes, the losses of the epoch tell.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.step = trainer.global_step  # counted here, because `global_step` is slow to ask at every step

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
                if trainer.world_size == 1:  # else one process would stop while the others wait for it
                    check_finite(trainer, "step/loss", values["step/loss"])
            write(trainer, values, self.step)


class EpochCurves(L.Callback):
    """Writes the metrics of a `BaseModel` with the number of finished epochs on x, so that batch sizes can be compared.

    The curves are `train/`, `val/`, `test/`, and `gap/`, which shows how far training is ahead of validation. Where
    validation runs more than once per epoch, `val/` has the optimizer step on x. What a model logs to the loggers
    itself is left to it. `trainer.test` returns what was logged, so it returns nothing here; the metrics are in
    `trainer.callback_metrics`.
    """

    def __init__(self) -> None:
        self.has_validated = False  # in the current epoch

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        model: Any = pl_module
        model.logs_to_loggers = stage not in ("fit", "test")  # read by a BaseModel only

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.has_validated = True
        every: Any = trainer.val_check_batch
        is_by_epoch = trainer.check_val_every_n_epoch is not None and every is not None
        is_once = is_by_epoch and every >= trainer.num_training_batches
        write(trainer, unlogged(trainer, "val"), trainer.current_epoch + 1 if is_once else trainer.global_step)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        train = unlogged(trainer, "train")
        gap = {}
        if self.has_validated:
            val = unlogged(trainer, "val")
            name = "acc" if "train/acc" in train else "loss"  # a training loss may contain label smoothing
            if f"train/{name}" in train and f"val/{name}" in val:
                ahead = train[f"train/{name}"] - val[f"val/{name}"]
                gap[f"gap/{name}"] = ahead if name == "acc" else -ahead
        self.has_validated = False
        write(trainer, train | gap, trainer.current_epoch + 1)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        write(trainer, unlogged(trainer, "test"), trainer.current_epoch)


def unlogged(trainer: L.Trainer, stage: str) -> dict[str, float]:
    """The metrics of a stage that the model did not log to the loggers itself."""
    metrics, logged = trainer.callback_metrics, trainer.logged_metrics
    return {
        name: float(value) for name, value in metrics.items() if name.startswith(f"{stage}/") and name not in logged
    }


def write(trainer: L.Trainer, values: dict[str, float], step: int) -> None:
    for logger in trainer.loggers if values else ():
        logger.log_metrics(values, step=step)


class BroadcastBuffers(L.Callback):
    """Copies the buffers of the first process, such as batch norm's means, to all processes before a validation.

    A checkpoint holds the buffers of the first process, so these are the ones to validate.
    """

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.world_size > 1:
            for buffer in pl_module.buffers():
                torch.distributed.broadcast(buffer, 0)
