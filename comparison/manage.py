"""Lists comparisons, shows one, and prunes one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from comparison import board, plan, table
from comparison.run import locked
from engine.errors import InputError

COMMANDS = {
    "list": "lists the comparisons in --runs_dir",
    "show": "prints the table of a comparison and how to open its TensorBoard page",
    "prune": "deletes checkpoints and interrupted runs, after asking; keeps tables and curves",
}


def manage(command: str, names: list[str], runs_dir: Path, yes: bool) -> int:
    """Runs a command of `COMMANDS`. With `yes`, prune does not ask."""
    if len(names) != (command != "list"):
        expected = "no name" if command == "list" else "one name"
        raise InputError(
            f"{command} takes {expected}, not {' '.join(names) or 'none'}; compare.py list prints the names"
        )
    if command == "list":
        print(list_comparisons(runs_dir))
        return 0
    folder = plan.find(names[0], runs_dir)
    if command == "prune":
        with locked(folder):
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
        elif recorded.is_printed and run.is_recent():
            print(f"{run.dir} is kept: it changed within the last hour and may still be running")
        elif run.dir.is_dir():
            paths.append(run.dir)
    if not paths:
        print(f"{folder} contains nothing to delete")
        return 0
    size = megabytes(paths)
    print("\n".join(f"{path} ({megabytes([path])})" for path in paths))
    if not yes and not sys.stdin.isatty():
        raise InputError("prune asks before it deletes, and there is no terminal to ask; add --yes")
    if not yes and input(f"Delete these {len(paths)}, {size}? [y/N] ").strip().lower() not in ("y", "yes"):
        return 1
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"Deleted {size}. {folder} now has {megabytes([folder])}.")
    return 0


def megabytes(paths: list[Path]) -> str:
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
