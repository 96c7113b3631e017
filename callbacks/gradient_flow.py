"""How much of the gradient arrives at each layer, and how fast each layer moves."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from callbacks.drawing import COLOURS, depth_axis, line_style, logarithmic, panels
from callbacks.insight import Insight, aside
from callbacks.parts import weights

SMALLEST = 1e-45  # the least that float32 holds: stands for a gradient of 0 in a logarithm
RANGE = (1e-12, 1e2)  # of every figure, so that two can be laid side by side; what is less is drawn at its foot


class GradientFlow(Insight):
    """Gradient norm, and update-to-weight ratio, of each weight tensor.

    Curves at optimizer steps: `gradient_norm/<layer>`, before clipping; `update_ratio/<layer>`, the norm of what a
    step changes divided by that of the weights; and `gradient_flow/log10_first_over_last`, the power of ten by which
    the first layer's gradient is smaller than the last one's: a curve that can be laid over that of any other network.
    Measured at the first step, every `trainer.log_every_n_steps`, and at the last step of each epoch.

    The figure `gradient_flow/by_depth` shows the mean of the norms measured since the last figure, and that of the
    first figure, from input to head; its scale is the same in every run.

    Source: vanishing gradients: Hochreiter 1991; Glorot & Bengio 2010, section 4.
    """

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        learns = any(one.ndim >= 2 and one.requires_grad for one in model.parameters())
        return None if learns else "the network has no weights that learn"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with aside(pl_module):
            found = weights(pl_module, self.samples(trainer, 2)[0])
        self.layers = {name: weight for name, weight in found.items() if weight.requires_grad}
        self.first_step = trainer.global_step
        self.measured: list[list[float]] = []  # norms since the last figure
        self.first: dict[str, np.ndarray] = {}  # what the first figure showed, by its epochs
        self.before: list[Tensor] = []  # the weights before the step that was measured last
        self.step = 0  # of it
        super().on_train_start(trainer, pl_module)

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if not self.is_on:
            return
        self.finish_step(trainer)
        if not self.is_measured(trainer):
            return
        norms = [math.nan if weight.grad is None else norm(weight.grad) for weight in self.layers.values()]
        self.step = trainer.global_step + 1  # when the optimizer has taken it
        self.measured.append(norms)
        self.before = [weight.detach().clone() for weight in self.layers.values()]
        first, last = (math.log10(max(value, SMALLEST)) for value in (norms[0], norms[-1]))
        self.write(trainer, "gradient_norm", norms)
        self.write_curves(trainer, {"gradient_flow/log10_first_over_last": first - last}, self.step)

    def is_measured(self, trainer: Any) -> bool:
        """Whether the step that is being taken is: the first, those that are logged, and the last of each epoch."""
        step, log_every = trainer.global_step + 1, trainer.log_every_n_steps
        return step == self.first_step + 1 or (log_every > 0 and step % log_every == 0) or trainer.is_last_batch

    def finish_step(self, trainer: L.Trainer) -> None:
        """Compares the weights with those before the step that was measured last."""
        if self.before:
            pairs = zip(self.layers.values(), self.before, strict=True)
            self.write(trainer, "update_ratio", [float((new.detach() - old).norm() / old.norm()) for new, old in pairs])
            self.before = []

    def write(self, trainer: L.Trainer, group: str, values: list[float]) -> None:
        curves = {f"{group}/{name}": value for name, value in zip(self.layers, values, strict=True)}
        self.write_curves(trainer, curves, self.step)

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        self.finish_step(trainer)
        if not self.measured:  # no step has been taken since the last look
            return
        start = 1 + (self.first_epoch if self.last_look is None else self.last_look)
        label = f"epoch {self.epoch}" if start >= self.epoch else f"epochs {start} to {self.epoch}"
        latest = {label: np.mean(self.measured, axis=0)}
        self.first = self.first or latest
        self.measured = []
        figure, (axes,) = panels(4.8, 3.8)
        draw_norms(axes, self.first | latest)
        axes.legend(fontsize=10, loc="lower right")
        self.draw(trainer, "gradient_flow/by_depth", figure)
        self.keep(trainer, norms=latest[label], layers=np.array(list(self.layers)))


def norm(gradient: Tensor) -> float:
    """Of the largest entry's size first: squares of what has passed 50 sigmoid layers are 0 in float32."""
    largest = float(gradient.abs().max())
    return largest * float((gradient / largest).norm()) if 0 < largest < math.inf else largest


def draw_norms(axes: Axes, norms: dict[str, np.ndarray], is_relative: bool = False) -> None:
    """Draws gradient norms `(L,)` of L layers from input to head, on the scale that all figures share.

    Args:
        axes: to draw in.
        norms: by what the legend says.
        is_relative: the lines are networks, which may have several depths.
    """
    for number, (label, values) in enumerate(norms.items()):
        where = np.linspace(0, 1, len(values)) if is_relative else np.arange(1, len(values) + 1)
        axes.plot(where, np.maximum(values, RANGE[0]), label=label, **line_style(number, len(values)))
        below = where[values < RANGE[0]]
        if len(below):  # a line without points would push the others aside
            axes.plot(below, np.full(len(below), RANGE[0]), "v", color=COLOURS[number % 7], clip_on=False)
    logarithmic(axes, *RANGE)
    depth_axis(axes, "weight layer", is_relative)
    axes.set_ylabel("gradient norm")
