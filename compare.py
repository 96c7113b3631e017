"""Several configs and seeds side by side: one table, one TensorBoard page.

python compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml --seeds 0 1 2
python compare.py configs/mnist/deep_mlp.yaml --vary model.num_layers=1,2,4 --match parameters
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from comparison import keeping, plan
from comparison.beginning import begin, begun, existing, go_on
from comparison.plan import Plan
from comparison.running import alone, command, finish, run, unfinished
from engine.names import nearest
from engine.paths import PROJECT, RUNS
from train import is_refusal

INSIGHT = ["-c", "configs/extras/insight.yaml"]
EPILOG = """\
What follows -- goes to train.py for every run: -- --trainer.max_epochs 3
After Ctrl-C or a crash the same command with --resume goes on; with more --seeds it adds those.

looking after runs/:
""" + "\n".join(
    f"  compare.py {name:5}{'' if name == 'list' else ' NAME':5}  {what}" for name, what in keeping.COMMANDS.items()
)


class Parser(argparse.ArgumentParser):
    """argparse, with complaints of one line."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown[0].startswith("--"):
            name = unknown[0].partition("=")[0]
            near = nearest(name, self._option_string_actions)
            message = f"{name} is not an option of compare.py; " + (
                f"type {near}"
                if near and "." not in name
                else f"for train.py, type it at the end: -- {' '.join(unknown)}"
            )
        raise ValueError(message)


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says; the exit code is 0 if every run finished."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options = command_line().parse_args(arguments[:split])
        return act(options, arguments[split + 1 :])
    except ValueError as error:
        if not is_refusal(error):
            raise
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before anything ran
        return 130


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def command_line() -> Parser:
    parser = Parser(
        prog="compare.py",
        usage="compare.py CONFIG [CONFIG ...] [options] [-- flags for train.py]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="config files, one a model")
    parser.add_argument("--seeds", nargs="+", type=int, help="each config runs once a seed (default: 0)")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="OPTION=A,B,C",
        help="run each config with each value, such as model.num_layers=1,2,4; repeat --vary for a grid. "
        "Each option is a column of results.csv and of TensorBoard's HPARAMS page",
    )
    parser.add_argument(
        "--match", choices=["parameters"], help="give every model the width at which it has as many as the first"
    )
    parser.add_argument("--name", help="of the comparison (default: date and time)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, which share the cores (default: 1)")
    parser.add_argument("--resume", action="store_true", help="go on with what this command has begun")
    parser.add_argument(
        "--insight", action="store_true", help="pictures of what goes on inside each network; see docs/inside.md"
    )
    parser.add_argument(
        "--print-commands", action="store_true", help="print a train.py line a run, for any scheduler, and run none"
    )
    parser.add_argument("--collect", metavar="NAME", help="table and TensorBoard page of what has run anywhere")
    parser.add_argument(
        "--runs_dir",
        type=lambda path: Path(path).expanduser(),
        default=RUNS,
        help="folder of all comparisons (default: runs/ beside train.py)",
    )
    return parser


def act(options: argparse.Namespace, flags: list[str]) -> int:
    runs_dir = options.runs_dir.absolute()
    if runs_dir.is_file():
        raise ValueError(f"--runs_dir {runs_dir} is a file; type the path of a folder")
    if options.configs and options.configs[0] in keeping.COMMANDS:
        return keeping.keep(options.configs[0], options.configs[1:], runs_dir)
    if options.collect:
        if options.configs:
            raise ValueError(f"--collect takes a name alone; leave out {' '.join(options.configs)}")
        return finish(existing(options.collect, runs_dir))
    if not options.configs:
        raise ValueError("name the configs to compare, such as configs/mnist/*.yaml; `python train.py` lists them")
    if options.jobs < 1:
        raise ValueError(f"--jobs {options.jobs} is too small; type --jobs 1 or more")
    name = options.name
    if name is not None and (Path(name).name != name or name in (".", "..")):
        raise ValueError(f"--name {name!r} is not the name of a folder; type one without /")
    flags = [*INSIGHT, *flags] if options.insight else flags
    planned = plan.make(options.configs, options.vary, options.match, flags, options.seeds or [0])
    if options.print_commands:
        return print_commands(planned, options, runs_dir)
    folder = prepared(planned, options, runs_dir)
    with alone(folder):
        return run(folder, plan.read(folder), options.jobs)


def prepared(planned: Plan, options: argparse.Namespace, runs_dir: Path) -> Path:
    """The folder of a comparison that is ready to run."""
    if options.resume:
        folder = begun(options.name, planned.typed, runs_dir)
        with alone(folder):
            go_on(folder, planned, options.seeds, options.jobs)
        return folder
    folder = runs_dir / (options.name or f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    begin(folder, planned, options.jobs)
    return folder


def print_commands(planned: Plan, options: argparse.Namespace, runs_dir: Path) -> int:
    """Prints a line for each run that has not finished; all else that is said goes to stderr."""
    planned.is_printed = True
    sys.stdout.flush()
    lines = os.dup(1)
    os.dup2(2, 1)  # also for the processes that look at the runs
    try:
        folder = prepared(planned, options, runs_dir)
        with alone(folder):
            waiting = unfinished(folder, plan.read(folder))
        collect = [sys.executable, str(PROJECT / "compare.py"), "--collect", folder.name, "--runs_dir", str(runs_dir)]
        print(f"When they have run: {shlex.join(collect)}", flush=True)
    finally:
        os.dup2(lines, 1)
    for entry, seed in waiting:
        print(shlex.join(command(folder, entry, seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
