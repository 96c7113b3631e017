"""One run: any model on any data, from a config and flags, or from a checkpoint alone.

python train.py fit -c configs/mnist/shallow_mlp.yaml --model.hidden_size 256
python train.py test --ckpt_path runs/shallow_mlp/version_0/checkpoints/best.ckpt
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.errors import InputError, RunFailed
from engine.usage import find_mistake, help_text, overview

if TYPE_CHECKING:
    from engine.cli import CLI


def main(arguments: list[str]) -> CLI:
    """Runs `train.py` with these arguments, for scripts and notebooks. See `engine.cli.main`."""
    from engine import cli  # noqa: PLC0415  # loads PyTorch and Lightning, which takes seconds

    return cli.main(arguments)


def command_line(arguments: list[str]) -> int:
    """Runs `train.py` and returns its exit code: 2 for wrong input, 1 for a failed run, 130 for Ctrl-C."""
    if not arguments or arguments[-1] in ("-h", "--help") or arguments == ["help"]:
        print(help_text() if arguments else overview())
        return 0
    if arguments == ["doctor"]:
        from engine.doctor import doctor  # noqa: PLC0415

        problems = doctor()
        print("\nProblems:" if problems else "\nNo problems found.", *problems, sep="\n  ")
        return 1 if problems else 0
    if mistake := find_mistake(arguments):
        print(f"train.py: {mistake}", file=sys.stderr)
        return 2
    try:
        cli = main(arguments)
    except (InputError, RunFailed) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 130
    from engine.report import next_commands  # noqa: PLC0415

    print(next_commands(cli), end="")
    return 0


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
