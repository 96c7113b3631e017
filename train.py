"""One run: any model on any data, from a config and flags, or from a checkpoint alone.

python train.py fit -c configs/mnist/shallow_mlp.yaml --model.hidden_size 256
python train.py test --ckpt_path runs/shallow_mlp/version_0/checkpoints/best.ckpt
"""

from __future__ import annotations

import linecache
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from engine.arguments import RunFailed, check, configs_first, help_text, located, overview
from engine.paths import PROJECT

if TYPE_CHECKING:
    from engine.cli import CLI

# where a `raise ValueError` is a word to the person who typed
OURS = [
    PROJECT / name
    for name in (
        "models",
        "datamodules",
        "callbacks",
        "comparison",
        "engine",
        "compare.py",
    )
]


def main(arguments: list[str] | None = None, run: bool = True) -> CLI:
    """Does what the arguments say, and returns the command line with its model, data and trainer.

    Args:
        arguments: as they are typed behind `train.py`; by default those that were.
        run: whether the first argument is a command to run; else everything is built only.

    Raises:
        ValueError: wrong input, in one line that says what to type.
    """
    arguments = configs_first([located(argument) for argument in (sys.argv[1:] if arguments is None else arguments)])
    check(arguments, run)

    from engine import cli  # noqa: PLC0415  # only now: it loads PyTorch and Lightning, which takes seconds

    try:
        return cli.start(arguments, run)
    except ValueError as error:
        if is_refusal(error):
            error.args = (cli.with_flags(error),)
        raise


def is_refusal(error: ValueError) -> bool:
    """Whether the error is our word on wrong input, a `raise` outside of what a model computes, and not a bug."""
    frames = list(traceback.walk_tb(error.__traceback__))
    code, line = frames[-1][0].f_code, frames[-1][1]
    file = Path(code.co_filename)
    computing = {"forward", "loss"} & {frame.f_code.co_name for frame, _ in frames}
    is_ours = any(file == place or place in file.parents for place in OURS)
    return is_ours and not computing and linecache.getline(str(file), line).strip().startswith("raise ValueError(")


def command_line() -> int:
    """What `python train.py` does: wrong input ends with one line and the exit code 2, a bug with its traceback."""
    typed = sys.argv[1:]
    if not typed:
        print(overview())
        return 0
    if typed[-1] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    try:
        done = main(typed)
    except ValueError as error:
        if not is_refusal(error):
            raise
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as shells count it
    if done.checkpoint_path:
        print(done.next_commands())
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
