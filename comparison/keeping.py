"""Looks after the folder of all comparisons."""

from __future__ import annotations

import shutil
from pathlib import Path

from comparison import plan, table
from comparison.beginning import comparisons, existing
from comparison.running import FAILURE, alone, is_quiet, place, rows_of, tell_where
from engine import results

COMMANDS = {
    "list": "what there is in runs/",
    "show": "the table of a comparison, and how to see its curves",
    "prune": "removes checkpoints and what was interrupted; table and curves stay",
}


def keep(what: str, names: list[str], runs_dir: Path) -> int:
    """Lists comparisons, shows one, or removes what its table and curves do not need.

    Raises:
        ValueError: no name where one is needed, or one that is not there.
    """
    if len(names) != (what != "list"):
        wanted = "no name" if what == "list" else "one name"
        raise ValueError(f"{what} takes {wanted}, not {' '.join(names) or 'none'}; `compare.py list` shows them")
    if what == "list":
        print(listed(runs_dir))
        return 0
    folder = existing(names[0], runs_dir)
    if what == "show":
        rows = rows_of(folder)
        print(table.summary(rows, plan.read(folder).parameters))
        tell_where(folder, rows)
        return 0
    with alone(folder):
        before = size(folder)
        prune(folder)
        print(f"{megabytes(before - size(folder))} removed, {megabytes(size(folder))} left in {folder}")
    return 0


def listed(runs_dir: Path) -> str:
    lines = [["name", "runs", "size", "configs"]]
    for folder in comparisons(runs_dir):
        rows = rows_of(folder)
        done = sum(row["status"] == "finished" for row in rows)
        lines.append([folder.name, f"{done} of {len(rows)}", megabytes(size(folder)), ", ".join(table.by_config(rows))])
    return table.table(lines) if len(lines) > 1 else f"{runs_dir} holds no comparison"


def prune(folder: Path) -> None:
    planned = plan.read(folder)
    for entry, seed in planned.runs:
        own = place(folder, entry, seed)
        if own.is_dir() and results.read(own) is None and not (own / FAILURE).is_file():
            if planned.is_printed and not is_quiet(own):
                print(f"{own} was written to within the hour and may be going elsewhere: it stays.")
                continue
            shutil.rmtree(own)
        for checkpoint in own.rglob("*.ckpt"):
            checkpoint.unlink()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def megabytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
