"""Compares several configs and seeds in one table and one TensorBoard page.

python compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml --seeds 0 1 2
python compare.py configs/mnist/deep_mlp.yaml --vary model.num_layers=1,2,4 --match parameters
python compare.py resume NAME    # after Ctrl-C or a crash: runs what is missing
python compare.py collect NAME   # prints the table and makes the TensorBoard page of the runs that have finished
python compare.py prune NAME     # deletes the checkpoints, after asking
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
from pathlib import Path
from typing import NoReturn

from filelock import Timeout

from comparison import plan, run
from engine.errors import InputError, RunFailed
from engine.paths import CONFIGS, PROJECT, RUNS
from engine.usage import nearest

INSIGHT = ["-c", str(CONFIGS / "extras" / "insight.yaml")]
COMMANDS = ("resume", "collect", "prune")


class Parser(argparse.ArgumentParser):
    """argparse with error messages of one line."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown[0].startswith("--"):
            name = unknown[0].partition("=")[0]
            near = None if "." in name else nearest(name, self._option_string_actions)
            hint = f"type {near}" if near else "leave it out"
            if name.removeprefix("--") in COMMANDS:
                hint = f"type compare.py {name.removeprefix('--')} NAME"
            elif not near and self.prog == "compare.py":
                hint = f"for train.py, type it at the end: -- {' '.join(unknown)}"
            message = f"{name} is not an option of {self.prog}; {hint}"
        raise InputError(message)


def parser(command: str | None) -> Parser:
    """The options of a command of `COMMANDS`, or of a new comparison."""
    made = Parser(
        prog=f"compare.py {command}" if command else "compare.py",
        usage=None if command else "compare.py CONFIG [CONFIG ...] [options] [-- flags for train.py]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=None if command else "Flags after -- go to train.py for every run: -- --trainer.max_epochs 3",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--runs_dir", type=Path, default=RUNS, help="folder of all comparisons (default: runs)")
    if command:
        add("name", metavar="NAME", help="name of the comparison")
    if command == "prune":
        add("--yes", action="store_true", help="delete without asking")
    if command == "resume":
        add("--seeds", nargs="+", type=int, default=[], help="also run these seeds")
        add("--jobs", type=int, help="runs at the same time (default: as before)")
    if command is None:
        add("configs", nargs="*", metavar="CONFIG", help="config files, one per model")
        add("--seeds", nargs="+", type=int, default=[0], help="run each config once per seed (default: 0)")
        add(
            "--vary",
            action="append",
            default=[],
            metavar="OPTION=A,B,C",
            help="run each config with each value, as model.num_layers=1,2,4; repeat --vary for a grid",
        )
        match_help = "set the widths so that all models have as many parameters as the first"
        add("--match", choices=["parameters"], help=match_help)
        add("--name", help="name of the comparison (default: date and time)")
        add("--jobs", type=int, default=1, help="runs at the same time, which share the cores (default: 1)")
        insight_help = "plot gradients, activations and features of each network; see docs/inside.md"
        add("--insight", action="store_true", help=insight_help)
        print_help = "print the train.py command of each run instead of running it"
        add("--print-commands", action="store_true", help=print_help)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs `compare.py` with these arguments. The exit code is 0 if every run finished."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    own, flags = arguments[:split], arguments[split + 1 :]
    command = next((word for word in own[:1] if word in COMMANDS), None)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options = parser(command).parse_intermixed_args(own[1:] if command else own)
        options.runs_dir = options.runs_dir.expanduser().absolute()
        if "jobs" in options and options.jobs is not None and options.jobs < 1:
            raise InputError(f"--jobs {options.jobs} must be at least 1")
        return manage(command, options, flags) if command else start(options, flags)
    except (InputError, RunFailed) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    except Timeout as error:
        print(f"compare.py: {Path(error.lock_file).parent} is running; wait until it ends, or stop it", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def manage(command: str, options: argparse.Namespace, flags: list[str]) -> int:
    """Runs a command of `COMMANDS`."""
    if flags:
        raise InputError(f"{command} takes no flags for train.py; leave out {' '.join(flags)}")
    folder = plan.find(options.name, options.runs_dir)
    with plan.lock(folder):
        if command == "resume":
            return run.run(plan.resume(folder, options.seeds, options.jobs), folder)
        if command == "collect":
            return run.collect(plan.read(folder), folder)
        return run.prune(folder, options.yes)


def start(options: argparse.Namespace, flags: list[str]) -> int:
    """Starts a comparison, or prints the commands of its runs. The flags are arguments of train.py for every run."""
    if not options.configs:
        raise InputError("type the configs to compare, such as configs/mnist/*.yaml; `python train.py` lists them")
    if options.name and Path(options.name).name != options.name:
        raise InputError(f"--name {options.name!r} must be the name of a folder, without /")
    flags = [*(INSIGHT if options.insight else []), *flags]
    made = plan.make(options.configs, options.vary, flags, options.seeds)
    made.jobs, made.is_matched, made.is_printed = options.jobs, options.match is not None, options.print_commands
    with contextlib.redirect_stdout(sys.stderr) if options.print_commands else contextlib.nullcontext():
        folder = run.create(made, options.name, options.runs_dir)
        if not options.print_commands:
            with plan.lock(folder):
                return run.run(made, folder)
        print(f"After the runs, type {run.command('collect', folder)}", flush=True)
    for each_run in made.runs(folder):
        print(shlex.join([sys.executable, str(PROJECT / "train.py"), *each_run.argv]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
