"""The errors that end a command with one line instead of a traceback."""

from __future__ import annotations

import re
from typing import Any

from engine.usage import PREDICT

SIZES = ("input_shape", "num_outputs", "task", "num_tokens")  # of the model, set by the data module


class InputError(ValueError):
    """Wrong input. The message is one line that says what to type."""


class RunFailed(RuntimeError):
    """A run ended without a result. The message gives the reason in one line."""


def wrong_input(error: BaseException, options: Any) -> InputError:
    """The error of a model, a data module or Lightning in one line: `batch_size=0` becomes `--data.batch_size=0`."""
    if str(error).startswith("Expected more than 1 value per channel"):  # PyTorch's
        return InputError("batch norm needs at least 2 samples per device in training; use a larger --data.batch_size")
    owned = {part: {*options[part].get("init_args", {}).keys()} - {*SIZES} for part in ("model", "data")}

    def flag(found: re.Match[str]) -> str:
        parts = [part for part, names in owned.items() if found[1] in names]
        prefix = f"--{parts[0]}." if len(parts) == 1 else "--" if found[1] in PREDICT else ""
        return prefix + found[0]

    return InputError(re.sub(r"(?<![\w./-])(\w+)=", flag, " ".join(str(error).split())))
