"""What every model shares: loss, metrics, optimizer, learning rate and the training step. No layers.

A model is a subclass with `__init__` and `forward`; everything here works on what `forward` returns.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

log = logging.getLogger(__name__)

Task = Literal["classification", "tagging", "regression"]
Batch = tuple[Tensor, Tensor]

IGNORED = -100  # a target that counts neither in the loss nor in the accuracy (PyTorch's own value)
UPPER_LIMITS = {  # of the options that are not counts; their lower limit is 0
    "lr": math.inf,
    "momentum": 1,
    "weight_decay": math.inf,
    "warmup_ratio": 1,
    "label_smoothing": 1,
    "gradient_clip": math.inf,
    "dropout": 1,
    "noise": math.inf,
}
SHAPES = {  # what the loss takes: outputs and targets
    "classification": ("(B, K)", "(B,)"),
    "tagging": ("(B, T, K)", "(B, T)"),
    "regression": ("(B, K)", "(B, K)"),
}


class BaseModel(L.LightningModule):
    """The training of every model here: a subclass adds the layers and a `forward`.

    Shapes: `forward` maps `(B, *input_shape)` to logits `(B, K)` for classification, logits `(B, T, K)`
    for tagging (one class a time step) and values `(B, K)` for regression.

    Args:
        input_shape: shape of one sample, without the batch; comes from the data module.
        num_outputs: classes, or target dimensions for regression; comes from the data module.
        task: classification, tagging or regression; comes from the data module.
        optimizer: `adamw`, or `sgd` with Nesterov momentum.
        lr: the highest learning rate of the schedule.
        momentum: of `sgd`; `adamw` has none and ignores it.
        weight_decay: on tensors of two or more dimensions: weights and the lengths that weight norm gives them, not
            biases or the scales of other norms.
        schedule: learning rate over the run: `constant`, `cosine` (to 0), or `onecycle` (Smith & Topin 2018).
        warmup_ratio: share of all steps in which the learning rate rises to `lr`.
        label_smoothing: in training only; no loss under `val/` or `test/` contains it.
        gradient_clip: largest norm of the whole gradient; 0 does not clip.
        compile: forward and backward as one program that PyTorch writes for this network, on one device; a few
            seconds to a minute at the first step. Where that fails, training goes on without it and says so.

    Raises:
        ValueError: an option outside its range, or a task that the model cannot do.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification", "regression")
    width_option: ClassVar[str | None]
    backward_pass: Callable[[Batch], tuple[Tensor, Tensor]]  # of the training that runs: `gradients`, compiled or not

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        task: Task = "classification",
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        schedule: Literal["constant", "cosine", "onecycle"] = "onecycle",
        warmup_ratio: float = 0.3,
        label_smoothing: float = 0.0,
        gradient_clip: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if task not in self.tasks:
            raise ValueError(
                f"{type(self).__name__} does {' and '.join(self.tasks)}, not task={task!r} "
                f"(input_shape={list(input_shape)}); choose another model for this data"
            )
        self.save_hyperparameters()
        own = {name: option.annotation for name, option in signature(type(self)).parameters.items()}
        for name, kind in {**get_type_hints(BaseModel.__init__), **own}.items():
            if get_origin(kind) is Literal and self.hparams.get(name) not in get_args(kind):
                choices = ", ".join(map(str, get_args(kind)))
                raise ValueError(f"{name}={self.hparams.get(name)!r} is none of {choices}; type another --model.{name}")
        for name, value in self.hparams.items():
            if name in UPPER_LIMITS and not 0 <= value <= UPPER_LIMITS[name]:
                raise ValueError(
                    f"{name}={value} is not within 0 and {UPPER_LIMITS[name]}; type another --model.{name}"
                )
            if name not in UPPER_LIMITS and type(value) is int and value < 1:
                raise ValueError(f"{name}={value} is not a positive number; type --model.{name} 1 or more")
        self.automatic_optimization = False
        self.example_input_array = torch.zeros(2, *input_shape)
        self.means: dict[str, dict[str, WeightedMean]] = {}  # of the epoch that runs, by stage and name

    @property
    def depth(self) -> int:
        """Weight layers from input to head, the head not counted; of a recurrent network: `num_layers`."""
        raise NotImplementedError(f"{type(self).__name__} must state its depth")

    # What a plain loop calls too: no Trainer and no logger needed.

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of one batch, and the outputs of `forward` it was computed from.

        Targets: classification `(B,)`, tagging `(B, T)` with -100 not counted, regression `(B, K)`.

        Raises:
            ValueError: targets or outputs of any other shape.
        """
        inputs, targets = batch
        outputs: Tensor = self(inputs)
        task = self.hparams["task"]
        expected = outputs.shape if task == "regression" else outputs.shape[:-1]
        if targets.shape != expected or outputs.ndim != (3 if task == "tagging" else 2):
            raise ValueError(
                f"{type(self).__name__} gave outputs of shape {tuple(outputs.shape)} for targets of shape "
                f"{tuple(targets.shape)}; {task} takes outputs {SHAPES[task][0]} for targets {SHAPES[task][1]}"
            )
        if task == "regression":
            return F.mse_loss(outputs, targets), outputs
        smoothing = self.hparams["label_smoothing"] if self.training else 0.0
        logits = outputs
        if task == "tagging":  # every time step is a sample, and the mean is over those that count
            logits, targets = outputs.flatten(0, 1), targets.flatten()
        return F.cross_entropy(logits, targets, ignore_index=IGNORED, label_smoothing=smoothing), outputs

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices and kernels decay; biases and norm scales, which have one dimension, do not."""
        parameters = list(self.parameters())
        return [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.hparams["weight_decay"]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer over `parameter_groups()`; override this one method to use another."""
        lr, momentum = self.hparams["lr"], self.hparams["momentum"]
        if self.hparams["optimizer"] == "sgd":
            return torch.optim.SGD(self.parameter_groups(), lr, momentum=momentum, nesterov=momentum > 0, fused=True)
        return torch.optim.AdamW(self.parameter_groups(), lr, fused=True)

    def lr_at(self, step: int, total_steps: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0, of `total_steps`.

        `constant` and `cosine` warm up linearly. `onecycle` gives the learning rates of PyTorch's
        `OneCycleLR` with `pct_start=warmup_ratio`: a cosine from lr/25 to lr, then one to lr/250,000.
        It leaves the momentum alone, which PyTorch's cycles too.
        """
        return float(self.hparams["lr"] * self.lr_factor(step, total_steps))

    def lr_factor(self, step: int, total_steps: int) -> float:
        """The learning rate of a step as a fraction of `lr`, as `LambdaLR` takes it."""
        schedule = self.hparams["schedule"]
        warmup_steps = self.hparams["warmup_ratio"] * total_steps
        if schedule == "onecycle":
            peak, last = warmup_steps - 1, total_steps - 1
            if step <= peak:
                return cosine_between(1 / 25, 1.0, step / peak if peak > 0 else 1.0)
            return cosine_between(1.0, 1 / 25e4, (step - max(peak, 0)) / max(last - max(peak, 0), 1))
        if step < warmup_steps:
            return float(min(1.0, (step + 1) / warmup_steps))
        if schedule == "constant":
            return 1.0
        return cosine_between(1.0, 0.0, (step - warmup_steps) / (total_steps - warmup_steps))

    # What the Trainer calls.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.make_optimizer()

    def configure_callbacks(self) -> list[L.Callback]:
        # the first hook of a run: before Lightning's own check, which names no way out
        if self.trainer.gradient_clip_val:
            raise ValueError(
                f"trainer.gradient_clip_val={self.trainer.gradient_clip_val} is not used here: clipping belongs "
                f"to the model; type --model.gradient_clip {self.trainer.gradient_clip_val}"
            )
        if self.trainer.accumulate_grad_batches != 1:
            raise ValueError(
                f"trainer.accumulate_grad_batches={self.trainer.accumulate_grad_batches} is not used here; "
                "type a larger --data.batch_size"
            )
        if self.trainer.precision.startswith("16"):
            raise ValueError(
                f"trainer.precision={self.trainer.precision!r} is not used here; type --trainer.precision bf16-mixed"
            )
        return []

    def on_fit_start(self) -> None:
        data: Any = getattr(self.trainer, "datamodule", None)
        if not hasattr(data, "steps_per_epoch"):
            raise ValueError(
                f"{type(self).__name__} trains on chunks of batches from a BaseDataModule, not on "
                f"{type(data).__name__}; see docs/extend.md"
            )
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        for hook in [*hooks("on_before_backward", callbacks), *hooks("on_before_backward", [self])]:
            raise ValueError(
                f"{hook.__qualname__} would not be called: forward and backward are one step here; "
                "write it as on_after_backward"
            )
        if not isinstance(self.trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            raise ValueError(
                f"trainer.strategy={type(self.trainer.strategy).__name__} would want to take the steps itself; "
                "type --trainer.strategy ddp, or leave it out"
            )
        self.is_shared = self.trainer.world_size > 1
        if self.is_shared and self.hparams["compile"]:
            raise ValueError(
                f"compile=true is for one device, not for {self.trainer.world_size}; type --model.compile false"
            )
        self.after_backward = hooks("on_after_backward", callbacks)
        self.before_optimizer_step = hooks("on_before_optimizer_step", callbacks)
        self.backward_pass = self.compiling if self.hparams["compile"] else self.gradients
        max_epochs, max_steps = self.trainer.max_epochs, self.trainer.max_steps
        limits = [max_steps] if max_steps >= 0 else []
        limits += [max_epochs * data.steps_per_epoch] if max_epochs is not None and max_epochs >= 0 else []
        if not limits and self.hparams["schedule"] != "constant":
            raise ValueError(
                f"schedule={self.hparams['schedule']!r} needs an end; set --trainer.max_epochs or --trainer.max_steps, "
                "or type --model.schedule constant"
            )
        self.total_steps = min(limits, default=1)
        if data.steps_per_execution > 1 and self.trainer.val_check_interval != 1.0:
            raise ValueError(
                f"trainer.val_check_interval={self.trainer.val_check_interval} would count chunks of "
                f"{data.steps_per_execution} steps; type --data.steps_per_execution 1"
            )

    def on_train_start(self) -> None:
        trainer: Any = self.trainer
        steps_per_epoch = trainer.datamodule.steps_per_epoch
        # a checkpoint made after validation still counts the epoch that it ends as the current one
        if self.global_step not in (
            trainer.current_epoch * steps_per_epoch,
            (trainer.current_epoch + 1) * steps_per_epoch,
        ):
            raise ValueError(
                f"the checkpoint of step {self.global_step} does not end an epoch of {steps_per_epoch} steps; "
                "go on from one that does, with the batch_size that it was made with"
            )
        # a checkpoint brings the weight decay and momentum it was made with; the options of this run win
        optimizer: Any = self.optimizers()
        for group, wanted in zip(optimizer.param_groups, self.make_optimizer().param_groups, strict=True):
            group.update({name: value for name, value in wanted.items() if name != "params"})

    def training_step(self, chunk: Iterable[Batch]) -> None:
        """One optimizer step for each batch of the chunk: the loop a reader would write."""
        trainer: Any = self.trainer
        # Lightning's own wrapper around the optimizer costs as much as the step of a small network;
        # all that it does here is to count the steps, which `global_step` then says
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        count = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        convert = trainer.precision_plugin.convert_input  # Lightning's own call sees chunks, not batches
        clip, log_every = self.hparams["gradient_clip"], trainer.log_every_n_steps  # 0 logs none
        step, max_steps = self.global_step, trainer.max_steps
        losses, outputs, targets = [], [], []
        for batch in chunk:
            batch = convert(batch)  # noqa: PLW2901  # the same batch in the precision of the run
            lr = self.lr_at(step, self.total_steps)
            for group in optimizer.param_groups:
                group["lr"] = lr
                for parameter in group["params"]:
                    parameter.grad = None  # as `optimizer.zero_grad()`, in a tenth of its time

            loss, output = self.backward_pass(batch)
            for hook in self.after_backward:
                hook(trainer, self)
            self.on_after_backward()
            is_logged = log_every > 0 and (step + 1) % log_every == 0
            if clip:
                # in the optimizer's order, as Lightning's gradient_clip_val does
                parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
                grad_norm = nn.utils.clip_grad_norm_(parameters, clip)
            elif is_logged:
                grad_norm = nn.utils.get_total_norm([p.grad for p in self.parameters() if p.grad is not None])
            for hook in self.before_optimizer_step:
                hook(trainer, self, optimizer)
            self.on_before_optimizer_step(optimizer)
            count.increment_ready()
            optimizer.step()
            count.increment_completed()
            step += 1

            losses.append(loss)
            outputs.append(output)
            targets.append(batch[1])
            if is_logged:
                values = {"step/loss": float(loss), "step/lr": lr, "step/grad_norm": float(grad_norm)}
                for logger in self.loggers:
                    logger.log_metrics(values, step=step)
            if step == max_steps:  # the limit may fall inside a chunk
                trainer.should_stop = True  # so that Lightning validates what the last steps made
                break
        self.measure("train", torch.stack(losses), torch.stack(outputs), torch.stack(targets))

    def gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Leaves the gradient of the batch's loss in the parameters; returns loss and outputs, detached."""
        loss, outputs = self.loss(batch)
        if self.is_shared:
            self.trainer.strategy.pre_backward(loss)  # gradients become means over devices
        loss.backward()
        return loss.detach(), outputs.detach()

    def compiling(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """`gradients` of the first batch, compiled for all that follow; where PyTorch cannot, as they are."""
        torch._dynamo.config.trace_autograd_ops = True  # the backward pass is part of the program
        # random numbers as without: dropout leaves out the same units
        options: dict[str, Any] = {"fallback_random": True}
        self.backward_pass = torch.compile(self.gradients, fullgraph=True, dynamic=False, options=options)
        try:
            return self.backward_pass(batch)
        except Exception as error:  # of many kinds, from PyTorch, its code generator and the machine's C++ compiler
            reason = str(error).strip().partition("\n")[0]
            log.warning("compile=true: PyTorch cannot compile %s (%s); going on without.", type(self).__name__, reason)
            self.backward_pass = self.gradients
            self.zero_grad()  # of what it may have begun
            return self.backward_pass(batch)

    def on_validation_start(self) -> None:
        # batch norm's running means: each process has its own, and a checkpoint those of the first
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: Batch) -> None:
        loss, outputs = self.loss(batch)
        self.measure("val", loss[None], outputs[None], batch[1][None])

    def test_step(self, batch: Batch) -> None:
        loss, outputs = self.loss(batch)
        self.measure("test", loss[None], outputs[None], batch[1][None])

    def predict_step(self, batch: Batch) -> Tensor:
        """Probabilities of the classes, of each time step if tagging; for regression the values."""
        outputs: Tensor = self(batch[0])
        return outputs if self.hparams["task"] == "regression" else outputs.softmax(-1)

    def on_train_epoch_end(self) -> None:
        self.log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        self.log_epoch("val")

    def on_test_epoch_end(self) -> None:
        self.log_epoch("test")

    def measure(self, stage: str, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Adds batches to the means of the epoch, weighted by what counts: samples, or time steps if tagging.

        Args:
            stage: `train`, `val` or `test`.
            losses: `(N,)`, of N batches.
            outputs: `(N, B, ...)`, of `forward`.
            targets: `(N, B, ...)`.
        """
        if stage not in self.means:
            names = ("loss",) if self.hparams["task"] == "regression" else ("loss", "acc")
            self.means[stage] = {name: WeightedMean().to(self.device) for name in names}
        means = self.means[stage]
        if self.hparams["task"] == "regression":
            counts = torch.full_like(losses, targets.shape[1])
            means["loss"].update(losses * counts, counts)
            return
        counts = (targets != IGNORED).flatten(1).sum(1)
        correct = (outputs.argmax(-1) == targets).flatten(1).sum(1)
        means["loss"].update(losses * counts, counts)
        means["acc"].update(correct, counts)

    def log_epoch(self, stage: str) -> None:
        """Logs the means of the epoch that ends, at x = finished epochs."""
        means, training = self.means[stage], self.means.get("train", {})
        values = {f"{stage}/{name}": mean.compute() for name, mean in means.items()}
        # accuracy where there is one: a training loss may contain label smoothing
        name = "acc" if "acc" in means else "loss"
        if stage == "val" and training and training[name].update_called:  # validation comes before the epoch is over
            gap = training[name].compute() - values[f"val/{name}"]
            values[f"gap/{name}"] = gap if name == "acc" else -gap
        # Lightning takes the x axis from the value named "step"; all devices have the same values already,
        # but without sync_dist it warns that they may not
        self.log_dict({**values, "step": float(self.current_epoch + (stage != "test"))}, sync_dist=True)
        for mean in means.values():
            mean.reset()


class WeightedMean(Metric):
    """Sum divided by count, over all batches and devices; a NaN stays one.

    It keeps what it is given until the end of the epoch, so that the sum does not depend on how many came at a time.
    torchmetrics has a MeanMetric, which removes NaN, or, told to leave them, forgets the weights (1.9.0).
    """

    totals: list[Tensor]
    counts: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("totals", [], dist_reduce_fx="cat")
        self.add_state("counts", [], dist_reduce_fx="cat")

    def update(self, totals: Tensor, counts: Tensor) -> None:
        """Takes `(N,)` sums, and how many samples each is the sum of."""
        self.totals.append(totals)
        self.counts.append(counts)

    def compute(self) -> Tensor:
        return dim_zero_cat(self.totals).sum() / dim_zero_cat(self.counts).sum()


def hooks(name: str, owners: Sequence[L.Callback | L.LightningModule]) -> list[Callable[..., Any]]:
    """The hooks of that name that do something."""
    unchanged = (getattr(L.Callback, name), getattr(L.LightningModule, name))
    found = [getattr(owner, name) for owner in owners]
    return [hook for hook in found if getattr(hook, "__func__", None) not in unchanged]


def cosine_between(start: float, end: float, share: float) -> float:
    """The value at `share` of half a cosine wave from `start` (0) to `end` (1), where it stays."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
