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

from callbacks.drawing import HEIGHT, SIGNED, colour_scale, enlarged, mosaic, panels, show, show_samples, symmetric
from callbacks.insight import Insight
from callbacks.parts import by_unit, evenly_spaced, recorded, stages, to_numpy, to_pictures

NUM_SAMPLES = 3
MOST_ROWS = 7  # stages per figure
MOST_CHANNELS = 16
MOST_UNITS = 256  # drawn as squares
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
        inputs, title = self.samples_of_different_classes(trainer)
        with attention_maps(model) as attention, recorded(stages(model)) as outputs:
            model(inputs)
        names = evenly_spaced(outputs, MOST_ROWS)
        rows = [to_pictures(inputs), *(tiles(outputs[name], model) for name in names)]
        is_over_time = [False, *(outputs[name].ndim == 3 for name in names)]
        ratios = [0.4 if over else row.shape[1] / row.shape[2] for row, over in zip(rows, is_over_time, strict=True)]
        heights = [min(max(ratio, 0.2), 1.0) for ratio in ratios]
        size = 0.4 + 1.3 * sum(heights) / len(heights)
        figure, every_axes = panels(4.8, size, len(heights), is_plot=False, height_ratios=heights)
        show_samples(every_axes[0], rows[0], len(inputs), gap=gap_of(rows[0]), is_ink=self.data.is_ink)
        every_axes[0].set_ylabel("input", **LABEL)
        every_axes[0].set_title(title)
        for name, axes, row in zip(names, every_axes[1:], rows[1:], strict=True):
            scale = symmetric(row)
            show(axes, mosaic(row, len(row), gap_of(row)), scale, SIGNED)
            axes.set_ylabel(f"{name}\n±{scale.vmax:g}", **LABEL)
        for axes, row, over in zip(every_axes, rows, is_over_time, strict=True):
            axes.set_aspect("auto" if over or row.shape[1] == 1 else "equal")
        colour_scale(figure, every_axes, ScalarMappable(Normalize(-1, 1), SIGNED), "output / limit of its row")
        self.draw("feature_maps/layers", figure)
        for name, maps in attention.items():
            self.draw_attention(f"attention/{name}", to_numpy(maps))

    def draw_attention(self, tag: str, maps: np.ndarray) -> None:
        """Draws attention weights `(B, heads, T, T)`, with a row per sample."""
        figure, every_axes = panels(4.8, 1.6, rows=len(maps), is_plot=False)
        for axes, heads in zip(every_axes, maps, strict=True):
            show(axes, mosaic(heads, len(heads)), Normalize(0, 1), HEIGHT)
            axes.set_ylabel("from step", fontsize=10)
        every_axes[-1].set_xlabel("to step, head by head")
        self.draw(tag, figure)

    def samples_of_different_classes(self, trainer: L.Trainer) -> tuple[Tensor, str]:
        """Three samples and a title for them."""
        inputs, targets = self.samples(trainer, most=200)
        if targets.ndim > 1:  # regression or tagging
            return inputs[:NUM_SAMPLES], "the same samples in every row"
        classes = targets[targets >= 0].unique()
        chosen = classes[torch.linspace(0, len(classes) - 1, min(NUM_SAMPLES, len(classes))).long()]
        indices = torch.stack([(targets == label).nonzero()[0, 0] for label in chosen])
        return inputs[indices], "samples of class " + ", ".join(self.class_names()[int(label)] for label in chosen)


def tiles(output: Tensor, model: nn.Module) -> np.ndarray:
    """The output of a stage as one picture per sample, `(B, H, W)`."""
    if output.ndim == 4:
        channels = to_numpy(output[:, :MOST_CHANNELS])
        return np.stack([mosaic(enlarged(sample)) for sample in channels])
    units = to_numpy(by_unit(output, model))  # (B, U, P)
    if output.ndim == 3:
        return units[:, :MOST_LINES]
    squares = units[:, :MOST_UNITS, :, None]  # (B, U, 1, 1)
    return np.stack([mosaic(sample, gap=0) for sample in squares])


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
