"""Lists comparisons, shows one, and prunes one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from comparison import board, plan, table
from engine.errors import InputError

COMMANDS = {
    "list": "lists the comparisons in --runs_dir",
    "show": "prints the table of a comparison and how to open its TensorBoard page",
    "prune": "deletes checkpoints and interrupted runs, after asking; keeps tables and curves",
}


def manage(command: str, names: list[str], runs_dir: Path, yes: bool) -> int:
    """Runs a command of `COMMANDS`. With `yes`, prune does not ask."""
    expected = 0 if command == "list" else 1
    if len(names) != expected:
        raise InputError(f"{command} takes {'one' if expected else 'no'} name; compare.py list prints the names")
    if command == "list":
        print(list_comparisons(runs_dir))
        return 0
    folder = plan.find(names[0], runs_dir)
    if command == "prune":
        with plan.lock(folder):
            return prune(folder, yes)
    recorded = plan.read(folder)
    print(table.summary(recorded.rows(folder), recorded.parameters))
    print(board.how_to_open(folder))
    return 0


def list_comparisons(runs_dir: Path) -> str:
    lines = []
    for folder in plan.folders(runs_dir):
        recorded = plan.read(folder)
        is_finished = [row["status"] == "finished" for row in recorded.rows(folder)]
        runs = f"{sum(is_finished)} of {len(is_finished)}"
        configs = ", ".join(entry.name for entry in recorded.entries)
        lines.append({"name": folder.name, "runs": runs, "size": megabytes([folder]), "configs": configs})
    return table.markdown(lines) if lines else f"{runs_dir} contains no comparison"


def prune(folder: Path, yes: bool) -> int:
    """Lists the checkpoints and the interrupted runs, asks, and deletes them."""
    recorded = plan.read(folder)
    paths: list[Path] = []
    for run in recorded.runs(folder):
        if run.row()["status"] != "unfinished":
            paths += sorted(run.dir.rglob("*.ckpt"))
        elif run.dir.is_dir() and not recorded.is_printed:  # a printed command may still be running
            paths.append(run.dir)
    if not paths:
        print(f"{folder} contains nothing to delete")
        return 0
    print("\n".join(map(str, paths)))
    if not yes and not sys.stdin.isatty():
        raise InputError("prune asks before it deletes, and there is no terminal to ask; add --yes")
    size = megabytes(paths)
    if not yes and input(f"Delete these {len(paths)}, {size}? [y/N] ").strip().lower() not in ("y", "yes"):
        return 1
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"Deleted {size}.")
    return 0


def megabytes(paths: list[Path]) -> str:
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
