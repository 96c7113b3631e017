"""Checks of a model's options. A message names the argument, its value and what to use instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from models.base import BaseModel

SAMPLE_SHAPES = {"images": "(C, H, W)", "sequences": "(T, D)", "tokens": "(T)"}  # of one sample
UPPER_LIMITS = {  # options between 0 and a limit; all other options that are integers must be 1 or more
    "lr": math.inf,
    "momentum": 1,
    "weight_decay": math.inf,
    "warmup_ratio": 1,
    "label_smoothing": 1,
    "dropout": 1,
    "noise": math.inf,
}


def check_data(model: BaseModel) -> None:
    """Raises a ValueError if the model does not support the task or the shape of the inputs."""
    name, shape, task = type(model).__name__, list(model.hparams["input_shape"]), model.hparams["task"]
    if task not in model.tasks:
        raise ValueError(
            f"{name} supports {' and '.join(model.tasks)}, not task={task!r} (input_shape={shape}); "
            "choose another model for this data"
        )
    has_tokens = model.hparams["num_tokens"] is not None
    accepted = [kind for kind in model.takes if (kind == "tokens") == has_tokens]
    is_any_shape = not model.takes and not has_tokens
    if not is_any_shape and len(shape) not in [SAMPLE_SHAPES[kind].count(",") + 1 for kind in accepted]:
        kinds = " or ".join(f"{kind} {SAMPLE_SHAPES[kind]}" for kind in model.takes) or "numbers"
        given = f"{'tokens of ' * has_tokens}input_shape={shape}"
        raise ValueError(f"{name} takes {kinds}, not {given} (task={task}); choose another model for this data")


def check_options(model: BaseModel, base_init: Callable[..., None]) -> None:
    """Raises a ValueError if an option is outside its range.

    Args:
        model: Its `hparams` hold the options.
        base_init: Constructor of the base class. It has the types of the options in `**training`.
    """
    try:
        own = get_type_hints(type(model).__init__)
    except NameError:  # a name that is imported for type checkers only
        own = {}
    for name, kind in {**get_type_hints(base_init), **own}.items():
        if get_origin(kind) is Literal and model.hparams.get(name) not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            raise ValueError(f"{name}={model.hparams.get(name)!r} must be one of {choices}")
    for name, value in model.hparams.items():
        if name in UPPER_LIMITS and not 0 <= value <= UPPER_LIMITS[name]:
            raise ValueError(f"{name}={value} must be between 0 and {UPPER_LIMITS[name]}")
        numbers = value if isinstance(value, list) else [value]
        if name not in UPPER_LIMITS and any(type(number) is int and number < 1 for number in numbers):
            raise ValueError(f"{name}={value} must be 1 or more")
