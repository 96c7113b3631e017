"""How large a network is: parameters, operations, and the width that makes two networks equally large."""

from __future__ import annotations

import bisect
import sys
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import BaseModel

WIDEST = 2**16  # of all widths that are tried


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def flops(model: BaseModel) -> int | None:
    """Floating-point operations of a forward pass for one sample. A multiply-add counts as 2.

    Counts matrix products and convolutions, on the meta device, because PyTorch counts 0 for an LSTM on a CPU. Prints
    the reason and returns None if the model fails there.
    """
    example: Any = model.example_input_array
    sample = example[:1].to("meta")
    try:
        copied = on_meta(model).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            copied(sample)
    except Exception as error:  # a user's model may raise anything
        name, reason = type(model).__name__, str(error).partition("\n")[0]
        print(f"The operations of {name} are not counted: it fails on the meta device: {reason}", file=sys.stderr)
        return None
    return int(counter.get_total_flops())


def on_meta(model: BaseModel, **changes: int) -> BaseModel:
    """A copy of the model on the meta device, with some options changed."""
    with torch.device("meta"):
        return type(model)(**{**model.hparams, **changes})


def matched_width(model: BaseModel, parameters: int) -> int | None:
    """The integer width whose parameter count is closest to `parameters`, or None if the model has no width."""
    option = model.width_option
    if option is None:
        return None

    def count(width: int) -> int:
        return num_parameters(on_meta(model, **{option: width}))

    first = bisect.bisect_left(range(WIDEST), parameters, lo=1, key=count)  # the first width with enough
    return min(max(1, first - 1), first, key=lambda width: abs(count(width) - parameters))
