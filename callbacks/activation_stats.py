"""Statistics of the activations of every layer, with the fraction of inactive units."""

import lightning as L
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor, nn

from callbacks.curves import log_metrics
from callbacks.drawing import depth_axis, headline, line_styles, panels, plain_name
from callbacks.insight import Insight
from callbacks.parts import NONLINEARITIES, by_unit, evenly_spaced, recorded, stages, to_numpy, valid_steps

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
        inner = {name: nonlinearities(part) for name, part in parts.items()}
        layers = {f"{name}/{number}": layer for name, found in inner.items() for number, layer in enumerate(found)}
        every = {**parts, **layers}
        with recorded(every) as outputs:
            model(inputs, *lengths)
        values = {name: unit_values(output, every[name], model, *lengths) for name, output in outputs.items()}
        names = [name for name in outputs if name in parts]
        curves: dict[str, float] = {}
        deviations, inactive = [], []
        for name in names:
            called = {key: layers[key] for key in outputs if key.startswith(f"{name}/")} or {name: parts[name]}
            inactive.append(float(np.mean([inactive_fraction(values[key], called[key]) for key in called])))
            deviations.append(float(values[name].float().std(correction=0)))
            is_bounded = any(isinstance(layer, BOUNDED) for layer in inner[name])
            curves[f"activation_mean/{name}"] = float(values[name].float().mean())
            curves[f"activation_std/{name}"] = deviations[-1]
            curves[f"{'saturated' if is_bounded else 'dead'}/{name}"] = inactive[-1]
        log_metrics(trainer, curves, self.epoch)
        for name in evenly_spaced(names, MOST_HISTOGRAMS):
            drawn = values[name].flatten()
            drawn = drawn[:: -(-len(drawn) // MOST_VALUES)]
            if drawn.isfinite().all():  # add_histogram raises an error otherwise
                self.board.experiment.add_histogram(f"activations/{name}", to_numpy(drawn), self.epoch, bins=64)
        signal = np.array(deviations), np.array(inactive)
        figure, (upper, lower) = panels(4.8, 2.7, rows=2)
        headline(figure, HEADLINE)
        draw_signal(upper, lower, {"": signal})
        self.draw("activations/by_depth", figure)
        self.save_arrays(deviations=signal[0], inactive=signal[1], parts=np.array(names))


def nonlinearities(stage: nn.Module) -> list[nn.Module]:
    """The nonlinear layers of a stage, or the stage itself, which may call nonlinear functions."""
    return [layer for layer in stage.modules() if isinstance(layer, (*BOUNDED, *NONLINEARITIES))] or [stage]


def unit_values(output: Tensor, layer: nn.Module, model: nn.Module, *lengths: Tensor) -> Tensor:
    """The output of a layer as `(N, U)`: its U units at every position of every sample, without padding."""
    values = by_unit(output, layer, model).transpose(1, 2)  # (B, P, U)
    return values[valid_steps(values.shape[1], *lengths)] if lengths else values.flatten(0, 1)


def inactive_fraction(values: Tensor, layer: nn.Module) -> float:
    """The fraction of saturated values `(N, U)` if the layer is bounded, otherwise of units that are always 0."""
    if isinstance(layer, BOUNDED):
        low = 0 if isinstance(layer, nn.Sigmoid) else -1
        margin = MARGIN * (1 - low)
        return float(((values < low + margin) | (values > 1 - margin)).float().mean())
    return float((values == 0).all(0).float().mean())


def draw_signal(first: Axes, second: Axes, networks: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draws standard deviations and fractions of inactive units from input to head.

    Args:
        first: Axes of the standard deviations.
        second: Axes of the fractions.
        networks: Standard deviations and fractions of each network, both `(P,)` for P stages.
    """
    is_relative = len(networks) > 1
    lines = {name: deviations for name, (deviations, _) in networks.items()}
    for (name, (deviations, inactive)), style in zip(networks.items(), line_styles(lines), strict=True):
        x = np.linspace(0, 1, len(deviations)) if is_relative else np.arange(1, len(deviations) + 1)
        first.plot(x, np.clip(deviations, *RANGE), label=plain_name(name), **style)
        second.plot(x, 100 * inactive, **style)
    first.set(yscale="log", ylim=RANGE, ylabel="standard deviation")
    second.set(ylim=(-3, 103), ylabel="dead or saturated, %")
    for axes in (first, second):
        depth_axis(axes, "stage", is_relative)
    first.label_outer()
