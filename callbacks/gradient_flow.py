"""Gradient norm and update-to-weight ratio of every layer."""

import math
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from callbacks.curves import log_metrics
from callbacks.drawing import draw_by_depth, panels
from callbacks.insight import Insight, evaluation_mode
from callbacks.parts import weights

SMALLEST = 1e-45  # the smallest positive float32, which replaces 0 in a logarithm
RANGE = (1e-12, 1e2)  # of the y axis in every figure, so that figures can be compared
HEADLINE = "Gradient norm of every layer: a line that falls to the left vanishes on its way to the input"
draw_norms = partial(draw_by_depth, label="gradient norm", limits=RANGE)


class GradientFlow(Insight):
    """Gradient norm and update-to-weight ratio of every weight tensor.

    Curves with the optimizer step on x, at the first step, every `trainer.log_every_n_steps` steps, and at the last
    step of each epoch:

    - `gradient_norm/<layer>`: norm of the gradient before clipping.
    - `update_ratio/<layer>`: norm of the change by the step, divided by the norm of the weights.
    - `gradient_flow/log10_first_over_last`: log10 of the norm in the first layer, divided by the norm in the last.

    Figure `gradient_flow/by_depth`: norms from input to head, averaged over the steps since the previous figure, with
    those of the first figure beside them.

    Source: Hochreiter 1991 on vanishing gradients; Glorot & Bengio 2010, section 4.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.first_step = trainer.global_step + 1
        self.norms: list[list[float]] = []  # since the previous figure
        self.first_figure: dict[str, np.ndarray] = {}
        self.weights_before: list[Tensor] = []  # of the step being measured
        super().on_train_start(trainer, pl_module)
        if self.is_on:
            with evaluation_mode(pl_module):
                inputs, _, *lengths = self.samples(trainer, 2)
                found = weights(pl_module, inputs, *lengths)
            self.layers = {name: weight for name, weight in found.items() if weight.requires_grad}

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        log_every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        step = trainer.global_step + 1
        is_logged = log_every > 0 and step % log_every == 0
        if not self.is_on or not (is_logged or step == self.first_step or trainer.is_last_batch):
            return
        # float64, because after 50 sigmoid layers the squares are 0 in float32; not every GPU has it
        norms = [math.nan if w.grad is None else float(w.grad.cpu().double().norm()) for w in self.layers.values()]
        self.norms.append(norms)
        self.weights_before = [weight.detach().clone() for weight in self.layers.values()]
        curves = {f"gradient_norm/{name}": value for name, value in zip(self.layers, norms, strict=True)}
        first, last = (math.log10(max(value, SMALLEST)) for value in (norms[0], norms[-1]))
        curves["gradient_flow/log10_first_over_last"] = first - last
        log_metrics(trainer, curves, step)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.weights_before:
            ratios = {
                f"update_ratio/{name}": float((new.detach() - old).norm() / old.norm().clamp_min(SMALLEST))
                for (name, new), old in zip(self.layers.items(), self.weights_before, strict=True)
            }
            log_metrics(trainer, ratios, trainer.global_step)
            self.weights_before = []

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        if not self.norms:  # before the first step
            return
        latest = np.mean(self.norms, axis=0)
        self.norms = []
        lines = self.first_figure | {f"up to epoch {self.epoch}": latest}
        self.first_figure = self.first_figure or lines
        figure, (axes,) = panels(HEADLINE, 4.8, 3.8)
        draw_norms(axes, lines)
        axes.legend(fontsize=10, loc="lower right")
        self.draw("gradient_flow/by_depth", figure)
        self.save_arrays(norms=latest, layers=np.array(list(self.layers)))
