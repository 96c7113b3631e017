"""Runs what a plan holds, and makes the tables and the TensorBoard page of what has finished. Loads no PyTorch."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from comparison import board, inspection, plan, table
from comparison.plan import Entry, Plan
from comparison.processes import Task, in_child, in_children
from engine import results
from engine.paths import PROJECT
from engine.results import Row

FAILURE = "failure.json"  # in the folder of a run that failed
LOCK = ".lock"
QUIET = 3600  # seconds after which a run of another machine is taken for interrupted


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else on this machine runs or prunes the comparison meanwhile.

    Raises:
        ValueError: somebody does.
    """
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{folder} is running; wait until it ends, or stop it") from None


def run(folder: Path, planned: Plan, jobs: int) -> int:
    """Runs what has not finished, `jobs` runs at a time, and writes the tables; also when it is stopped."""
    waiting = unfinished(folder, planned)
    num_runs, num_done = len(planned.runs), len(planned.runs) - len(waiting)
    if num_done:
        print(f"{num_done} of {num_runs} runs have finished before.", flush=True)
    for entry, seed in waiting:
        if "error" in entry.about:  # it could not be built
            keep_failure(folder, entry, seed, entry.about["error"])
    waiting = [(entry, seed) for entry, seed in waiting if "error" not in entry.about]
    tasks = []
    for entry, seed in waiting:
        log = place(folder, entry, seed).with_suffix(".log") if jobs > 1 else None
        tasks.append(Task(inspection.train_one, (entry, run_flags(folder, entry, seed)), log))

    def tell_start(number: int) -> None:
        entry, seed = waiting[number]
        between = "" if jobs > 1 else "\n"  # runs whose progress shows
        print(f"{between}[{num_done + number + 1}/{num_runs}] {entry.name}, seed {seed}", flush=True)

    stopped = 0
    try:
        for number, row in in_children(tasks, jobs, tell_start):
            entry, seed = waiting[number]
            if "error" in row:
                keep_failure(folder, entry, seed, row["error"])
                where = f"; see {tasks[number].log}" if tasks[number].log else ""
                print(f"{entry.name}, seed {seed} failed: {row['error']}{where}", flush=True)
            elif jobs > 1:
                score = table.judged_by([{**row, "status": "finished"}])
                reached = f"{score.label} {score.text([row[score.column]])}, " if score.column in row else ""
                print(f"{entry.name}, seed {seed}: {reached}{row['seconds']:.1f} s", flush=True)
            table.write_results(folder / "results.csv", rows_of(folder), planned.varied)
    except KeyboardInterrupt as signalled:
        stopped = signalled.args[0] if signalled.args else signal.SIGINT
        print("\nStopped. To go on, type the same command with --resume.", flush=True)
    code = finish(folder)
    return 128 + stopped if stopped else code


def unfinished(folder: Path, planned: Plan) -> list[tuple[Entry, int]]:
    """The runs that are to do; what is left of those that were begun is removed.

    Raises:
        ValueError: one may be going on another machine.
    """
    found = [(entry, seed) for entry, seed in planned.runs if results.read(place(folder, entry, seed)) is None]
    for entry, seed in found:
        own = place(folder, entry, seed)
        own.parent.mkdir(exist_ok=True)
        if not own.exists():
            continue
        if planned.is_printed and not is_quiet(own):
            raise ValueError(f"{own} was written to within the hour and may be going elsewhere; wait, or remove it")
        what = "failed" if (own / FAILURE).is_file() else "was interrupted"
        print(f"{entry.name}, seed {seed} {what}: it starts again.", flush=True)
        shutil.rmtree(own)
    return found


def is_quiet(own: Path) -> bool:
    """Whether nothing in a run's folder was written lately."""
    return time.time() - max(path.stat().st_mtime for path in [own, *own.rglob("*")]) > QUIET


def keep_failure(folder: Path, entry: Entry, seed: int, error: str) -> None:
    own = place(folder, entry, seed)
    own.mkdir(parents=True, exist_ok=True)
    results.write_whole(own / FAILURE, json.dumps({"error": error}) + "\n")


def place(folder: Path, entry: Entry, seed: int) -> Path:
    return folder / entry.name / f"seed_{seed}"


def run_flags(folder: Path, entry: Entry, seed: int) -> list[str]:
    """What train.py is told for one run: its own flags, its seed and its place."""
    named = {"save_dir": folder, "name": entry.name, "version": f"seed_{seed}"}
    return [
        *entry.flags,
        f"--seed_everything={seed}",
        *(f"--trainer.logger.init_args.{key}={value}" for key, value in named.items()),
    ]


def command(folder: Path, entry: Entry, seed: int) -> list[str]:
    """One run as a command line."""
    return [sys.executable, str(PROJECT / "train.py"), "fit", "-c", entry.config, *run_flags(folder, entry, seed)]


def rows_of(folder: Path) -> list[Row]:
    """A row for every run that was planned, and for every other that lies in the folder and has finished."""
    rows = []
    places = set(folder.glob(f"*/seed_*/{results.FILE}"))
    for entry, seed in plan.read(folder).runs:
        own = place(folder, entry, seed)
        places.discard(own / results.FILE)
        row = {**entry.varied, **entry.about, "config": entry.name, "seed": seed, "status": "unfinished"}
        finished = results.read(own)
        if (own / FAILURE).is_file():
            row |= {**json.loads((own / FAILURE).read_text(encoding="utf-8")), "status": "failed"}
        elif finished:
            row |= {**finished, "status": "finished"}
        rows.append(row)
    return rows + [{**(results.read(path.parent) or {}), "status": "finished"} for path in sorted(places)]


def finish(folder: Path) -> int:
    """Writes and prints the tables of what has finished, and the TensorBoard page."""
    rows, planned = rows_of(folder), plan.read(folder)
    text = table.summary(rows, planned.parameters)
    table.write_results(folder / "results.csv", rows, planned.varied)
    table.write_differences(folder / "differences.csv", rows)
    results.write_whole(folder / "summary.md", text)
    print(f"\n{text}", flush=True)
    if any(row["status"] == "finished" for row in rows):
        done = in_child(board.publish, folder, rows, text, planned.varied)
        if "error" in done:
            print(f"What TensorBoard shows beside the runs could not be made: {done['error']}", file=sys.stderr)
        tell_where(folder, rows)
    return int(any(row["status"] != "finished" for row in rows))


def tell_where(folder: Path, rows: list[Row]) -> None:
    print(f"Tables, figures and runs are in {folder}. To see their curves, start")
    print(board.tensorboard_command(folder))
    print(f"and open (with another number, if TensorBoard names one)\n{board.link(folder, rows)}", flush=True)
