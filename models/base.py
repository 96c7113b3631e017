"""Base class of all models: loss, metrics, optimizer and schedule. A subclass adds the layers and `forward`."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from models.checks import check_data, check_options
from models.metrics import IGNORE_INDEX, EpochMetrics
from models.schedule import lr_factor

Task = Literal["classification", "tagging", "regression"]
Batch = tuple[Tensor, ...]  # inputs, targets, and the lengths of unequal sequences

SHAPES = {  # shapes of outputs and targets
    "classification": ("(B, K)", "(B,)"),
    "tagging": ("(B, T, K)", "(B, T)"),
    "regression": ("(B, K)", "(B, K)"),
}
NUM_DIMENSIONS = {"classification": (2, 1), "tagging": (3, 2), "regression": (2, 2)}  # their numbers of dimensions


class BaseModel(L.LightningModule):
    """A LightningModule for classification, tagging (one class per time step) and regression.

    A batch is `(inputs, targets)`. Shapes: `forward` maps inputs `(B, *input_shape)` to logits `(B, K)` for
    classification, to logits `(B, T, K)` for tagging, and to values `(B, K)` for regression.

    For sequences of unequal length, a batch is `(inputs, targets, lengths)`, with sequences padded at the end to T
    steps and their lengths `(B,)`. `forward` then takes `(inputs, lengths)`.

    Args:
        input_shape: Shape of one sample, without the batch dimension. Set by the data module.
        num_outputs: Number of classes, or of target dimensions for regression. Set by the data module.
        task: `classification`, `tagging` or `regression`. Set by the data module.
        num_tokens: Size of the vocabulary, if the inputs are tokens: integers `(B, T)`. None for other inputs. Set by
            the data module.
        optimizer: `adamw`, or `sgd` with Nesterov momentum.
        lr: Peak learning rate.
        momentum: Used by `sgd` only.
        weight_decay: Applied to parameters with two or more dimensions, not to biases and norm scales.
        schedule: Learning rate schedule: `constant`, `cosine` (to 0), or `onecycle` (as PyTorch's `OneCycleLR`).
        warmup_ratio: Fraction of all steps during which the learning rate rises to `lr`.
        label_smoothing: Used in training only. Validation and test losses do not contain it.

    Raises:
        ValueError: If an option is outside its range, or the model does not support the task or the input shape.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification", "regression")
    takes: ClassVar[tuple[str, ...]] = ()  # `images`, `sequences`, `tokens`; empty: any shape, but no tokens
    width_option: ClassVar[str | None]  # the argument that makes the model wider; None without hidden layers
    # a callback that writes the metrics of an epoch to the loggers itself sets this to False
    logs_to_loggers = True

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        task: Task = "classification",
        num_tokens: int | None = None,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        schedule: Literal["constant", "cosine", "onecycle"] = "onecycle",
        warmup_ratio: float = 0.3,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_data(type(self).__name__, self.tasks, self.takes, self.hparams)
        check_options(self.hparams, BaseModel.__init__, type(self).__init__)
        self.task, self.label_smoothing = task, label_smoothing
        self.example_input_array = torch.zeros(2, *input_shape, dtype=torch.long if num_tokens else torch.float)
        self.epoch_metrics: dict[str, EpochMetrics] = {}  # by stage and loader, created when first used
        self.add_metrics("train_0")

    @property
    def depth(self) -> int:
        """Weight layers from input to head, without the head. For a recurrent network: `num_layers`."""
        raise NotImplementedError(f"{type(self).__name__} must state its depth")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch.

        Targets are `(B,)` for classification, `(B, T)` for tagging and `(B, K)` for regression. Labels of -100 are
        ignored.

        Raises:
            ValueError: If outputs or targets have any other shape.
        """
        task = self.task
        # regression compares all sizes, since PyTorch would broadcast; cross_entropy checks the others itself
        is_alike = outputs.shape == targets.shape if task == "regression" else len(outputs) == len(targets)
        if not is_alike or (outputs.ndim, targets.ndim) != NUM_DIMENSIONS[task]:
            raise ValueError(
                f"{type(self).__name__} gave outputs of shape {tuple(outputs.shape)} for targets of shape "
                f"{tuple(targets.shape)}; {task} takes outputs {SHAPES[task][0]} for targets {SHAPES[task][1]}"
            )
        if task == "regression":
            return F.mse_loss(outputs, targets)
        smoothing = self.label_smoothing if self.training else 0.0
        if task == "tagging":  # every time step is a sample
            outputs, targets = outputs.flatten(0, 1), targets.flatten()
        return F.cross_entropy(outputs, targets, ignore_index=IGNORE_INDEX, label_smoothing=smoothing)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if batch_idx == 0:  # a checkpoint saved at the end of an epoch restores the metrics of that epoch
            self.epoch_metrics["train_0"].reset()
        return self.shared_step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.shared_step(batch, "val", dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.shared_step(batch, "test", dataloader_idx)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Class probabilities `(B, K)`, per time step `(B, T, K)` for tagging; the values `(B, K)` for regression."""
        outputs: Tensor = self(batch[0], *batch[2:])
        return outputs if self.task == "regression" else outputs.softmax(-1)

    def shared_step(self, batch: Batch, stage: str, dataloader_idx: int = 0) -> Tensor:
        """Returns the loss of a batch and updates the metrics of the epoch."""
        inputs, targets, *lengths = batch
        outputs = self(inputs, *lengths)
        loss = self.loss(outputs, targets)
        self.update_metrics(stage, loss.detach(), outputs.detach(), targets, dataloader_idx)
        return loss

    def update_metrics(
        self, stage: str, loss: Tensor, outputs: Tensor, targets: Tensor, dataloader_idx: int = 0
    ) -> None:
        """Adds a batch to the metrics of the epoch, `<stage>/loss` and `<stage>/acc`.

        Lightning computes a logged Metric at the end of the epoch, so it is logged only with the first batch.
        """
        if self._trainer is None:  # without a Trainer, as in Fabric or a hand-written loop, nothing is logged
            return
        key = f"{stage}_{dataloader_idx}"
        epoch_metrics = self.epoch_metrics.get(key) or self.add_metrics(key)
        is_first = epoch_metrics.add(loss, outputs, targets)
        if is_first:
            for name, metric in epoch_metrics.metrics.items():
                self.log(
                    f"{stage}/{name}",
                    metric,
                    on_step=False,
                    on_epoch=True,
                    prog_bar=True,
                    logger=None if self.logs_to_loggers else False,  # True would warn where there is no logger
                    metric_attribute=f"{key}_{name}",
                )

    def add_metrics(self, key: str) -> EpochMetrics:
        """Adds the metrics of a stage and loader. Only the training metrics are saved with the model."""
        self.epoch_metrics[key] = EpochMetrics(self.task)
        for name, metric in self.epoch_metrics[key].metrics.items():
            metric.persistent(key == "train_0")  # a checkpoint may be resumed inside an epoch, not inside a validation
            self.add_module(f"{key}_{name}", metric.to(self.device))
        return self.epoch_metrics[key]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.make_optimizer()
        scheduler = self.make_scheduler(optimizer, self.total_steps())
        if self.trainer.ckpt_path is not None:
            # `total_steps` has set up the training loader. Lightning 2.6 restores the state of a loader only while it
            # sets it up (its issue 20550), so let it do that again after it has loaded the checkpoint.
            self.trainer.fit_loop._combined_loader = None
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_optimizer(self) -> Optimizer:
        """The optimizer, without weight decay for parameters with fewer than two dimensions."""
        lr, momentum, weight_decay = (self.hparams[name] for name in ("lr", "momentum", "weight_decay"))
        parameters = list(self.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        if self.hparams["optimizer"] == "sgd":
            optimizer: Optimizer = SGD(groups, lr, momentum=momentum, nesterov=momentum > 0, fused=True)
        else:
            optimizer = AdamW(groups, lr, fused=True)
        # Lightning refuses to clip gradients in mixed precision if this flag is set. Without it, the gradient scaler
        # unscales them before clipping, as usual.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        return optimizer

    def make_scheduler(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The learning rate scheduler. Call its `step` after each batch."""
        return LambdaLR(optimizer, lambda step: self.lr_factor(step, total_steps))

    def lr_factor(self, step: int, total_steps: int) -> float:
        """The learning rate of a step, counted from 0, as a fraction of `lr`."""
        return lr_factor(self.hparams["schedule"], self.hparams["warmup_ratio"], step, total_steps)

    def total_steps(self) -> int:
        """Number of optimizer steps of the run. For a run without an end and with a constant learning rate, 1.

        Raises:
            ValueError: If the run has no end, but the schedule needs one.
        """
        steps = self.trainer.estimated_stepping_batches
        if 0 < steps < math.inf:
            return int(steps)
        if self.hparams["schedule"] != "constant" or self.hparams["warmup_ratio"] > 0:
            raise ValueError(
                f"schedule={self.hparams['schedule']} with warmup_ratio={self.hparams['warmup_ratio']} needs to know "
                "when the run ends; set max_epochs or max_steps of the trainer, or use schedule=constant with "
                "warmup_ratio=0"
            )
        return 1
