"""The attention of every head."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import lightning as L
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor, nn

from callbacks.drawing import HEIGHT, colour_scale, headline, label_steps, mosaic, panels, show
from callbacks.insight import Insight
from callbacks.parts import to_numpy

NUM_SAMPLES = 3
SCALE = PowerNorm(0.5, 0, 1)  # most weights are around 1 / T, which would be dark on a linear scale


class AttentionMaps(Insight):
    """Draws the attention weights of every `nn.MultiheadAttention`, with a map per head, under `attention/<layer>`.

    Each row of a map is the attention of one time step to all steps, from 0 (dark) to 1 (yellow). Three validation
    samples are drawn, without the steps behind the end of a sequence. Of a text, the first 40 characters of one sample
    are drawn, and written along both axes.

    Source: Vaswani et al. 2017, "Attention Is All You Need", figures 3 to 5.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        has_attention = any(isinstance(module, nn.MultiheadAttention) for module in model.modules())
        return None if has_attention else f"{type(model).__name__} has no nn.MultiheadAttention"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, titles, lengths = self.samples_of_different_classes(trainer, 1 if self.has_tokens else NUM_SAMPLES)
        with attention_maps(model) as attention:
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        ends = lengths[0].tolist() if lengths else [None] * len(inputs)
        for name, maps in attention.items():
            shown = [sample[:, :end, :end] for sample, end in zip(to_numpy(maps), ends, strict=True)]
            figure = text_figure(shown[0], labels) if labels else samples_figure(shown, titles)
            self.draw(f"attention/{name}", figure)


def text_figure(heads: np.ndarray, labels: list[str]) -> Figure:
    """The attention weights `(heads, T, T)` of a text, with its first characters along both axes."""
    figure, every_axes = panels(4.8, 4.6, rows=len(heads), is_plot=False)
    headline(figure, "Attention of every head: a row is a character, and bright are the characters that it attends to")
    for number, (axes, head) in enumerate(zip(every_axes, heads, strict=True)):
        drawn = show(axes, head[: len(labels), : len(labels)], SCALE, HEIGHT)
        label_steps(axes.xaxis, labels)
        label_steps(axes.yaxis, labels)
        axes.set_title(f"head {number + 1}", fontsize=10, loc="left")
        axes.set_ylabel("from", fontsize=10)
        axes.set_xlabel("to", fontsize=10)
    colour_scale(figure, every_axes, drawn, "attention", "bottom")
    return figure


def samples_figure(samples: list[np.ndarray], titles: list[str]) -> Figure:
    """The attention weights `(heads, T, T)` of every sample, with a row per sample."""
    figure, every_axes = panels(4.8, 1.6, rows=len(samples), is_plot=False)
    headline(figure, "Attention of each head to the time steps of a sample: a row is a step, and bright is strong")
    for axes, heads, title in zip(every_axes, samples, titles, strict=True):
        drawn = show(axes, mosaic(heads, len(heads)), SCALE, HEIGHT)
        axes.set_ylabel(f"{title}\nfrom step", fontsize=10)
    every_axes[-1].set_xlabel("to step, head by head")
    colour_scale(figure, every_axes, drawn, "attention")
    return figure


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
