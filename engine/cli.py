"""Builds and runs a command of `train.py`, for scripts, notebooks and comparisons."""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.divergence import Diverged
from engine.checkpoints import find_checkpoint, stored_config
from engine.commands import COMMANDS
from engine.errors import InputError, RunFailed, wrong_input
from engine.explain import read_config, unknown_word
from engine.parser import CLI
from engine.setup import set_up_process
from engine.usage import HINT, typed_configs

__all__ = ["CLI", "InputError", "RunFailed", "build", "main"]


def main(arguments: list[str]) -> CLI:
    """Does what `train.py` does with these arguments.

    Raises:
        InputError: wrong input.
        RunFailed: the run ended without a result.
    """
    cli = build(arguments)
    run(cli)
    return cli


def build(arguments: list[str]) -> CLI:
    """Parses the arguments and builds model, data and trainer, without running the command.

    Raises:
        InputError: wrong input.
    """
    set_up_process()
    command, *options = configs_first(arguments)
    path = typed_checkpoint(options)
    if options and not options[0].startswith("-"):
        raise InputError(unknown_word(options[0], None, []))
    if path is None and command == "fit":
        return CLI([command, *options])
    stored = stored_config(find_checkpoint(path, command), command)
    if stored is not None:
        options = ["--config", stored, *options]
    elif not any(one.partition("=")[0] in ("-c", "--config", "--model") for one in options):
        raise InputError(f"{path} holds no config, as the checkpoints of train.py do; {HINT}")
    if command != "fit":
        options.append("--trainer.logger=false")  # only fit makes a folder for its run
    return CLI([command, *options], stored)


def run(cli: CLI) -> None:
    """Runs the command.

    Raises:
        InputError: wrong input that only the data or the first batch could show.
        RunFailed: the loss diverged, or another process of the run ended.
    """
    command = str(cli.subcommand)
    try:
        COMMANDS[command](cli, **cli._prepare_subcommand_kwargs(command))
    except (ValueError, MisconfigurationException) as error:
        if cli.started.has_started and not str(error).startswith("Expected more than 1 value per channel"):
            raise
        remove_empty_run(cli)
        raise wrong_input(error, cli.options) from error
    except Diverged as error:
        raise RunFailed(str(error)) from error
    except SIGTERMException:  # its own exit code is 0
        raise SystemExit(128 + signal.SIGTERM) from None
    except RuntimeError as error:
        if "/gloo/" not in str(error):  # the source file that an error of gloo names; it has no type of its own
            raise
        path = cli.last.best_model_path
        hint = f"to resume: python train.py fit --ckpt_path {path}" if path else "no checkpoint was saved"
        reason = str(error).split("] ", 1)[-1].split(". ")[0]
        raise RunFailed(f"another process of this run has ended or does not answer ({reason}); {hint}") from error


def remove_empty_run(cli: CLI) -> None:
    """Removes the folder of a run that was refused before its first step, which holds only its config."""
    if not isinstance(cli.trainer.logger, TensorBoardLogger) or not cli.trainer.is_global_zero:
        return
    folder = Path(cli.trainer.logger.log_dir)
    curves = list(folder.glob("events.out.tfevents.*"))
    for file in (*curves, folder / "config.yaml") if len(curves) == 1 else ():  # two: another run is here too
        file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def configs_first(arguments: list[str]) -> list[str]:
    """The arguments with the configs before the flags, so that flags win wherever they stand."""
    command, *rest = arguments
    configs: list[str] = []
    flags: list[str] = []
    for number, argument in enumerate(rest):
        is_path = number > 0 and rest[number - 1] in ("-c", "--config")
        is_config = argument.startswith(("-c", "--config=")) or argument == "--config"
        (configs if is_path or is_config else flags).append(argument)
    return [command, *configs, *flags]


def typed_checkpoint(arguments: list[str]) -> str | None:
    """The value of the last `--ckpt_path`, else of `ckpt_path` in a config, else None."""
    flag = "--ckpt_path"
    values = [one.partition("=")[2] for one in arguments if one.startswith(f"{flag}=")]
    values += [value for name, value in pairwise(arguments) if name == flag]
    if not values:
        configs = [read_config(path) for path in typed_configs(arguments)]
        values = [config["ckpt_path"] for config in configs if config.get("ckpt_path")]
    return values[-1] if values else None
