"""Forecasts of a time series beside the truth."""

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes

from callbacks.drawing import COLOURS, panels
from callbacks.insight import Insight
from callbacks.parts import evenly_spaced, to_numpy

MOST_COLUMNS = 3
MARGIN = 0.25  # above and below the true values, as a fraction of their range
HEADLINE = "Validation windows: a good forecast follows the truth, not the grey line"


class Forecasts(Insight):
    """Draws forecasts for a few validation windows, under `forecasts/windows`.

    A panel shows the end of the inputs, the truth that follows, the forecast, and the last input repeated. Values are
    in the units of the file. The axes are the same in every picture of a run. Of many columns, three are drawn.
    """

    num_intervals = 9  # with the picture before training, as many as TensorBoard's slider keeps

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        return None if hasattr(self.data, "unscaled") else "the data is not a time series"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        names = self.data.targets
        drawn = evenly_spaced(names, MOST_COLUMNS)
        num_rows = 2 if len(drawn) == 1 else len(drawn)  # of two panels: four windows of one column, or two of each
        windows, forecasts = self.forecasts(trainer, model, 2 * num_rows // len(drawn))
        title = f"{HEADLINE} (finished epochs: {self.epoch})"
        figure, every_axes = panels(title, 2.6, 1.9, num_rows, 2, sharex=True)
        for number, axes in enumerate(every_axes):
            column, window = divmod(number, len(windows))
            target = names.index(drawn[column])
            draw_window(axes, self.data.window("val", windows[window])[:, target], forecasts[window, :, target])
            axes.set_title(drawn[column], fontsize=10, loc="left")
        for axes in every_axes[-2:]:
            axes.set_xlabel("steps after the last input", fontsize=10)
        figure.legend(handles=every_axes[0].lines[1:], fontsize=10, loc="outside lower center", ncols=3)
        self.draw("forecasts/windows", figure)

    def forecasts(self, trainer: L.Trainer, model: L.LightningModule, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The indices `(W,)` of validation windows, and forecasts `(W, horizon, targets)` in the units of the file."""
        inputs, _ = self.data.splits["val"]
        per_window = self.data.samples_per_window
        windows = np.linspace(0, len(inputs) // per_window - 1, number).astype(int)
        samples = (windows[:, None] * per_window + np.arange(per_window)).ravel()
        chosen = inputs[torch.from_numpy(samples).to(inputs.device)]
        outputs = model(trainer.precision_plugin.convert_input(chosen))
        return windows, self.data.unscaled(to_numpy(outputs), "val", windows)


def draw_window(axes: Axes, values: np.ndarray, forecast: np.ndarray) -> None:
    """Draws a forecast `(horizon,)` and the true values `(T,)` of a window, which end with those to forecast."""
    horizon = len(forecast)
    num_inputs = min(len(values) - horizon, max(horizon, 24))
    values = values[-num_inputs - horizon :]
    last = values[num_inputs - 1]
    steps = np.arange(horizon + 1)  # the lines start at the last input
    axes.axvline(0, color="0.8", linewidth=1)
    axes.plot(np.arange(len(values)) - num_inputs + 1, values, label="truth", color="black", linewidth=1.5)
    axes.plot(steps, np.full(horizon + 1, last), label="last value repeated", color="0.6", linewidth=2)
    axes.plot(steps, [last, *forecast], label="forecast", color=COLOURS[1], linewidth=1.5)
    margin = MARGIN * (values.max() - values.min()) or 1
    axes.set_ylim(values.min() - margin, values.max() + margin)
    axes.tick_params(labelsize=9)
