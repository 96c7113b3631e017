"""The attention of every head."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import lightning as L
from matplotlib.colors import PowerNorm
from torch import Tensor, nn

from callbacks.drawing import HEIGHT, colour_scale, label_steps, panels, show
from callbacks.insight import Insight
from callbacks.parts import to_numpy

HEADLINE = "Attention of every head: a row is a time step, and bright are the steps that it attends to"
SCALE = PowerNorm(0.5, 0, 1)  # most weights are around 1 / T, which would be dark on a linear scale


class AttentionMaps(Insight):
    """Draws the attention weights of every `nn.MultiheadAttention`, with a map per head, under `attention/<layer>`.

    Each row of a map is the attention of one time step to all steps, from 0 (dark) to 1 (yellow). One validation sample
    is drawn, without the steps behind the end of its sequence. Of a text, the first 40 characters are drawn, and
    written along both axes.

    Source: Vaswani et al. 2017, "Attention Is All You Need", figures 3 to 5.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        has_attention = any(isinstance(module, nn.MultiheadAttention) for module in model.modules())
        return None if has_attention else f"{type(model).__name__} has no nn.MultiheadAttention"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _, *lengths = self.samples(trainer, 1)
        with attention_maps(model) as attention:
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        end = len(labels) or (int(lengths[0]) if lengths else None)
        for name, maps in attention.items():
            figure, every_axes = panels(HEADLINE, 4.8, 4.6, rows=maps.shape[1], is_plot=False)
            for number, (axes, head) in enumerate(zip(every_axes, to_numpy(maps[0]), strict=True)):
                drawn = show(axes, head[:end, :end], SCALE, HEIGHT)
                label_steps(axes.xaxis, labels)
                label_steps(axes.yaxis, labels)
                axes.set_title(f"head {number + 1}", fontsize=10, loc="left")
                axes.set_ylabel("from", fontsize=10)
                axes.set_xlabel("to", fontsize=10)
            colour_scale(figure, every_axes, drawn, "attention", "bottom")
            self.draw(f"attention/{name}", figure)


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
