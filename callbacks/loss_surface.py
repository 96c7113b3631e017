"""The loss around the final weights."""

import copy
import itertools
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from torch import Tensor
from torch.nn import functional as F

from callbacks.drawing import HEIGHT, colour_scale, panels
from callbacks.insight import Insight
from callbacks.parts import weights

NUM_SAMPLES = 128
NUM_POINTS = 11  # along each direction; odd, so that the final weights are one of them
REACH = 1.0  # distance from the final weights to the edge, in norms of each filter
SEED = 0  # of the two directions
RANGE = (1e-3, 1e2)  # of the loss in every figure, so that figures can be compared; other values are clipped
HEADLINE = "Loss around the trained network (+) if its weights change by up to 100 % in random directions: dark is low"
LEVELS = [step * 10.0**power for power in range(-3, 2) for step in (1, 1.5, 2, 3, 5, 7)] + [RANGE[1]]


class LossSurface(Insight):
    """Draws the loss around the final weights along two random directions, under `loss_surface/around_the_end`.

    Each direction has the norm of the weights in every filter (a row of a matrix, or a convolution kernel), so that
    networks with weights of different sizes can be compared. Biases and norm scales do not change. The loss is that of
    128 training samples.

    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 4.
    """

    num_intervals = 0

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        losses = surface(model, self.samples(trainer, NUM_SAMPLES, split="train"))
        figure, (axes,) = panels(HEADLINE, 4.8, 4.2, is_plot=False)
        colour_scale(figure, axes, draw_surface(axes, losses), f"loss of {NUM_SAMPLES} training samples")
        self.draw("loss_surface/around_the_end", figure)
        self.save_arrays(losses=losses)


def surface(model: L.LightningModule, batch: tuple[Tensor, ...]) -> np.ndarray:
    """The losses `(NUM_POINTS, NUM_POINTS)` on a grid; the first axis is the first direction."""
    inputs, targets, *lengths = batch
    copied: Any = copy.deepcopy(model)
    parameters = list(weights(copied, inputs, *lengths).values())
    final = [parameter.detach().clone() for parameter in parameters]
    generator = torch.Generator().manual_seed(SEED)
    first, second = ([filter_normalised(weight, generator) for weight in final] for _ in range(2))
    losses = []
    for x, y in itertools.product(np.linspace(-REACH, REACH, NUM_POINTS).tolist(), repeat=2):
        for parameter, weight, one, other in zip(parameters, final, first, second, strict=True):
            parameter.copy_(weight + x * one + y * other)
        losses.append(float(copied.loss(copied(inputs, *lengths), targets)))
    return np.array(losses).reshape(NUM_POINTS, NUM_POINTS)


def filter_normalised(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction with the norm of the weights in every filter."""
    direction = F.normalize(torch.randn(weight.shape, generator=generator).to(weight).flatten(1))
    return (direction * weight.flatten(1).norm(dim=1, keepdim=True)).view_as(weight)


def draw_surface(axes: Axes, losses: np.ndarray) -> ScalarMappable:
    """Draws contours of the loss, with a cross at the final weights."""
    steps = 100 * np.linspace(-REACH, REACH, NUM_POINTS)
    limited = np.nan_to_num(losses, nan=RANGE[1], posinf=RANGE[1]).clip(*RANGE)
    drawn = axes.contourf(steps, steps, limited.T, levels=LEVELS, norm=LogNorm(*RANGE), cmap=HEIGHT)
    axes.contour(steps, steps, limited.T, levels=LEVELS, colors="white", linewidths=0.5)
    axes.plot(0, 0, "+", color="white", markersize=12, markeredgewidth=2)
    axes.set(aspect="equal", xlabel="direction 1, %", ylabel="direction 2, %")
    return drawn
