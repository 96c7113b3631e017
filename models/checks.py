"""Checks of a model's options. A message names the argument, its value and what to use instead."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

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


def check_data(name: str, tasks: Sequence[str], takes: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raises a ValueError if a model does not support the task or the shape of the inputs.

    Args:
        name: Name of the model.
        tasks: The tasks that it supports.
        takes: The kinds of samples that it takes. Empty: any shape, but no tokens.
        options: Its options, with `input_shape`, `task` and `num_tokens`.
    """
    shape, task, has_tokens = list(options["input_shape"]), options["task"], options["num_tokens"] is not None
    if task not in tasks:
        raise ValueError(
            f"{name} supports {' and '.join(tasks)}, not task={task!r} (input_shape={shape}); "
            "choose another model for this data"
        )
    accepted = [kind for kind in takes if (kind == "tokens") == has_tokens]
    is_any_shape = not takes and not has_tokens
    if not is_any_shape and len(shape) not in [SAMPLE_SHAPES[kind].count(",") + 1 for kind in accepted]:
        kinds = " or ".join(f"{kind} {SAMPLE_SHAPES[kind]}" for kind in takes) or "numbers"
        given = f"{'tokens of ' * has_tokens}input_shape={shape}"
        raise ValueError(f"{name} takes {kinds}, not {given} (task={task}); choose another model for this data")


def check_options(options: Mapping[str, Any], *constructors: Callable[..., None]) -> None:
    """Raises a ValueError if an option is outside its range.

    Args:
        options: The options of a model.
        constructors: Those of its class and of its base class, which have the types of the options.
    """
    for constructor in constructors:
        try:
            kinds = get_type_hints(constructor)
        except NameError:  # a name that is imported for type checkers only
            continue
        for name, kind in kinds.items():
            if get_origin(kind) is Literal and options.get(name) not in get_args(kind):
                raise ValueError(f"{name}={options.get(name)!r} must be one of {', '.join(map(str, get_args(kind)))}")
    for name, value in options.items():
        if name in UPPER_LIMITS and not 0 <= value <= UPPER_LIMITS[name]:
            raise ValueError(f"{name}={value} must be between 0 and {UPPER_LIMITS[name]}")
        numbers = value if isinstance(value, list) else [value]
        if name not in UPPER_LIMITS and any(type(number) is int and number < 1 for number in numbers):
            raise ValueError(f"{name}={value} must be 1 or more")
