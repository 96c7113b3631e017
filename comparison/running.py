"""Runs what a plan holds, and makes the tables and the TensorBoard page of what has finished. Loads no PyTorch."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import results
from arguments import PROJECT
from comparison import board, inspection, plan, table
from comparison.plan import Entry, Plan
from comparison.processes import Task, in_child, in_children
from results import Row

Failures = dict[tuple[str, int], Row]  # by name of the entry and seed


def run(folder: Path, planned: Plan, jobs: int) -> int:
    """Runs what has not finished, `jobs` runs at a time, and writes the tables; also when it is stopped."""
    waiting = [(entry, seed) for entry, seed in planned.runs if results.read(place(folder, entry, seed)) is None]
    num_runs, num_done = len(planned.runs), len(planned.runs) - len(waiting)
    if num_done:
        print(f"{num_done} of {num_runs} runs have finished before.", flush=True)
    failed: Failures = {
        (entry.name, seed): {"error": entry.about["error"]} for entry, seed in waiting if "error" in entry.about
    }
    waiting = [(entry, seed) for entry, seed in waiting if "error" not in entry.about]
    tasks = []
    for entry, seed in waiting:
        own = place(folder, entry, seed)
        if own.exists():
            print(f"{entry.name}, seed {seed} was interrupted: it starts again.", flush=True)
            shutil.rmtree(own)
        own.parent.mkdir(exist_ok=True)
        log = own.with_suffix(".log") if jobs > 1 else None
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
                failed[entry.name, seed] = row
                where = f"; see {tasks[number].log}" if tasks[number].log else ""
                print(f"{entry.name}, seed {seed} failed: {row['error']}{where}", flush=True)
            elif jobs > 1:
                score = table.judged_by([{**row, "status": "finished"}])
                reached = f"{score.label} {score.text([row[score.column]])}"
                print(f"{entry.name}, seed {seed}: {reached}, {row['seconds']:.1f} s", flush=True)
            table.write_results(folder / "results.csv", rows_of(folder, failed))
    except KeyboardInterrupt as signalled:
        stopped = signalled.args[0] if signalled.args else signal.SIGINT
        print("\nStopped. To go on, type the same command with --resume.", flush=True)
    code = finish(folder, failed)
    return 128 + stopped if stopped else code


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


def rows_of(folder: Path, failed: Failures) -> list[Row]:
    """A row for every run that was planned, and for every other that lies in the folder and has finished."""
    rows = []
    places = set(folder.glob(f"*/seed_*/{results.FILE}"))
    for entry, seed in plan.read(folder).runs:
        places.discard(place(folder, entry, seed) / results.FILE)
        finished = results.read(place(folder, entry, seed))
        status = "finished" if finished else "failed" if (entry.name, seed) in failed else "unfinished"
        about = {**entry.about, "config": entry.name, "seed": seed, "status": status}
        rows.append({**about, **(finished or {}), **failed.get((entry.name, seed), {})})
    return rows + [{**(results.read(path.parent) or {}), "status": "finished"} for path in sorted(places)]


def finish(folder: Path, failed: Failures | None = None) -> int:
    """Writes and prints the tables of what has finished, and the TensorBoard page."""
    planned = plan.read(folder)
    rows = rows_of(folder, failed or {})
    text = table.summary(rows, planned.parameters)
    table.write_results(folder / "results.csv", rows)
    table.write_differences(folder / "differences.csv", rows)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(f"\n{text}", flush=True)
    if any(row["status"] == "finished" for row in rows):
        done = in_child(board.publish, folder, rows, text)
        if "error" in done:
            print(f"What TensorBoard shows beside the runs could not be made: {done['error']}", file=sys.stderr)
        tell_where(folder, rows)
    return int(any(row["status"] != "finished" for row in rows))


def tell_where(folder: Path, rows: list[Row]) -> None:
    print(f"Tables, figures and runs are in {folder}. To see their curves, start")
    print(board.tensorboard_command(folder))
    print(f"and open (with another number, if TensorBoard names one)\n{board.link(rows)}", flush=True)
