"""Starts a comparison, trains its runs in child processes, and collects their results. Loads no PyTorch."""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from comparison import board, table
from comparison.check import check
from comparison.environment import environment
from comparison.plan import FILE, Plan, Run
from comparison.processes import Task, in_child, in_children
from engine.errors import InputError
from engine.results import Row, write_atomically

ENVIRONMENT = "environment.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes of this machine from running or pruning the comparison."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"{folder} is running; wait until it ends, or stop it") from None


def create(plan: Plan, name: str | None, runs_dir: Path) -> Path:
    """Checks that every run can start, completes the plan, and makes the folder of the comparison.

    Raises:
        InputError: the name exists, or a run cannot start. Nothing is written then.
    """
    if name is not None and (runs_dir / name).exists():
        raise InputError(taken(runs_dir / name))
    print("Loading ...", flush=True)
    check(plan)
    stem = name or f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    for number in itertools.count(1):
        folder = runs_dir / (stem if number == 1 else f"{stem}_{number}")
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # another comparison has started since
            if name is not None:
                raise InputError(taken(folder)) from None
    plan.write(folder)
    return folder


def taken(folder: Path) -> str:
    if not (folder / FILE).is_file():
        return f"{folder} exists and is not a comparison; type another --name"
    return f"{folder} exists; add --resume, type another --name, or remove it: rm -r {shlex.quote(str(folder))}"


def unfinished(plan: Plan, folder: Path) -> list[Run]:
    """The runs without a result. Removes the folders of interrupted and failed runs."""
    waiting = [run for run in plan.runs(folder) if run.row()["status"] != "finished"]
    for run in waiting:
        if plan.is_printed and run.is_recent():
            raise InputError(f"{run.dir} changed within the last hour; wait until the run ends, or remove it")
    for run in waiting:
        if run.dir.exists():
            reason = "failed" if run.row()["status"] == "failed" else "was interrupted"
            print(f"Restarting {run}, which {reason}.", flush=True)
            shutil.rmtree(run.dir)
    return waiting


def train(argv: list[str]) -> Row:
    """Runs in the child: the command that `--print-commands` prints."""
    from engine import cli  # noqa: PLC0415  # in the child only, as it loads PyTorch

    return cli.main(argv).result or {"error": "the run ended before its first checkpoint"}


def run(plan: Plan, folder: Path, jobs: int, to_resume: str) -> int:
    """Runs what has not finished, `jobs` runs at a time, and writes the tables. Ctrl-C prints the command to resume.

    The exit code is 0 if every run finished.
    """
    waiting = unfinished(plan, folder)
    num_runs = len(plan.runs(folder))
    num_finished = num_runs - len(waiting)
    if num_finished:
        print(f"{num_finished} of {num_runs} runs are finished.", flush=True)
    if waiting:
        record_environment(plan, folder, jobs)
        print(board.how_to_open(folder), flush=True)
    tasks = [Task(train, (one.argv,), one.dir.with_suffix(".log") if jobs > 1 else None) for one in waiting]

    def announce(number: int) -> None:
        waiting[number].dir.parent.mkdir(exist_ok=True)  # of the log
        between = "" if jobs > 1 else "\n"
        print(f"{between}[{num_finished + number + 1}/{num_runs}] {waiting[number]}", flush=True)

    stopped_by = 0
    try:
        for number, row in in_children(tasks, jobs, announce):
            if "error" in row:
                waiting[number].record_failure(row["error"])
                details = f"; see {tasks[number].log}" if jobs > 1 else ""
                print(f"{waiting[number]} failed: {row['error']}{details}", flush=True)
            elif jobs > 1:
                print(f"{waiting[number]}: {table.result_line(row)}", flush=True)
            table.write_results(folder / "results.csv", plan.rows(folder), plan.varied)
    except KeyboardInterrupt as interrupt:
        stopped_by = interrupt.args[0] if interrupt.args else signal.SIGINT
    try:
        code = collect(plan, folder)
    finally:  # also after a second Ctrl-C
        if stopped_by:
            print(f"\nStopped. To resume, type\n{to_resume}", flush=True)
    return 128 + stopped_by if stopped_by else code


def record_environment(plan: Plan, folder: Path, jobs: int) -> None:
    """Writes machine and versions to a file. Prints what changed since the last start and records both values."""
    devices = sorted({entry.about["device"] for entry in plan.entries if "device" in entry.about})
    now = {**environment(), "device": ", ".join(devices), "jobs": jobs}
    now["threads"] = max(1, now["threads"] // jobs)
    path = folder / ENVIRONMENT
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else now
    changed = [name for name, value in now.items() if before.get(name) != value]
    if changed:
        print(f"The environment has changed since the start: {', '.join(changed)}; see {path}", flush=True)
    both = {name: f"{before.get(name)}; then {now[name]}" for name in changed}
    write_atomically(path, json.dumps({**now, **both}, indent=2) + "\n")


def collect(plan: Plan, folder: Path) -> int:
    """Writes and prints the tables, and writes the TensorBoard page. The exit code is 0 if every run finished."""
    rows = plan.rows(folder)
    text = table.summary(rows, plan.parameters)
    table.write_results(folder / "results.csv", rows, plan.varied)
    table.write_differences(folder / "differences.csv", rows)
    write_atomically(folder / "summary.md", text)
    print(f"\n{text}", flush=True)
    if any(row["status"] == "finished" for row in rows):
        done = in_child(board.publish, folder, rows, text, plan.varied)
        if "error" in done:
            print(f"The means, text and figures for TensorBoard were not written: {done['error']}", file=sys.stderr)
        print(f"Tables and figures are in {folder}")
        print(board.how_to_open(folder), flush=True)
    return int(any(row["status"] != "finished" for row in rows))
