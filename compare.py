"""Compares several configs and seeds in one table and one TensorBoard page.

python compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml --seeds 0 1 2
python compare.py configs/mnist/deep_mlp.yaml --vary model.num_layers=1,2,4 --match parameters
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

from comparison import manage, plan, run
from engine.errors import InputError, RunFailed
from engine.paths import CONFIGS, PROJECT, RUNS
from engine.usage import nearest

INSIGHT = ["-c", str(CONFIGS / "extras" / "insight.yaml")]
EPILOG = """\
Flags after -- go to train.py for every run: -- --trainer.max_epochs 3
After Ctrl-C or a crash, the same command with --resume runs what is missing. It accepts more --seeds.

commands:
""" + "\n".join(f"  compare.py {name:12}  {purpose}" for name, purpose in manage.COMMANDS.items())


class Parser(argparse.ArgumentParser):
    """argparse with error messages of one line."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown[0].startswith("--"):
            name = unknown[0].partition("=")[0]
            near = None if "." in name else nearest(name, self._option_string_actions)
            hint = f"type {near}" if near else f"for train.py, type it at the end: -- {' '.join(unknown)}"
            message = f"{name} is not an option of compare.py; {hint}"
        raise InputError(message)


def command_line() -> Parser:
    parser = Parser(
        prog="compare.py",
        usage="compare.py CONFIG [CONFIG ...] [options] [-- flags for train.py]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("configs", nargs="*", metavar="CONFIG", help="config files, one per model")
    add("--seeds", nargs="+", type=int, help="run each config once per seed (default: 0)")
    add(
        "--vary",
        action="append",
        default=[],
        metavar="OPTION=A,B,C",
        help="run each config with each value, as model.num_layers=1,2,4; repeat --vary for a grid",
    )
    add(
        "--match", choices=["parameters"], help="set the widths so that all models have as many parameters as the first"
    )
    add("--name", help="name of the comparison (default: date and time)")
    add("--jobs", type=int, default=1, help="runs at the same time, which share the cores (default: 1)")
    add("--resume", action="store_true", help="run what the same command has not finished; also adds new --seeds")
    add(
        "--insight",
        action="store_true",
        help="plot gradients, activations and features of each network; see docs/inside.md",
    )
    add("--print-commands", action="store_true", help="print the train.py command of each run instead of running it")
    add("--collect", metavar="NAME", help="make the table and the TensorBoard page after running printed commands")
    add("--runs_dir", type=Path, default=RUNS, help="folder of all comparisons (default: runs)")
    add("--yes", action="store_true", help="prune without asking")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs `compare.py` with these arguments. The exit code is 0 if every run finished."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    own, flags = arguments[:split], arguments[split + 1 :]
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options = command_line().parse_intermixed_args(own)
        options.runs_dir = options.runs_dir.expanduser().absolute()
        is_command = bool(options.collect or (options.configs and options.configs[0] in manage.COMMANDS))
        typed = [flag.partition("=")[0] for flag in own if flag.startswith("--")]
        unused = [*(flag for flag in typed if flag not in ("--runs_dir", "--yes", "--collect")), *flags]
        if options.collect:
            unused += options.configs
        if is_command and unused:
            raise InputError(f"{' '.join(unused)} has no effect here; leave it out")
        if options.configs and options.configs[0] in manage.COMMANDS:
            return manage.manage(options.configs[0], options.configs[1:], options.runs_dir, options.yes)
        if options.collect:
            folder = plan.find(options.collect, options.runs_dir)
            with plan.lock(folder):
                return run.collect(plan.read(folder), folder)
        return start(options, own, flags)
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


def start(options: argparse.Namespace, own: list[str], flags: list[str]) -> int:
    """Starts or resumes a comparison.

    Args:
        options: Parsed options of compare.py.
        own: The same, as they were typed.
        flags: Arguments of train.py.
    """
    if not options.configs:
        raise InputError("type the configs to compare, such as configs/mnist/*.yaml; `python train.py` lists them")
    if options.jobs < 1:
        raise InputError(f"--jobs {options.jobs} must be at least 1")
    if options.name and Path(options.name).name != options.name:
        raise InputError(f"--name {options.name!r} must be the name of a folder, without /")
    extras = INSIGHT if options.insight else []
    new_plan = plan.make(options.configs, options.vary, options.match, [*extras, *flags], options.seeds or [0])
    new_plan.is_printed = options.print_commands
    with contextlib.redirect_stdout(sys.stderr) if options.print_commands else contextlib.nullcontext():
        if not options.resume:
            folder = run.create(new_plan, options.name, options.runs_dir)
        elif options.name:
            folder = plan.find(options.name, options.runs_dir)
        else:
            folder = plan.find_command(new_plan.command, new_plan.seeds, options.runs_dir)
        with plan.lock(folder):
            if options.resume:
                new_plan = plan.resume(folder, new_plan, options.seeds or [])
                new_plan.is_printed |= options.print_commands
                new_plan.write(folder)
            script = [sys.executable, str(PROJECT / "compare.py")]
            if not options.print_commands:
                added = [*([] if options.resume else ["--resume"]), *([] if options.name else ["--name", folder.name])]
                to_resume = shlex.join([*script, *own, *added, *(["--", *flags] if flags else [])])
                return run.run(new_plan, folder, options.jobs, to_resume)
            waiting = run.unfinished(new_plan, folder)
            collect = shlex.join([*script, "--collect", folder.name, "--runs_dir", str(options.runs_dir)])
            print(f"After the runs, type {collect}", flush=True)
    for each_run in waiting:
        print(shlex.join([sys.executable, str(PROJECT / "train.py"), *each_run.argv]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
