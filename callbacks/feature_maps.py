"""The outputs of every layer for a few samples."""

import math
from typing import Any

import lightning as L
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn

from callbacks.drawing import SIGNED, colour_scale, enlarged, label_steps, mosaic, panels, show, show_samples, symmetric
from callbacks.insight import Insight
from callbacks.parts import by_unit, evenly_spaced, hide_padding, recorded, stages, to_numpy, to_pictures

NUM_SAMPLES = 3
MOST_ROWS = 7  # stages per figure
MOST_CHANNELS = 16
MOST_UNITS = 256  # drawn as rectangles
MOST_IN_A_ROW = 10  # units drawn in one row
MOST_LINES = 64  # units drawn over time
LABEL: Any = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 10}  # of a row
HEADLINE = "Output of every stage, with its shape, from the input to the head"


class FeatureMaps(Insight):
    """Draws the outputs of every stage for three fixed validation samples, under `feature_maps/layers`.

    Rows are stages and columns are samples. Each row has one scale, with its limit at the left. A convolution shows its
    first 16 channels, a layer over time shows a line for each of its first 64 units, and other layers show a rectangle
    per unit. At most 7 stages are drawn. Steps behind the end of a sequence are grey. Of a text, the first 40
    characters of one sample are drawn.
    """

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, titles, lengths = self.chosen_samples(trainer)
        parts = stages(model)
        with recorded(parts) as outputs:
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        end = len(labels) or (int(lengths[0].max()) if lengths else None)  # of the steps that are drawn
        names = evenly_spaced(outputs, MOST_ROWS)
        rows = [tiles(outputs[name], parts[name], model, end, *lengths) for name in names]
        first = 0 if self.has_tokens else 1  # row of a stage
        heights = [1.0] * first + [0.3 if pictures.shape[1] == 1 else 1.0 for pictures in rows]
        size = 0.3 + 1.2 * sum(heights) / len(heights)  # inches per row: text and pictures
        figure, every_axes = panels(HEADLINE, 4.8, size, len(heights), is_plot=False, height_ratios=heights)
        for axes, name, pictures in zip(every_axes[first:], names, rows, strict=True):
            scale, shape = symmetric(pictures), outputs[name].shape[1:]
            show(axes, mosaic(pictures, len(pictures), math.ceil(pictures.shape[2] / 8)), scale, SIGNED)
            axes.set_ylabel(f"{name}\n{' x '.join(map(str, shape))}\nscale ±{scale.vmax:g}", **LABEL)
            axes.set_aspect("equal" if len(shape) == 3 else "auto")
            axes.set_xlabel("time" if len(shape) == 2 else "", fontsize=9)
        if self.has_tokens:
            label_steps(every_axes[0].xaxis, labels)
        else:
            samples = to_pictures(hide_padding(inputs, *lengths))
            samples = samples[:, :, :end] if inputs.shape[1] > inputs.shape[-1] else samples[:, :end]
            width = samples.shape[2]
            gap = math.ceil(width / 8)
            show_samples(every_axes[0], samples, len(inputs), gap, self.data.is_ink)
            every_axes[0].set_ylabel("input", **LABEL)
            every_axes[0].set_aspect("equal" if inputs.ndim == 4 else "auto")
            every_axes[0].set_xticks(width / 2 + np.arange(len(inputs)) * (width + gap), titles, fontsize=10)
        every_axes[0].tick_params(length=0, labeltop=True, labelbottom=False)
        colour_scale(figure, every_axes, ScalarMappable(Normalize(-1, 1), SIGNED), "output / scale", "bottom")
        self.draw("feature_maps/layers", figure)

    def chosen_samples(self, trainer: L.Trainer) -> tuple[Tensor, list[str], list[Tensor]]:
        """Samples of three different classes if there are classes, their titles, and their lengths if unequal."""
        inputs, targets, *lengths = self.samples(trainer, 1 if self.has_tokens else 200)
        indices = list(range(len(inputs)))[:NUM_SAMPLES]
        titles = [f"sample {index + 1}" for index in indices]
        if self.data.task == "classification":
            classes, first = np.unique(targets.cpu(), return_index=True)
            classes, first = classes[classes >= 0], first[classes >= 0]
            places = np.linspace(0, len(classes) - 1, min(NUM_SAMPLES, len(classes))).astype(int)
            indices = first[places].tolist()
            titles = [f"class {self.class_names()[label]}" for label in classes[places]]
        return inputs[indices], titles, [values[indices] for values in lengths]


def tiles(output: Tensor, stage: nn.Module, model: nn.Module, end: int | None = None, *lengths: Tensor) -> np.ndarray:
    """The output `(B, ...)` of a stage as one picture per sample, `(B, H, W)`.

    Time steps are drawn up to `end`. What is behind the end of a sequence becomes NaN.
    """
    if output.ndim == 4:
        return np.stack([mosaic(enlarged(sample)) for sample in to_numpy(output[:, :MOST_CHANNELS])])
    units = by_unit(output, stage, model)  # (B, U, P)
    if output.ndim == 3:
        return to_numpy(hide_padding(units.transpose(1, 2), *lengths).transpose(1, 2)[:, :MOST_LINES, :end])
    squares = to_numpy(units)[:, :MOST_UNITS, :, None]  # (B, U, 1, 1)
    columns = squares.shape[1] if squares.shape[1] <= MOST_IN_A_ROW else None
    return np.stack([mosaic(sample, columns, gap=0) for sample in squares])
