"""The outputs of every layer for a few samples."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn

from callbacks.drawing import (
    HEIGHT,
    SIGNED,
    class_title,
    colour_scale,
    enlarged,
    headline,
    mosaic,
    panels,
    plain_stage,
    show,
    show_samples,
    symmetric,
)
from callbacks.insight import Insight
from callbacks.parts import by_unit, evenly_spaced, recorded, stages, to_numpy, to_pictures

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
    stages are drawn.

    Attention weights of each `nn.MultiheadAttention` are drawn under `attention/<layer>`, with a map per head and
    sample. Each row of a map is the attention of one time step to all steps, from 0 (dark) to 1 (yellow).
    """

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, titles, lengths = self.samples_of_different_classes(trainer)
        with attention_maps(model) as attention, recorded(stages(model)) as outputs:
            model(inputs, *lengths)
        outputs = {name: outputs[name] for name in evenly_spaced(outputs, MOST_ROWS)}
        rows = [to_pictures(inputs), *(tiles(output, model) for output in outputs.values())]
        is_over_time = [False, *(output.ndim == 3 for output in outputs.values())]
        ratios = [0.5 if over else row.shape[1] / row.shape[2] for row, over in zip(rows, is_over_time, strict=True)]
        heights = [min(max(ratio, 0.15), 1.0) for ratio in ratios]
        size = 0.35 + (1.1 + 1.07 * sum(heights)) / len(heights)  # inches per row: text, colour bar and pictures
        figure, every_axes = panels(4.8, size, len(heights), is_plot=False, height_ratios=heights)
        headline(figure, "Output of every stage for three samples, from the input to the head")
        show_samples(every_axes[0], rows[0], len(inputs), gap=gap_of(rows[0]), is_ink=self.data.is_ink)
        every_axes[0].set_ylabel("input", **LABEL)
        step = rows[0].shape[2] + gap_of(rows[0])
        every_axes[0].set_xticks((np.arange(len(inputs)) + 0.5) * step - gap_of(rows[0]) / 2, titles, fontsize=10)
        every_axes[0].tick_params(length=0, labeltop=True, labelbottom=False)
        for (name, output), axes, row in zip(outputs.items(), every_axes[1:], rows[1:], strict=True):
            scale = symmetric(row)
            show(axes, mosaic(row, len(row), gap_of(row)), scale, SIGNED)
            axes.set_ylabel(f"{plain_stage(name)}\nscale ±{scale.vmax:g}".replace(", ", "\n"), **LABEL)
            axes.set_xlabel(reading(name, output, row), fontsize=9)
        for axes, row, over in zip(every_axes, rows, is_over_time, strict=True):
            axes.set_aspect("auto" if over or row.shape[1] == 1 else "equal")
        signed = ScalarMappable(Normalize(-1, 1), SIGNED)
        bar = figure.colorbar(signed, ax=every_axes, location="bottom", aspect=30, ticks=[-1, 0, 1])
        bar.ax.set_xticklabels(["-scale", "output 0", "+scale"], fontsize=10)
        self.draw("feature_maps/layers", figure)
        for name, maps in attention.items():
            self.draw_attention(f"attention/{name}", to_numpy(maps))

    def draw_attention(self, tag: str, maps: np.ndarray) -> None:
        """Draws attention weights `(B, heads, T, T)`, with a row per sample."""
        figure, every_axes = panels(4.8, 1.6, rows=len(maps), is_plot=False)
        headline(figure, "Attention of each head to the time steps of a sample: a row is a step, and bright is strong")
        for axes, heads in zip(every_axes, maps, strict=True):
            drawn = show(axes, mosaic(heads, len(heads)), Normalize(0, 1), HEIGHT)
            axes.set_ylabel("from step", fontsize=10)
        every_axes[-1].set_xlabel("to step, head by head")
        colour_scale(figure, every_axes, drawn, "attention")
        self.draw(tag, figure)

    def samples_of_different_classes(self, trainer: L.Trainer) -> tuple[Tensor, list[str], list[Tensor]]:
        """Three samples, their titles, and their lengths if these are unequal."""
        inputs, targets, *lengths = self.samples(trainer, most=200)
        if targets.ndim > 1:  # regression or tagging
            titles = [f"sample {number + 1}" for number in range(len(inputs[:NUM_SAMPLES]))]
            return inputs[:NUM_SAMPLES], titles, [values[:NUM_SAMPLES] for values in lengths]
        classes = targets[targets >= 0].unique()
        chosen = classes[torch.linspace(0, len(classes) - 1, min(NUM_SAMPLES, len(classes))).long()]
        indices = torch.stack([(targets == label).nonzero()[0, 0] for label in chosen])
        titles = [class_title(self.class_names()[int(label)]) for label in chosen]
        return inputs[indices], titles, [values[indices] for values in lengths]


def tiles(output: Tensor, model: nn.Module) -> np.ndarray:
    """The output of a stage as one picture per sample, `(B, H, W)`."""
    if output.ndim == 4:
        channels = to_numpy(output[:, :MOST_CHANNELS])
        return np.stack([mosaic(enlarged(sample)) for sample in channels])
    units = to_numpy(by_unit(output, model))  # (B, U, P)
    if output.ndim == 3:
        return units[:, :MOST_LINES]
    squares = units[:, :MOST_UNITS, :, None]  # (B, U, 1, 1)
    columns = len(squares[0]) if len(squares[0]) <= MOST_IN_A_ROW else None
    return np.stack([mosaic(sample, columns, gap=0) for sample in squares])


def reading(stage: str, output: Tensor, row: np.ndarray) -> str:
    """How to read the pictures `(B, H, W)` of a stage."""
    if output.ndim == 4:
        return f"{min(output.shape[1], MOST_CHANNELS)} of {output.shape[1]} channels"
    if output.ndim == 3:
        return f"{row.shape[1]} units from top to bottom, {row.shape[2]} time steps from left to right"
    kind = "outputs" if stage == "head" else "units"
    return f"{output.shape[1]} {kind} from left to right" if row.shape[1] == 1 else f"{kind}, row by row"


def gap_of(row: np.ndarray) -> int:
    """Pixels between two pictures of a row."""
    return math.ceil(row.shape[2] / 8)


@contextmanager
def attention_maps(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside this context, the dictionary holds the last weights `(B, heads, T, T)` of each attention layer."""
    maps: dict[str, Tensor] = {}

    def ask_for_weights(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named = dict(zip(("key_padding_mask", "need_weights", "attn_mask"), args[3:], strict=False))
        return args[:3], {**kwargs, **named, "need_weights": True, "average_attn_weights": False}

    def record(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        maps[name] = output[1]

    with ExitStack() as handles:
        for name, module in model.named_modules():
            if isinstance(module, nn.MultiheadAttention):
                handles.enter_context(module.register_forward_pre_hook(ask_for_weights, with_kwargs=True))
                handles.enter_context(module.register_forward_hook(partial(record, name)))
        yield maps
