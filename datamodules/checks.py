"""Checks of the options of a data module, and of what its `load` returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

IGNORE_INDEX = -100  # PyTorch's own: a target with this value counts neither in the loss nor in the accuracy


def check_at_least(lowest: int, **options: float) -> None:
    """Raises a ValueError if an option is too small."""
    for name, value in options.items():
        if value < lowest:
            raise ValueError(f"{name}={value} is too small; use {name}={lowest} or more")


def check_choice(choices: Iterable[str], **options: str) -> None:
    """Raises a ValueError if an option is none of the choices."""
    for name, value in options.items():
        if value not in choices:
            raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}")


def check_samples(data: Any, split: str, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> None:
    """Checks the types, shapes and values of samples of a `BaseDataModule`.

    Raises:
        ValueError: If they are not what `load` promises. The message names the first wrong value.
    """
    given = f"{data.title}.load gave"
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        raise ValueError(f"{given} {type(inputs).__name__}; give tensors: torch.from_numpy(...)")
    input_dtypes = [torch.int64] if data.num_tokens else [torch.float32, torch.int64]
    target_dtype = torch.float32 if data.task == "regression" else torch.int64
    if inputs.dtype not in input_dtypes or targets.dtype != target_dtype:
        raise ValueError(
            f"{given} inputs of {inputs.dtype} and targets of {targets.dtype}; {data.task} takes inputs of "
            f"torch.float32, or torch.int64 for tokens, and targets of {target_dtype}: use .float() and .long()"
        )
    shape = [len(targets), *data.input_shape]
    if list(inputs.shape) != shape:
        raise ValueError(
            f"{given} inputs of shape {list(inputs.shape)} for {len(targets)} targets; "
            f"input_shape={list(data.input_shape)} needs {shape}"
        )
    if len(targets) == 0:
        raise ValueError(f"{given} no samples for the {split} split; give at least 1")
    if (lengths is not None) != data.has_lengths:
        raise ValueError(f"{given} {'no ' * (lengths is None)}lengths, but has_lengths is {data.has_lengths}")
    if data.classes is not None and len(data.classes) != data.num_outputs:
        raise ValueError(f"{data.title} has {len(data.classes)} classes, not num_outputs={data.num_outputs}")

    def check(kind: str, values: Tensor, is_right: Tensor, expected: str) -> None:
        for index in (~is_right).nonzero()[:1].tolist():
            value = values[tuple(index)].item()
            place = f"sample {index[0]} of the {split} split"
            raise ValueError(f"{given} the {kind} {value} in {place}; it must be {expected}")

    if data.num_tokens is None:
        check("input", inputs, inputs.isfinite(), "finite numbers")
    else:
        check("token", inputs, (inputs >= 0) & (inputs < data.num_tokens), f"0 to {data.num_tokens - 1}")
    if data.task == "regression":
        check("target", targets, targets.isfinite(), "finite numbers")
    else:
        is_label = (targets >= 0) & (targets < data.num_outputs) | (targets == IGNORE_INDEX)
        check("label", targets, is_label, f"0 to {data.num_outputs - 1}")
    if lengths is not None:
        num_steps = data.input_shape[0]
        check("length", lengths, (lengths >= 1) & (lengths <= num_steps), f"1 to {num_steps}")
        if data.task == "tagging":
            is_inside = torch.arange(num_steps) < lengths[:, None]
            check("label behind the end", targets, is_inside | (targets == IGNORE_INDEX), str(IGNORE_INDEX))
