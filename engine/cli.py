"""Builds and runs a command of `train.py`, for scripts, notebooks and comparisons."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.divergence import Diverged
from engine import commands
from engine.checkpoints import find_checkpoint, stored_config
from engine.errors import InputError, RunFailed, wrong_input
from engine.explain import read_config, stray_word
from engine.parser import CLI
from engine.setup import set_up_process
from engine.usage import HINT

__all__ = ["CLI", "InputError", "RunFailed", "build", "main"]


def main(arguments: list[str]) -> CLI:
    """Does what `train.py` does with these arguments. Raises InputError, or RunFailed if there is no result."""
    cli = build(arguments)
    run(cli)
    return cli


def build(arguments: list[str]) -> CLI:
    """Parses the arguments and builds model, data and trainer, or raises InputError. Does not run the command."""
    set_up_process()
    command, *rest = arguments
    configs, path, flags = split(rest)
    if flags and not flags[0].startswith("-"):
        raise InputError(stray_word(flags[0]))
    if path is None:
        named = (read_config(config).get("ckpt_path") for config in reversed(configs))
        path = next((value for value in named if value), None)
    options = [*(word for config in configs for word in ("-c", config)), *flags]  # flags win wherever they are typed
    if path is None and command == "fit":
        return CLI([command, *options])
    checkpoint = find_checkpoint(path, command)
    stored = stored_config(checkpoint, command)
    options.append(f"--ckpt_path={checkpoint}")
    if stored is not None:  # else another program wrote the checkpoint
        options = ["--config", stored, *options]
    if command != "fit":
        if any(flag.startswith("--trainer.logger") for flag in flags):
            raise InputError(f"--trainer.logger belongs to fit, because {command} prints its metrics; leave it out")
        options.append("--trainer.logger=false")
    return CLI([command, *options], stored)


def run(cli: CLI) -> None:
    """Runs the command. Raises InputError for what only the data or the first batch shows, and RunFailed."""
    given = {name: cli.options[name] for name in ("ckpt_path", "weights_only")}
    try:
        getattr(commands, cli.command)(cli, model=cli.model, datamodule=cli.datamodule, **given)
    except SIGTERMException:  # its own exit code is 0
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        if cli.trainer.interrupted:
            raise KeyboardInterrupt from error
        raise
    except (ValueError, MisconfigurationException) as error:
        if cli.started.has_started and not str(error).startswith("Expected more than 1 value per channel"):
            raise
        remove_empty_run(cli)
        raise wrong_input(error, cli.options) from error
    except Diverged as error:
        raise RunFailed(str(error)) from error
    except RuntimeError as error:
        if "/gloo/" not in str(error):  # the source file that an error of gloo names; it has no type of its own
            raise
        path = cli.last.best_model_path
        hint = f"to resume: python train.py fit --ckpt_path {shlex.quote(path)}" if path else "no checkpoint was saved"
        reason = str(error).split("] ", 1)[-1].split(". ")[0]
        raise RunFailed(f"another process of this run ended or stopped responding ({reason}); {hint}") from error


def remove_empty_run(cli: CLI) -> None:
    """Removes the folder of a run that ended before its first step, if it contains only its config and empty curves."""
    if cli.trainer.is_global_zero and isinstance(cli.trainer.logger, TensorBoardLogger):
        folder = Path(cli.trainer.logger.log_dir)
        if folder.is_dir() and {path.name.partition(".")[0] for path in folder.iterdir()} <= {"config", "events"}:
            shutil.rmtree(folder)


def split(arguments: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The configs, the checkpoint and all other flags, each in the order in which they were typed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    parser.add_argument("--ckpt_path")
    try:
        found, flags = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        is_config = "config" in str(error.argument_name)
        answer = f"-c needs a config file; {HINT}" if is_config else "--ckpt_path needs a value: --ckpt_path FILE"
        raise InputError(answer) from None
    return found.config, found.ckpt_path, flags
