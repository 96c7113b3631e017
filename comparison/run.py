"""Starts a comparison, trains its runs in child processes, and collects their results. Loads no PyTorch."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from comparison import table
from comparison.check import check
from comparison.environment import environment
from comparison.link import how_to_open
from comparison.plan import Plan, Run, read
from comparison.processes import in_child, in_children
from engine.errors import InputError, RunFailed
from engine.paths import PROJECT
from engine.results import Row, write_atomically


def create(plan: Plan, name: str | None, runs_dir: Path) -> Path:
    """Checks that every run can start, completes the plan, and makes the folder of the comparison.

    Raises:
        InputError: the name exists, or a run cannot start. Nothing is written then.
    """
    if name and (runs_dir / name).exists():
        raise InputError(f"{runs_dir / name} exists; type compare.py resume {name}, or another --name")
    print("Loading ...", flush=True)
    check(plan)
    folder = runs_dir / (name or f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    while name is None and folder.exists():  # another comparison was started in the same second
        folder = folder.with_name(f"{folder.name}_2")
    folder.mkdir(parents=True)
    plan.write(folder)
    return folder


def unfinished(plan: Plan, folder: Path) -> list[Run]:
    """The runs without a result. Removes the folders of interrupted and failed runs."""
    waiting = [run for run in plan.runs(folder) if run.row()["status"] != "finished"]
    started = [run for run in waiting if run.dir.exists()]
    unknown = [str(run.dir) for run in started if plan.is_printed and run.row()["status"] == "unfinished"]
    if unknown:
        raise InputError(f"runs may still be running elsewhere; remove those that are not: rm -r {shlex.join(unknown)}")
    for run in started:
        reason = "failed" if run.row()["status"] == "failed" else "was interrupted"
        print(f"Restarting {run}, which {reason}.", flush=True)
        shutil.rmtree(run.dir)
    return waiting


def train(run: Run, log: Path | None) -> Row | RunFailed:
    """Runs in the child: the command that `--print-commands` prints. With a log, it prints to this file."""
    from engine import cli  # noqa: PLC0415  # in the child only, as it loads PyTorch

    run.dir.parent.mkdir(exist_ok=True)
    if log is not None:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)  # also the output of libraries in C
            os.dup2(file.fileno(), 2)
    return cli.main(run.argv).result or RunFailed("the run ended before its first checkpoint")


def run(plan: Plan, folder: Path) -> int:
    """Runs what has not finished and writes the tables. Ctrl-C prints the command to resume.

    The exit code is 0 if every run finished.
    """
    waiting = unfinished(plan, folder)
    num_runs = len(plan.runs(folder))
    num_finished = num_runs - len(waiting)
    if num_finished:
        print(f"{num_finished} of {num_runs} runs are finished.", flush=True)
    if waiting:
        record_environment(plan, folder)
        print(how_to_open(folder), flush=True)

    def calls() -> Iterator[tuple[Run, Path | None]]:
        for number, one in enumerate(waiting, num_finished + 1):
            print(f"{'' if plan.jobs > 1 else chr(10)}[{number}/{num_runs}] {one}", flush=True)
            yield one, one.dir.with_suffix(".log") if plan.jobs > 1 else None

    try:
        for (one, log), answer in in_children(train, calls(), plan.jobs):
            if isinstance(answer, Exception):
                one.record_failure(str(answer))
                print(f"{one} failed: {answer}{f'; see {log}' if log else ''}", flush=True)
            elif log:
                print(f"{one}: {table.result_line(answer)}", flush=True)
            table.write_results(folder / "results.csv", plan.rows(folder), plan.varied)
    except KeyboardInterrupt:
        try:
            collect(plan, folder)
        finally:  # also after a second Ctrl-C
            print(f"\nStopped. To resume, type\n{command('resume', folder)}", flush=True)
        raise
    return collect(plan, folder)


def command(name: str, folder: Path) -> str:
    """A command of compare.py for this comparison, as a person types it in any folder."""
    script = [sys.executable, str(PROJECT / "compare.py")]
    return shlex.join([*script, name, folder.name, "--runs_dir", str(folder.parent)])


def record_environment(plan: Plan, folder: Path) -> None:
    """Writes machine and versions to a file. After a resume, prints and adds what has changed."""
    devices = sorted({entry.about["device"] for entry in plan.entries})
    now = {**environment(), "device": ", ".join(devices), "jobs": plan.jobs}
    now["threads"] = max(1, now["threads"] // plan.jobs)
    path = folder / "environment.json"
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(now)
    for name, value in now.items():
        if str(recorded.get(name)).rpartition("; then ")[2] != str(value):
            recorded[name] = f"{recorded.get(name)}; then {value}"
            print(f"The environment has changed: {name} is {recorded[name]}", flush=True)
    write_atomically(path, json.dumps(recorded, indent=2) + "\n")


def collect(plan: Plan, folder: Path) -> int:
    """Writes and prints the tables, and writes the TensorBoard page. The exit code is 0 if every run finished."""
    rows = plan.rows(folder)
    text = table.summary(rows)
    table.write_results(folder / "results.csv", rows, plan.varied)
    table.write_differences(folder / "differences.csv", rows)
    write_atomically(folder / "summary.md", text)
    print(f"\n{text}", flush=True)
    finished = [row for row in rows if row["status"] == "finished"]
    if finished:
        try:
            in_child(publish, folder, finished, text, plan.varied)
        except (InputError, RunFailed) as error:
            print(f"The means, text and figures for TensorBoard were not written: {error}", file=sys.stderr)
        print(f"Tables and figures are in {folder}")
        print(how_to_open(folder), flush=True)
    return int(len(finished) < len(rows))


def publish(folder: Path, finished: list[Row], text: str, varied: list[str]) -> None:
    """Runs in the child: writes the TensorBoard page."""
    from comparison import board  # noqa: PLC0415  # in the child only, as it loads PyTorch

    board.publish(folder, finished, text, varied)


def prune(folder: Path, yes: bool) -> int:
    """Lists the checkpoints of the runs that have ended, asks, and deletes them. The exit code is 1 after a no."""
    ended = [run for run in read(folder).runs(folder) if run.row()["status"] != "unfinished"]
    paths = [path for run in ended for path in sorted(run.dir.rglob("*.ckpt"))]
    if not paths:
        print(f"{folder} contains no checkpoints of runs that have ended")
        return 0
    print("\n".join(map(str, paths)))
    if not yes and not sys.stdin.isatty():
        raise InputError("prune asks before it deletes, and there is no terminal to ask; add --yes")
    size = f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"
    if not yes and input(f"Delete these {len(paths)}, {size}? [y/N] ").strip().lower() not in ("y", "yes"):
        return 1
    for path in paths:
        path.unlink()
    print(f"Deleted {size}.")
    return 0
