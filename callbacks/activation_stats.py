"""What happens to the signal on its way: does it keep its size, and do units still respond?"""

from __future__ import annotations

import math

import lightning as L
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor, nn

from callbacks.drawing import depth_axis, line_style, logarithmic, panels
from callbacks.insight import Insight
from callbacks.parts import NONLINEARITIES, array, by_unit, recorded, some, stages

NUM_SAMPLES = 256
MOST_HISTOGRAMS = 10
MOST_VALUES = 10_000  # of a histogram
RANGE = (1e-6, 1e4)  # of the standard deviation in every figure, so that two can be laid side by side
BOUNDS: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.LSTM: (-1.0, 1.0),
    nn.GRU: (-1.0, 1.0),
    nn.RNN: (-1.0, 1.0),
}
CLOSE = 0.01  # share of the range from one bound to the other within which a value is saturated


class ActivationStats(Insight):
    """Mean and standard deviation of what each part of the network gives, and the units that are stuck.

    On 256 validation samples; curves at finished epochs, by the name of the part:
    `activation_mean/`, `activation_std/`, `saturated/` (share of values within 1 % of the bounds of a
    sigmoid, a tanh or a recurrent state) and `dead/` (share of units that are 0 for every sample; units of a
    convolution are its channels). Histograms of at most 10 parts under `activations/`.

    The figure `activations/by_depth` shows standard deviations and stuck shares from input to head.

    Source: saturation: Glorot & Bengio 2010, section 3; dead units: Maas et al. 2013.
    """

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _ = self.samples(trainer, NUM_SAMPLES)
        parts = stages(model)
        inner = {name: nonlinearities(part) for name, part in parts.items()}
        watched = {f"{name}/{number}": one for name, own in inner.items() for number, one in enumerate(own)}
        with recorded({**parts, **watched}) as given:
            model(inputs)
        names = [name for name in given if name in parts]
        curves: dict[str, float] = {}
        stuck: list[float] = []
        for name in names:
            shares = [stuck_share(given[one], watched[one], model) for one in given if one.startswith(f"{name}/")]
            shares = shares or [stuck_share(given[name], parts[name], model)]
            stuck.append(sum(shares) / len(shares))
            is_bounded = any(type(one) in BOUNDS for one in inner[name])
            curves[f"activation_mean/{name}"] = float(given[name].float().mean())
            curves[f"activation_std/{name}"] = float(given[name].float().std(correction=0))
            curves[f"{'saturated' if is_bounded else 'dead'}/{name}"] = stuck[-1]
        self.write_curves(trainer, curves, self.epoch)
        for name in some(names, MOST_HISTOGRAMS):
            values = given[name].flatten()
            values = values[:: math.ceil(len(values) / MOST_VALUES)]
            if values.isfinite().all():  # of a network that diverged there is no histogram
                self.writer(trainer).add_histogram(f"activations/{name}", array(values), self.epoch, bins=64)
        deviations = np.array([curves[f"activation_std/{name}"] for name in names])
        figure, (above, below) = panels(4.8, 2.5, rows=2)
        draw_signal(above, below, {"": (deviations, np.array(stuck))})
        self.draw(trainer, "activations/by_depth", figure)
        self.keep(trainer, deviations=deviations, stuck=np.array(stuck), parts=np.array(names))


def nonlinearities(part: nn.Module) -> list[nn.Module]:
    """Its layers that are one, or the part itself, which may call one as a function."""
    layers = [one for one in part.modules() if type(one) in BOUNDS or isinstance(one, NONLINEARITIES)]
    return layers or [part]


def stuck_share(output: Tensor, layer: nn.Module, model: nn.Module) -> float:
    """The share of values close to a bound of the layer; where it has none, of units that are 0 for every sample."""
    if type(layer) in BOUNDS:
        low, high = BOUNDS[type(layer)]
        margin = CLOSE * (high - low)
        return float(((output < low + margin) | (output > high - margin)).float().mean())
    return float((by_unit(output, model) == 0).all(dim=(0, 2)).float().mean())


def draw_signal(first: Axes, second: Axes, networks: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draws standard deviations and stuck shares, each `(P,)`, of the P parts of a network, from input to head.

    Args:
        first: axes of the deviations.
        second: axes of the shares.
        networks: by name; several may have several depths.
    """
    is_relative = len(networks) > 1
    for number, (name, (deviations, stuck)) in enumerate(networks.items()):
        where = np.linspace(0, 1, len(deviations)) if is_relative else np.arange(1, len(deviations) + 1)
        style = line_style(number, len(deviations))
        first.plot(where, np.clip(deviations, *RANGE), label=name, **style)
        second.plot(where, 100 * stuck, **style)
    logarithmic(first, *RANGE)
    first.set_ylabel("standard deviation")
    second.set_ylim(-3, 103)
    second.set_ylabel("dead or saturated, %")
    for axes in (first, second):
        depth_axis(axes, "part of the network", is_relative)
    first.label_outer()
