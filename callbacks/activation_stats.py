"""Statistics of the activations of every layer, with the fraction of inactive units."""

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from callbacks.curves import log_metrics
from callbacks.drawing import draw_by_depth, panels
from callbacks.insight import Insight
from callbacks.parts import NONLINEARITIES, by_unit, evenly_spaced, recorded, stages, to_numpy

NUM_SAMPLES = 256
MOST_HISTOGRAMS = 10
MOST_VALUES = 10_000  # per histogram
RANGE = (1e-6, 1e4)  # of the standard deviation in every figure, so that figures can be compared
BOUNDED = (nn.Sigmoid, nn.Tanh, nn.RNNBase)
HEADLINE = "Activations of every stage: their spread should stay level, and few units should be dead"
MARGIN = 0.01  # a value is saturated within this fraction of the range from a bound


class ActivationStats(Insight):
    """Mean and standard deviation of the activations of every stage, and its saturated or dead units.

    Measured on 256 validation samples, without the padding of unequal sequences. Curves with finished epochs on x:

    - `activation_mean/<stage>` and `activation_std/<stage>`.
    - `saturated/<stage>`: fraction of values within 1 % of a bound of a sigmoid, tanh or recurrent layer.
    - `dead/<stage>`: fraction of units that are 0 for every sample. The units of a convolution are its channels.

    Histograms `activations/<stage>` of at most 10 stages. Figure `activations/by_depth`: standard deviations, and
    fractions of dead or saturated units, from input to head.

    Source: Glorot & Bengio 2010, section 3, on saturation; Maas et al. 2013 on dead units.
    """

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _, *lengths = self.samples(trainer, NUM_SAMPLES)
        parts = stages(model)
        nonlinear = {name: one for name, one in model.named_modules() if isinstance(one, (*BOUNDED, *NONLINEARITIES))}
        every = parts | nonlinear
        with recorded(every) as outputs:
            model(inputs, *lengths)
        values = {name: unit_values(output, every[name], model, *lengths) for name, output in outputs.items()}
        names = [name for name in outputs if name in parts]
        curves: dict[str, float] = {}
        deviations, inactive = [], []
        for name in names:
            # without nonlinear layers, the stage itself, which may call nonlinear functions
            layers = [key for key in values if key in nonlinear and f"{key}.".startswith(f"{name}.")] or [name]
            inactive.append(float(np.mean([inactive_fraction(values[key], every[key]) for key in layers])))
            deviations.append(float(values[name].float().std(correction=0)))
            is_bounded = any(isinstance(every[key], BOUNDED) for key in layers)
            curves[f"activation_mean/{name}"] = float(values[name].float().mean())
            curves[f"activation_std/{name}"] = deviations[-1]
            curves[f"{'saturated' if is_bounded else 'dead'}/{name}"] = inactive[-1]
        log_metrics(trainer, curves, self.epoch)
        for name in evenly_spaced(names, MOST_HISTOGRAMS):
            drawn = values[name].flatten()[:: -(-values[name].numel() // MOST_VALUES)]
            if drawn.isfinite().all():  # add_histogram raises an error otherwise
                self.board.experiment.add_histogram(f"activations/{name}", to_numpy(drawn), self.epoch, bins=64)
        figure, axes = panels(HEADLINE, 4.8, 2.7, rows=2)
        arrays = {"deviations": np.array(deviations), "inactive": np.array(inactive), "parts": np.array(names)}
        draw_activations(axes, {"": arrays})
        self.draw("activations/by_depth", figure)
        self.save_arrays(**arrays)


def unit_values(output: Tensor, layer: nn.Module, model: nn.Module, *lengths: Tensor) -> Tensor:
    """The output of a layer as `(N, U)`: its U units at every position of every sample, without padding."""
    values = by_unit(output, layer, model).transpose(1, 2)  # (B, P, U)
    return (
        torch.cat([one[:end] for one, end in zip(values, *lengths, strict=True)]) if lengths else values.flatten(0, 1)
    )


def inactive_fraction(values: Tensor, layer: nn.Module) -> float:
    """The fraction of saturated values `(N, U)` if the layer is bounded, otherwise of units that are always 0."""
    if isinstance(layer, BOUNDED):
        low = 0 if isinstance(layer, nn.Sigmoid) else -1
        margin = MARGIN * (1 - low)
        return float(((values < low + margin) | (values > 1 - margin)).float().mean())
    return float((values == 0).all(0).float().mean())


def draw_activations(axes: list[Axes], networks: dict[str, dict[str, np.ndarray]]) -> None:
    """Draws the arrays that `ActivationStats` saves, by the name of the network, on two axes."""
    deviations = {name: own["deviations"] for name, own in networks.items()}
    percentages = {name: 100 * own["inactive"] for name, own in networks.items()}
    draw_by_depth(axes[0], deviations, "standard deviation", RANGE)
    draw_by_depth(axes[1], percentages, "dead or saturated, %", (-3, 103), "linear")
