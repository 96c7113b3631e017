"""Comparisons whose results are committed under benchmarks/results/, and the tables of the pages that show them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

import compare
from comparison.environment import git
from engine.paths import PROJECT, RUNS
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results"
FILES = ("results.csv", "differences.csv", "environment.json", "summary.md")


def clean_commit() -> str:
    """The short name of the current commit. Exits if it does not describe the code and the configs."""
    if git("status", "--porcelain", "--", "*.py", "*.yaml") != "":
        sys.exit("results belong to a commit: commit the changes that `git status` lists, then measure again")
    return str(git("rev-parse", "HEAD"))[:7]


def run(name: str, arguments: Sequence[str]) -> Path:
    """Runs a comparison of the current commit, or resumes it. Returns its folder in runs/.

    Args:
        name: Name of the comparison. The commit is appended.
        arguments: Arguments of compare.py.
    """
    folder = RUNS / f"{name}_{clean_commit()}"
    place = [folder.name, "--runs_dir", str(RUNS)]
    if compare.main(["resume", *place] if folder.is_dir() else ["--name", *place, *arguments]):
        sys.exit(f"not every run of {folder} finished; run the same command again to resume")
    if rows(folder).data.str.endswith("-5k").any():
        sys.exit(f"{folder} used the 5,000-digit subset of MNIST; put the full data into DATA_DIR and delete {folder}")
    return folder


def run_and_copy(prefix: str, comparisons: Mapping[str, Sequence[str]], results: Path) -> dict[str, Path]:
    """Runs or resumes comparisons, then copies their results to the repository. Returns their folders in runs/.

    Args:
        prefix: Start of the names of the folders in runs/.
        comparisons: Arguments of compare.py, by the name of the comparison.
        results: Folder of the repository that gets a folder per comparison.
    """
    folders = {name: run(f"{prefix}_{name}", arguments) for name, arguments in comparisons.items()}
    for name, folder in folders.items():  # after the last run, because the copies are uncommitted changes
        (results / name).mkdir(parents=True, exist_ok=True)
        for file in FILES:
            if (folder / file).exists():
                shutil.copy(folder / file, results / name)
    return folders


def rows(folder: Path) -> pd.DataFrame:
    """The runs of a comparison, one per row."""
    return pd.read_csv(folder / "results.csv")


def machine(where: Row) -> str:
    """The machine of a measurement."""
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    cores += f", {where['jobs']} runs at a time" if where.get("jobs", 1) > 1 else ""
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"


def hardware(folder: Path) -> str:
    """The machine that the results in this folder were measured on."""
    return machine(json.loads((folder / "environment.json").read_text(encoding="utf-8")))


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table."""
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy(dtype=object)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """The text of a page with each table between its marks `<!-- results: name -->` and `<!-- end of results -->`."""
    for name, table in tables.items():
        marks = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- end of results -->)", re.DOTALL)
        escaped = table.replace("\\", r"\\")
        text = marks.sub(rf"\1\n{escaped}\n\n\2", text)
    return text


def write_tables(page: Path, tables: Mapping[str, str]) -> None:
    """Rewrites the tables of a page."""
    page.write_text(with_tables(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
