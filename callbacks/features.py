"""What the units of a layer respond to most: an input made for each, and the samples that excite it most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from callbacks.drawing import SIGNED, enlarged, mosaic, panels, show, show_samples, symmetric
from callbacks.insight import Insight, class_names, data_of, is_ink
from callbacks.parts import NONLINEARITIES, by_unit, hooked, pictures, recorded, some, stages

NUM_UNITS = 8
NUM_SAMPLES = 9
MOST_SAMPLES = 1000
MOST_PARTS = 4
NUM_STEPS = 25
STEP = 0.25  # of the gradient ascent, as a share of the input's norm
SEED = 0  # of the noise it starts from


class Features(Insight):
    """Draws what excites the units of a layer, under `features/<part>`, when training ends.

    Of up to four parts of the network, the first and the head among them, the first eight units: on the left an
    input found by gradient ascent from noise, beside it the nine of 1,000 validation samples that excite the unit
    most. The inputs found have the mean norm of the samples, since without a bound there is no most. The response of a
    channel is its mean over positions, that of a recurrent unit its mean over time. Of a neuron it is what enters its
    activation: when it is off, what leaves has no gradient. Where no gradient reaches the input, the picture is grey.

    Source: Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network", section 3.2.
    """

    num_intervals = 0

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        if list(model.hparams["input_shape"]) == [2]:
            return "inputs of 2 numbers are no picture; DecisionBoundary draws them"
        return None

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        samples, _ = self.samples(trainer, MOST_SAMPLES)
        parts = {name: part for name, part in stages(model).items() if list(part.parameters())}
        with recorded(parts) as called:
            model(samples[:2])
        for name in some(called, MOST_PARTS):
            with responses(parts[name], model) as given:
                model(samples)
                num_units = min(NUM_UNITS, given[0].shape[1])
                best = given[0][:, :num_units].topk(min(NUM_SAMPLES, len(samples)), dim=0).indices  # (S, U)
                made = ascend(model, given, num_units, samples)
            self.draw_units(trainer, f"features/{name}", pictures(made), pictures(samples[best.T.flatten()]))

    def draw_units(self, trainer: L.Trainer, tag: str, made: np.ndarray, samples: np.ndarray) -> None:
        made, samples = enlarged(made), enlarged(samples)
        columns = len(samples) // len(made)
        figure, (left, right) = panels(
            2.7, 4.6, columns=2, is_plot=False, width_ratios=[made.shape[2], columns * made.shape[2]]
        )
        if made.ndim == 4:
            show_samples(left, made, 1)
        else:
            show(left, mosaic(made, 1), symmetric(made), SIGNED)
        show_samples(right, samples, columns, is_ink=is_ink(trainer))
        middles = (np.arange(len(made)) + 0.5) * (made.shape[1] + 1) - 1
        names = [f"unit {number + 1}" for number in range(len(made))]
        if tag == "features/head" and data_of(trainer).task != "regression":
            names = class_names(trainer)[: len(made)]
        left.set_yticks(middles, names)
        left.tick_params(length=0)
        left.set_title("made")
        right.set_title(f"the {columns} samples that excite it most")
        self.draw(trainer, tag, figure)


@contextmanager
def responses(part: nn.Module, model: nn.Module) -> Iterator[list[Tensor]]:
    """While it is open, the one item is how strongly each unit of the part responded last: `(B, U)`."""
    given: list[Tensor] = [torch.empty(0)]
    layers = [one for one in part.children() if not isinstance(one, nn.Dropout)] or [part]
    ends = isinstance(part, nn.Sequential) and isinstance(layers[-1], NONLINEARITIES)

    def enters(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if inputs[0].ndim == 2:
            given[0] = inputs[0]

    def leaves(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if not ends or first.ndim > 2:
            given[0] = by_unit(first, model).mean(-1)

    with hooked([(layers[-1], enters), (part, leaves)] if ends else [(part, leaves)]):
        yield given


def ascend(model: nn.Module, given: list[Tensor], num_units: int, samples: Tensor) -> Tensor:
    """The inputs, of the samples' mean norm, that excite the first units of a part most: `(U, *input_shape)`."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(num_units, *samples.shape[1:], generator=generator).to(samples)
    norm = samples.flatten(1).norm(dim=1).mean()
    inputs = on_sphere(noise, norm)
    # cuDNN's recurrent layers have no gradient in evaluation mode
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for _ in range(NUM_STEPS):
            inputs = inputs.detach().requires_grad_()
            model(inputs)
            (gradient,) = torch.autograd.grad(given[0].diagonal().sum(), inputs, allow_unused=True)
            gradient = torch.zeros_like(inputs) if gradient is None else gradient
            inputs = on_sphere(inputs + STEP * on_sphere(gradient, norm), norm)
    is_moved = gradient.flatten(1).any(dim=1)
    return torch.where(is_moved.view(-1, *[1] * (inputs.ndim - 1)), inputs.detach(), torch.nan)


def on_sphere(inputs: Tensor, norm: Tensor) -> Tensor:
    """Each input scaled to this norm; zeros stay."""
    norms = inputs.flatten(1).norm(dim=1)
    factors = torch.where(norms > 0, norm / norms, 0.0)
    return inputs * factors.view(-1, *[1] * (inputs.ndim - 1))
