"""Runs a command of `train.py`, for scripts, notebooks and comparisons."""

from engine import commands
from engine.build import CLI, build
from engine.errors import InputError, RunFailed

__all__ = ["CLI", "InputError", "RunFailed", "build", "main"]


def main(arguments: list[str]) -> CLI:
    """Does what `train.py` does with these arguments. Raises InputError, or RunFailed if there is no result."""
    cli = build(arguments)
    commands.run(cli)
    return cli
