"""How large a network is: parameters, operations, and the width that makes two networks equally large."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import BaseModel


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def flops(model: BaseModel) -> int | None:
    """Floating-point operations of one sample's way through the network, an addition and a multiplication counted as 2.

    Those of matrix products and convolutions, as PyTorch counts them; additions of biases, norms and activations are
    left out. Counted on the meta device, which computes nothing: on a CPU PyTorch counts 0 for an LSTM. None, with a
    line that says why, of a model that fails without numbers: a count must not cost anybody a run.
    """
    example: Any = model.example_input_array
    sample = torch.zeros(1, *example.shape[1:], dtype=example.dtype, device="meta")
    try:
        copied = on_meta(model).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            copied(sample)
    except Exception as error:  # whatever a person's model raises
        name, reason = type(model).__name__, str(error).partition("\n")[0]
        print(f"The operations of {name} are not counted: without numbers it fails: {reason}", file=sys.stderr)
        return None
    return int(counter.get_total_flops())


def on_meta(model: BaseModel, **changes: int) -> BaseModel:
    """A model of the same options, but for the changed ones, that has shapes and no numbers."""
    # the command line adds names of its own, which begin with an underscore
    options = {name: value for name, value in model.hparams.items() if not name.startswith("_")}
    with torch.device("meta"):
        return type(model)(**{**options, **changes})


def matched_width(model: BaseModel, parameters: int) -> int | None:
    """The whole width with which the model comes nearest to so many parameters; none if it has no width.

    Raises:
        ValueError: the option that the model calls its width is none.
    """
    option = model.width_option
    if option is None:
        return None

    def count(width: int) -> int:
        return num_parameters(on_meta(model, **{option: width}))

    too_wide = 2
    while count(too_wide) < parameters:
        too_wide *= 2
        if count(too_wide) == count(too_wide // 2):
            raise ValueError(f"{type(model).__name__} has {option} as its width_option, which changes no size")
    widths = range(1, too_wide + 1)
    low, high = 0, len(widths) - 1  # the width lies between: more width is never fewer parameters
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(widths[middle]) < parameters else (low, middle)
    return min(widths[low], widths[high], key=lambda width: abs(count(width) - parameters))
