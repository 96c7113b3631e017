"""Checks of what `load` of a data module returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from datamodules.base import BaseDataModule

IGNORE_INDEX = -100  # PyTorch's own: a target with this value counts neither in the loss nor in the accuracy


def check_samples(
    data: BaseDataModule, split: str, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None
) -> None:
    """Checks the types, shapes and values of samples.

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
    if list(inputs.shape[1:]) != list(data.input_shape) or len(inputs) != len(targets):
        raise ValueError(
            f"{given} inputs of shape {list(inputs.shape)} for {len(targets)} targets; "
            f"input_shape={list(data.input_shape)} needs {[len(targets), *data.input_shape]}"
        )
    if len(targets) == 0:
        raise ValueError(f"{given} no {split} samples; give at least 1")
    if (lengths is not None) != data.has_lengths:
        raise ValueError(f"{given} {'no ' * (lengths is None)}lengths, but has_lengths is {data.has_lengths}")
    if lengths is not None and (lengths.dtype != torch.int64 or lengths.shape != (len(targets),)):
        expected = f"torch.int64 of shape {[len(targets)]}"
        raise ValueError(f"{given} lengths of {lengths.dtype} of shape {list(lengths.shape)}; give {expected}")
    if data.classes is not None and len(data.classes) != data.num_outputs:
        raise ValueError(
            f"{data.title} has {len(data.classes)} classes, not num_outputs={data.num_outputs}; name all classes"
        )
    for kind, values, is_right, expected in value_checks(data, inputs, targets, lengths):
        if not is_right.all():
            index = (~is_right).nonzero()[0].tolist()
            raise ValueError(
                f"{given} the {kind} {values[tuple(index)].item()} in {split} sample {index[0]}; "
                f"{kind}s must be {expected}"
            )


def value_checks(
    data: BaseDataModule, inputs: Tensor, targets: Tensor, lengths: Tensor | None
) -> list[tuple[str, Tensor, Tensor, str]]:
    """The checks of single values: what they are called, the values, whether each is right, and what is expected."""
    checks = [("input", inputs, inputs.isfinite(), "finite numbers")]
    if data.num_tokens is not None:
        checks = [("token", inputs, is_in(inputs, 0, data.num_tokens - 1), f"0 to {data.num_tokens - 1}")]
    if data.task == "regression":
        checks.append(("target", targets, targets.isfinite(), "finite numbers"))
    else:
        is_label = is_in(targets, 0, data.num_outputs - 1) | (targets == IGNORE_INDEX)
        checks.append(("label", targets, is_label, f"0 to {data.num_outputs - 1}"))
    if lengths is not None:
        num_steps = data.input_shape[0]
        checks.append(("length", lengths, is_in(lengths, 1, num_steps), f"1 to {num_steps}"))
        if data.task == "tagging":
            is_behind = torch.arange(num_steps) >= lengths[:, None]
            is_right = ~is_behind | (targets == IGNORE_INDEX)
            checks.append(("label behind the end", targets, is_right, str(IGNORE_INDEX)))
    return checks


def is_in(values: Tensor, lowest: int, highest: int) -> Tensor:
    """Whether each value is in this range."""
    return (values >= lowest) & (values <= highest)
