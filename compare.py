"""Several configs and seeds side by side: one table, one TensorBoard page.

python compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import platform
import shlex
import statistics
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from arguments import PROJECT, RUNS, check, located

# what a run needs and this program does not: loaded once, for all runs
PRELOADED = ["lightning.pytorch.cli", "torchvision", "torch.utils.tensorboard", "torch._dynamo"]

Row = dict[str, Any]
COLUMNS = [
    *("config", "seed", "model", "data", "parameters", "depth", "epochs", "seconds"),
    *("train_loss", "val_loss", "val_acc", "test_loss", "test_acc", "status", "error"),
]


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison that the command line describes; the exit code is 0 if every run finished."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    flags = arguments[split + 1 :]
    parser = argparse.ArgumentParser(
        prog="compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="config files, one a model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="each config runs once a seed (default: 0)")
    parser.add_argument("--name", default=f"{datetime.now():%Y-%m-%d_%H-%M-%S}", help="default: date and time")
    parser.add_argument(
        "--runs_dir",
        type=Path,
        default=RUNS,
        help="folder of all comparisons (default: runs/ beside train.py)",
    )
    parser.epilog = "What follows -- goes to train.py for every run: -- --trainer.max_epochs 3"
    options = parser.parse_args(arguments[:split])
    try:
        return compare(options.configs, options.seeds, options.name, options.runs_dir, flags)
    except ValueError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2


def compare(configs: list[str], seeds: list[int], name: str, runs_dir: Path, flags: list[str]) -> int:
    """Runs every config with every seed and writes `<runs_dir>/<name>/`.

    Args:
        configs: paths of config files; each file's name becomes the name of its runs.
        seeds: values of `seed_everything`.
        name: of the comparison's folder, which must be new.
        runs_dir: where that folder is made.
        flags: further arguments of every run, as train.py takes them.

    Returns:
        0 if every run finished, else 1.

    Raises:
        ValueError: the comparison cannot start; nothing was written.
    """
    paths = {Path(config).stem: config for config in configs}
    if len(paths) < len(configs):
        raise ValueError(
            f"two of {', '.join(configs)} have the same file name, which names the run; copy one to another name"
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {' '.join(map(str, seeds))} names a seed twice; type each once")
    folder = runs_dir.absolute() / name
    if folder.exists():
        raise ValueError(f"{folder} exists; choose another --name, or remove it: rm -r {shlex.quote(str(folder))}")
    for path in configs:
        check(["fit", *(located(argument) for argument in ["-c", path, *flags])])
    print("Loading ...", flush=True)
    plan = plan_runs(paths, flags)
    folder.mkdir(parents=True)
    devices = {about["device"] for about in plan.values() if "device" in about}
    described = {**in_child(environment), "device": ", ".join(sorted(devices))}
    (folder / "environment.json").write_text(json.dumps(described, indent=2) + "\n")

    rows: list[Row] = []
    jobs = [(config, seed) for config in paths for seed in seeds]
    for number, (config, seed) in enumerate(jobs, 1):
        print(f"\n[{number}/{len(jobs)}] {config}, seed {seed}", flush=True)
        row = {"config": config, "seed": seed, "status": "finished", **plan[config]}
        if "error" not in row:  # it could be built
            place = {"save_dir": folder, "name": config, "version": f"seed_{seed}"}
            run_flags = [*flags, *row.get("flags", []), f"--seed_everything={seed}"]
            run_flags += [f"--trainer.logger.init_args.{key}={value}" for key, value in place.items()]
            row |= in_child(train_one, paths[config], run_flags)
        if "error" in row:
            row["status"] = "failed"
            print(f"failed: {row['error']}", flush=True)
        rows.append(row)
        write_results(folder / "results.csv", rows)

    table = summary(rows)
    (folder / "summary.md").write_text(table)
    print(f"\n{table}\nTables and runs are in {folder}. To see their curves:\n{tensorboard_command(folder)}")
    return int(any(row["status"] == "failed" for row in rows))


def plan_runs(paths: dict[str, str], flags: list[str]) -> dict[str, Row]:
    """What is known of each config before it runs; its `error` if it cannot be built because of a bug.

    Raises:
        ValueError: wrong input, in a sentence that says what to type.
    """
    plan: dict[str, Row] = {}
    for config, path in paths.items():
        # what could not be fetched for one config is not tried again for the next
        take_subset = any(about.get("source") == "subset" for about in plan.values())
        plan[config] = in_child(inspect, path, flags, take_subset)
        if "refusal" in plan[config]:
            raise ValueError(plan[config]["refusal"])
    settle_sources(plan)
    return plan


def in_child(function: Callable[..., Row], *arguments: Any) -> Row:
    """What the function returns in a process of its own, or `{"error": ...}` if it raises or the process dies."""
    method = "forkserver" if sys.platform == "linux" else "spawn"  # elsewhere a fork with libraries loaded is not safe
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=answer, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        result: Row = receiver.recv()
    except EOFError:
        process.join()
        result = {"error": f"the process ended with exit code {process.exitcode} and no result"}
    process.join()
    return result


def answer(sender: Connection, function: Callable[..., Row], arguments: tuple[Any, ...]) -> None:
    """In the child: sends what the function returns or raises."""
    try:
        sender.send(function(*arguments))
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        sender.send({"error": f"{type(error).__name__}: {error}"})


def settle_sources(plan: dict[str, Row]) -> None:
    """Gives every run the same source: a table never mixes a data set with its subset."""
    sources = {about["source"] for about in plan.values() if about.get("source")}
    for about in plan.values():
        if about.get("source"):
            about["flags"] = ["--data.source", "subset" if "subset" in sources else "full"]


def inspect(path: str, flags: list[str], take_subset: bool) -> Row:
    """In a child: builds a run, fetches its data, and says what the table needs to know, or why it cannot start."""
    import torch  # noqa: PLC0415  # in the child only: the parent stays light and never touches a GPU

    import train  # noqa: PLC0415

    try:
        cli = train.main(["-c", path, *flags], run=False)
        num_devices = cli.trainer.num_devices * cli.trainer.num_nodes
        if num_devices > 1:
            command = shlex.join([sys.executable, str(PROJECT / "train.py"), "fit", "-c", path, *flags])
            raise ValueError(
                f"{path} asks for {num_devices} devices, but a comparison gives each run one; "
                f"train it by itself: {command}"
            )
        has_source = getattr(cli.datamodule, "has_subset", False)
        if has_source and take_subset:
            cli.datamodule.source = "subset"
        cli.datamodule.prepare_data()
        source = cli.datamodule.settle_source() if has_source else None
    except ValueError as error:
        if not train.is_refusal(error):
            raise
        return {"refusal": str(error)}
    device = cli.trainer.strategy.root_device
    return {
        "model": type(cli.model).__name__,
        "source": source,
        "data": cli.datamodule.title,
        "parameters": sum(parameter.numel() for parameter in cli.model.parameters()),
        "depth": cli.model.depth,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def train_one(path: str, flags: list[str]) -> Row:
    """In a child: one run of train.py."""
    import train  # noqa: PLC0415

    cli = train.main(["fit", "-c", path, *flags])
    return {"data": cli.datamodule.title, **cli.result}


def environment() -> Row:
    """In a child: where the numbers come from: machine, versions and the state of the code."""
    import lightning  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import torchvision  # noqa: PLC0415

    changes = git("status", "--porcelain")
    return {
        "machine": processor(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": lightning.__version__,
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def git(*arguments: str) -> str | None:
    """What git prints of this project; none where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_results(path: Path, rows: list[Row]) -> None:
    """Writes one row a run; a run that failed leaves empty what it did not get to."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def summary(rows: list[Row]) -> str:
    """One line a config, as a Markdown table: mean ± standard deviation over its finished seeds."""
    # regression has no accuracy
    has_accuracy = all("val_acc" in row for row in rows if "val_loss" in row)
    measured = ("acc", 100, 2, " %") if has_accuracy else ("loss", 1, 4, "")
    header = ["model", "data", "parameters", "depth", f"val {measured[0]}", f"test {measured[0]}"]
    header += ["seconds", "epochs", "seeds"]
    lines = [header]
    for config in dict.fromkeys(row["config"] for row in rows):
        runs = [row for row in rows if row["config"] == config]
        finished = [row for row in runs if row["status"] == "finished"]

        def spread(name: str, scale: float, digits: int, unit: str = "", runs: list[Row] = finished) -> str:
            values = [scale * row[name] for row in runs if name in row]
            if not values:
                return "-"
            deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.mean(values):.{digits}f}{deviation}{unit}"

        lines.append(
            [
                config,
                runs[-1].get("data", "-"),
                f"{runs[0]['parameters']:,}" if "parameters" in runs[0] else "-",
                str(runs[0].get("depth", "-")),
                spread(f"val_{measured[0]}", *measured[1:]),
                spread(f"test_{measured[0]}", *measured[1:]),
                spread("seconds", 1, 1),
                spread("epochs", 1, 0),
                f"{len(finished)} of {len(runs)}" if len(finished) < len(runs) else str(len(runs)),
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    table = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    failures = [
        f"{row['config']}, seed {row['seed']} failed: {row['error']}" for row in rows if row["status"] == "failed"
    ]
    return "\n".join([*table, *([""] if failures else []), *failures]) + "\n"


def tensorboard_command(folder: Path) -> str:
    """The line that shows the runs, for any shell that is not in this virtual environment."""
    return shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)])


if __name__ == "__main__":
    sys.exit(main())
