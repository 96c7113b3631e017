"""What becomes of a few digits, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from torch import Tensor, nn

from callbacks.drawing import HEIGHT, SIGNED, columns_for, enlarged, mosaic, panels, show, show_samples, symmetric
from callbacks.insight import Insight, class_names, is_ink
from callbacks.parts import array, by_unit, pictures, recorded, some, stages

NUM_SAMPLES = 3
MOST_ROWS = 7  # parts of the network in one figure
MOST_CHANNELS = 16
MOST_UNITS = 256  # as squares
MOST_LINES = 64  # over time
LABEL: Any = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 10}  # of a row


class FeatureMaps(Insight):
    """Draws what each part of the network makes of three fixed validation samples, under `feature_maps/layers`.

    A row is a part, a column a sample; a row has one scale, white is 0. Of a convolution the first 16 channels are
    drawn; of what runs over time, such as a recurrent layer's state, a line a unit; of other layers each unit is a
    square. Of more than 7 parts every so many are shown, the first and the last always.

    The weights of each `nn.MultiheadAttention` are drawn under `attention/<layer>`: a map a head and sample, whose
    rows say at which steps a step looks; yellow is all of its attention.
    """

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, labels = self.samples_of_different_classes(trainer)
        parts = stages(model)
        with attention_maps(model) as maps, recorded(parts) as given:
            model(inputs)
        rows = {"input": pictures(inputs)}
        rows |= {name: tiles(given[name], model) for name in some(given, MOST_ROWS)}
        over_time = [name for name in rows if name != "input" and given[name].ndim == 3]
        # units over time have no shape of their own
        heights = [0.4 if name in over_time else row.shape[1] / row.shape[2] for name, row in rows.items()]
        heights = [min(max(height, 0.2), 1.0) for height in heights]
        size = 0.4 + 1.3 * sum(heights) / len(rows)
        figure, every_axes = panels(4.8, size, len(rows), is_plot=False, height_ratios=heights)
        for axes, (name, row) in zip(every_axes, rows.items(), strict=True):
            if name == "input":
                show_samples(axes, row, len(row), gap=gap_of(row), is_ink=is_ink(trainer))
                axes.set_ylabel(name, **LABEL)
            else:
                draw_row(axes, row, name)
            axes.set_aspect("auto" if name in over_time or row.shape[1] == 1 else "equal")
        every_axes[0].set_title(labels)
        self.draw(trainer, "feature_maps/layers", figure, is_alike=False)
        for name, one in maps.items():
            figure, every_axes = panels(4.8, 1.6, rows=len(one), is_plot=False)
            for axes, of_sample in zip(every_axes, array(one), strict=True):
                show(axes, mosaic(of_sample, len(of_sample)), Normalize(0, 1), HEIGHT)
                axes.set_ylabel("from step", fontsize=10)
            every_axes[-1].set_xlabel("to step, head by head")
            self.draw(trainer, f"attention/{name}", figure)

    def samples_of_different_classes(self, trainer: L.Trainer) -> tuple[Tensor, str]:
        """Three samples, and what they are called."""
        inputs, targets = self.samples(trainer, most=200)
        if targets.ndim > 1:  # no class a sample
            return inputs[:NUM_SAMPLES], f"the same {len(inputs[:NUM_SAMPLES])} samples in every row"
        classes = targets[targets >= 0].unique() if targets.dtype == torch.int64 else targets.unique()
        chosen = classes[torch.linspace(0, len(classes) - 1, min(NUM_SAMPLES, len(classes))).long()]
        indices = torch.stack([(targets == one).nonzero()[0, 0] for one in chosen])
        return inputs[indices], "samples of class " + ", ".join(class_names(trainer)[int(one)] for one in chosen)


def tiles(output: Tensor, model: nn.Module) -> np.ndarray:
    """What a part made of each sample, as a picture: `(B, H, W)`."""
    if output.ndim == 4:
        channels = array(output[:, :MOST_CHANNELS])
        return np.stack([mosaic(enlarged(one), columns_for(len(one))) for one in channels])
    units = array(by_unit(output, model))  # (B, U, P)
    if output.ndim == 3:
        return units[:, :MOST_LINES]
    squares = units[:, :MOST_UNITS]  # (B, U, 1)
    return np.stack([mosaic(one[:, None], columns_for(squares.shape[1]), gap=0) for one in squares])


def draw_row(axes: Axes, row: np.ndarray, name: str) -> None:
    """Pictures `(B, H, W)` side by side on one scale, which is written beside them."""
    scale = symmetric(row)
    show(axes, mosaic(row, len(row), gap_of(row)), scale, SIGNED)
    axes.set_ylabel(f"{name}\n±{scale.vmax:g}", **LABEL)


def gap_of(row: np.ndarray) -> int:
    """Pixels between two pictures of a row."""
    return math.ceil(row.shape[2] / 8)


@contextmanager
def attention_maps(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """While it is open, the weights `(B, heads, T, T)` that each layer of attention has used last."""
    maps: dict[str, Tensor] = {}

    def ask(module: nn.Module, inputs: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named = dict(zip(("key_padding_mask", "need_weights", "attn_mask"), inputs[3:], strict=False))
        return inputs[:3], {**options, **named, "need_weights": True, "average_attn_weights": False}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            maps[name] = output[1]

        return hook

    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)}
    handles = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in layers.values()]
    handles += [module.register_forward_hook(record(name)) for name, module in layers.items()]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()
