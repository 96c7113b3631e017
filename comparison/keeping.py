"""Looks after the folder of all comparisons."""

from __future__ import annotations

import shutil
from pathlib import Path

import results
from comparison import plan, table
from comparison.beginning import comparisons, existing
from comparison.running import place, rows_of, tell_where

COMMANDS = {
    "list": "what there is in runs/",
    "show": "the table of a comparison, and how to see its curves",
    "prune": "removes checkpoints and what was interrupted; table and curves stay",
}


def keep(what: str, names: list[str], runs_dir: Path) -> int:
    """Lists comparisons, shows one, or removes what its table and curves do not need."""
    if what == "list":
        lines = [["name", "runs", "size", "configs"]]
        for folder in comparisons(runs_dir):
            rows = rows_of(folder, {})
            done = sum(row["status"] == "finished" for row in rows)
            configs = ", ".join(table.by_config(rows))
            lines.append([folder.name, f"{done} of {len(rows)}", megabytes(size(folder)), configs])
        print(table.table(lines) if len(lines) > 1 else f"{runs_dir} holds no comparison")
        return 0
    if len(names) != 1:
        raise ValueError(f"{what} takes one name, not {len(names)}; `compare.py list` shows them")
    folder = existing(names[0], runs_dir)
    rows = rows_of(folder, {})
    if what == "show":
        print(table.summary(rows, plan.read(folder).parameters))
        tell_where(folder, rows)
        return 0
    before = size(folder)
    for entry, seed in plan.read(folder).runs:
        own = place(folder, entry, seed)
        if results.read(own) is None:
            shutil.rmtree(own, ignore_errors=True)
    for checkpoint in folder.rglob("*.ckpt"):
        checkpoint.unlink()
    print(f"{megabytes(before - size(folder))} removed, {megabytes(size(folder))} left in {folder}")
    return 0


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def megabytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
