"""The outputs of every layer for a few samples."""

import math
from typing import Any

import lightning as L
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn

from callbacks.drawing import (
    SIGNED,
    enlarged,
    headline,
    label_steps,
    mosaic,
    panels,
    plain_stage,
    show,
    show_samples,
    symmetric,
)
from callbacks.insight import Insight
from callbacks.parts import by_unit, evenly_spaced, hide_padding, recorded, stages, to_numpy, to_pictures

NUM_SAMPLES = 3
MOST_ROWS = 7  # stages per figure
MOST_CHANNELS = 16
MOST_UNITS = 256  # drawn as squares
MOST_IN_A_ROW = 10  # units drawn in one row
MOST_LINES = 64  # units drawn over time
LABEL: Any = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 10}  # of a row


class FeatureMaps(Insight):
    """Draws the outputs of every stage for three fixed validation samples, under `feature_maps/layers`.

    Rows are stages and columns are samples. Each row has one scale, with its limit at the left. A convolution shows its
    first 16 channels, a layer over time shows a line per unit, and other layers show a square per unit. At most 7
    stages are drawn. Steps behind the end of a sequence are grey.

    Of a text, the first 40 characters of one sample are drawn.
    """

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, titles, lengths = self.samples_of_different_classes(trainer, 1 if self.has_tokens else NUM_SAMPLES)
        parts = stages(model)
        with recorded(parts) as outputs:
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        end = len(labels) or (int(lengths[0].max()) if lengths else None)  # of the steps that are drawn
        outputs = {name: outputs[name] for name in evenly_spaced(outputs, MOST_ROWS)}
        rows = [tiles(output, parts[name], model, end, *lengths) for name, output in outputs.items()]
        is_over_time = [output.ndim == 3 for output in outputs.values()]
        if not self.has_tokens:
            pictures = to_pictures(hide_padding(inputs, *lengths))
            is_over_columns = inputs.ndim == 3 and inputs.shape[1] > inputs.shape[2]
            rows = [pictures[:, :, :end] if is_over_columns else pictures[:, :end], *rows]
            is_over_time = [False, *is_over_time]
        heights = [0.5 if over else height_of(row) for row, over in zip(rows, is_over_time, strict=True)]
        size = 0.35 + (1.1 + 1.07 * sum(heights)) / len(heights)  # inches per row: text, colour bar and pictures
        figure, every_axes = panels(4.8, size, len(heights), is_plot=False, height_ratios=heights)
        shown = "the start of a sample" if self.has_tokens else "three samples"
        headline(figure, f"Output of every stage for {shown}, from the input to the head")
        if not self.has_tokens:
            show_samples(every_axes[0], rows[0], len(inputs), gap=gap_of(rows[0]), is_ink=self.data.is_ink)
            every_axes[0].set_ylabel("input", **LABEL)
        first = len(rows) - len(outputs)
        for (name, output), axes, row in zip(outputs.items(), every_axes[first:], rows[first:], strict=True):
            scale = symmetric(row)
            show(axes, mosaic(row, len(row), gap_of(row)), scale, SIGNED)
            axes.set_ylabel(f"{plain_stage(name)}\nscale ±{scale.vmax:g}".replace(", ", "\n"), **LABEL)
            axes.set_xlabel(reading(name, output, row, by_unit(output, parts[name], model).shape[1]), fontsize=9)
        if self.has_tokens:
            label_steps(every_axes[0].xaxis, labels)
        else:
            step = rows[0].shape[2] + gap_of(rows[0])
            every_axes[0].set_xticks((np.arange(len(inputs)) + 0.5) * step - gap_of(rows[0]) / 2, titles, fontsize=10)
        every_axes[0].tick_params(length=0, labeltop=True, labelbottom=False)
        for axes, row, over in zip(every_axes, rows, is_over_time, strict=True):
            axes.set_aspect("auto" if over or is_flat(row) else "equal")
        signed = ScalarMappable(Normalize(-1, 1), SIGNED)
        bar = figure.colorbar(signed, ax=every_axes, location="bottom", aspect=30, ticks=[-1, 0, 1])
        bar.ax.set_xticklabels(["-scale", "output 0", "+scale"], fontsize=10)
        self.draw("feature_maps/layers", figure)


def tiles(output: Tensor, stage: nn.Module, model: nn.Module, end: int | None = None, *lengths: Tensor) -> np.ndarray:
    """The output of a stage as one picture per sample, `(B, H, W)`.

    Args:
        output: `(B, ...)`.
        stage: The stage.
        model: Its network.
        end: Number of time steps that are drawn. None draws all.
        lengths: `(B,)`. What is behind the end of a sequence becomes NaN.
    """
    if output.ndim == 4:
        channels = to_numpy(output[:, :MOST_CHANNELS])
        return np.stack([mosaic(enlarged(sample)) for sample in channels])
    units = by_unit(output, stage, model)  # (B, U, P)
    if output.ndim == 3:
        return to_numpy(hide_padding(units.transpose(1, 2), *lengths).transpose(1, 2)[:, :MOST_LINES, :end])
    squares = to_numpy(units)[:, :MOST_UNITS, :, None]  # (B, U, 1, 1)
    columns = len(squares[0]) if len(squares[0]) <= MOST_IN_A_ROW else None
    return np.stack([mosaic(sample, columns, gap=0) for sample in squares])


def reading(stage: str, output: Tensor, row: np.ndarray, num_units: int) -> str:
    """How to read the pictures `(B, H, W)` of a stage with this number of units or channels."""
    if output.ndim == 4:
        return f"{min(num_units, MOST_CHANNELS)} of {num_units} channels"
    kind = "outputs" if stage == "head" else "units"
    if output.ndim == 3:
        shown = f"{MOST_LINES} of {num_units}" if num_units > MOST_LINES else num_units
        return f"{shown} {kind} (top to bottom), {row.shape[2]} time steps (left to right)"
    return f"{num_units} {kind} from left to right" if row.shape[1] == 1 else f"{kind}, row by row"


def height_of(row: np.ndarray) -> float:
    """Height of the pictures `(B, H, W)` of a row, relative to their width."""
    if is_flat(row):
        return 0.15 if row.shape[1] == 1 else 0.3
    return min(max(row.shape[1] / row.shape[2], 0.15), 1.0)


def is_flat(row: np.ndarray) -> bool:
    """Whether pictures `(B, H, W)` are so wide that they are drawn higher than they are."""
    return row.shape[1] == 1 or row.shape[2] > 4 * row.shape[1]


def gap_of(row: np.ndarray) -> int:
    """Pixels between two pictures of a row."""
    return math.ceil(row.shape[2] / 8)
