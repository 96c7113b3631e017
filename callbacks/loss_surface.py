"""How the loss changes around the point where training ended."""

from __future__ import annotations

import copy
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from torch import Tensor

from callbacks.drawing import HEIGHT, colour_scale, panels
from callbacks.insight import Insight
from callbacks.parts import lacks_weights, weights

NUM_SAMPLES = 128
NUM_POINTS = 11  # of the grid along each direction: odd, so that the end point is one
REACH = 1.0  # how far the grid goes, in norms of each filter
SEED = 0  # of the two directions
RANGE = (1e-3, 1e2)  # of the loss in every figure, so that two can be laid side by side; what lies outside has its ends
LEVELS = [step * 10.0**power for power in range(-3, 2) for step in (1, 2, 5)] + [RANGE[1]]


class LossSurface(Insight):
    """Draws the loss around the end point, along two random directions, under `loss_surface/around_the_end`.

    Each direction is scaled, filter by filter (rows of a matrix, kernels of a convolution), to the norm that the
    filter has, so that networks can be compared whatever the size of their weights; biases and norm scales stay as
    they are. The loss is that of 128 training samples, its levels are the same in every run. A copy of the network is
    moved, the network itself is not touched.

    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 4.
    """

    num_intervals = 0

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        return lacks_weights(model)

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        losses = surface(model, self.samples(trainer, NUM_SAMPLES, split="train"))
        figure, (axes,) = panels(4.8, 4.2, is_plot=False)
        drawn = draw_surface(axes, losses)
        colour_scale(figure, axes, drawn, f"loss of {NUM_SAMPLES} training samples")
        self.draw(trainer, "loss_surface/around_the_end", figure)
        self.keep(trainer, losses=losses)


def surface(model: L.LightningModule, batch: tuple[Tensor, Tensor]) -> np.ndarray:
    """Losses on the grid, `(NUM_POINTS, NUM_POINTS)`: the first axis is the first direction."""
    moved: Any = copy.deepcopy(model)
    parameters = list(weights(moved, batch[0]).values())
    ends = [parameter.detach().clone() for parameter in parameters]
    generator = torch.Generator().manual_seed(SEED)
    directions = [[filter_normalised(end, generator) for end in ends] for _ in range(2)]
    steps = np.linspace(-REACH, REACH, NUM_POINTS)
    losses = np.zeros((NUM_POINTS, NUM_POINTS))
    for row, first in enumerate(steps):
        starts = [end + first * one for end, one in zip(ends, directions[0], strict=True)]
        for column, second in enumerate(steps):
            for parameter, start, other in zip(parameters, starts, directions[1], strict=True):
                torch.add(start, other, alpha=second, out=parameter)
            losses[row, column] = float(moved.loss(moved(batch[0]), batch[1]))
    return losses


def filter_normalised(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction with the norm that the weight has in each filter."""
    direction = torch.randn(weight.shape, generator=generator).to(weight)
    norms = direction.flatten(1).norm(dim=1)
    return direction * (weight.flatten(1).norm(dim=1) / norms).view(-1, *[1] * (weight.ndim - 1))


def draw_surface(axes: Axes, losses: np.ndarray) -> ScalarMappable:
    """Levels of the loss; the end point is marked."""
    steps = np.linspace(-REACH, REACH, NUM_POINTS)
    limited = np.nan_to_num(losses, nan=RANGE[1], posinf=RANGE[1]).clip(*RANGE)
    drawn = axes.contourf(steps, steps, limited.T, levels=LEVELS, norm=LogNorm(*RANGE), cmap=HEIGHT)
    axes.contour(steps, steps, limited.T, levels=LEVELS, colors="white", linewidths=0.5)
    axes.plot(0, 0, "+", color="white", markersize=12, markeredgewidth=2)
    axes.set_aspect("equal")
    axes.set_xlabel("first direction, in filter norms")
    axes.set_ylabel("second direction, in filter norms")
    return drawn
