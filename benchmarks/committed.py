"""What the benchmarks share: committed results, the tables of pages, and the command line of the speed programs."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import torch

from comparison.environment import environment, git
from comparison.table import markdown
from engine.cli import CLI, build, main
from engine.paths import PROJECT
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results"
PAGE = PROJECT / "benchmarks" / "README.md"
Found = dict[str, dict[str, list[float]]]  # a value per round, by subject and by what was measured


def clean_commit() -> str:
    """The short name of the current commit. Exits if it does not describe the code and the configs."""
    if git("status", "--porcelain", "--", "*.py", "*.yaml") != "":
        sys.exit("results belong to a commit: commit the changes that `git status` lists, then measure again")
    return str(git("rev-parse", "HEAD"))[:7]


def rows(folder: Path) -> pd.DataFrame:
    """The runs of a comparison, one per row."""
    return pd.read_csv(folder / "results.csv")


def mean_sd(values: pd.Series[float], form: str = ".1f") -> str:
    """The mean ± the standard deviation, if there is one."""
    return f"{values.mean():{form}}" + (f" ± {values.std():{form}}" if len(values) > 1 else "")


def machine(where: Row) -> str:
    """The machine of a measurement."""
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    cores += f", {where['jobs']} runs at a time" if where.get("jobs", 1) > 1 else ""
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"


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


def ratio(over: list[float], under: list[float]) -> str:
    """The median ratio of the rounds, with the lowest and highest in brackets."""
    ratios = [above / below for above, below in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"


def quietly(arguments: list[str], run: bool = True) -> CLI:
    """Runs `train.py fit`, or only builds its parts, in a temporary folder and without output on the console."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        command = ["fit", *arguments, f"--trainer.logger.init_args.save_dir={folder}"]
        return main(command) if run else build(command)


def now() -> float:
    """The time in seconds, after the GPU, if there is one, has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def saved_table(name: str, table: Callable[[Found], pd.DataFrame]) -> str:
    """The table of a saved measurement, with its machine and its commit."""
    saved = json.loads((RESULTS / "speed" / f"{name}.json").read_text(encoding="utf-8"))
    where = saved["environment"]
    source = f"On {machine(where)}, PyTorch {where['torch']}; commit {where['commit'][:7]}."
    return f"{markdown(table(saved['found']))}\n\n{source}"


def speed_program(
    name: str,
    subjects: Iterable[str],
    one_round: Callable[[str, int], dict[str, float]],
    table: Callable[[Found], pd.DataFrame],
) -> None:
    """The command of a program that measures speed. The subjects take turns, each in a process of its own.

    Args:
        name: Name of the module, of its file in results/speed/ and of its table on the page.
        subjects: Names of what is measured.
        one_round: Measures a subject. Takes its name and the number of the round, from 0.
        table: Makes the table.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument("--write", action="store_true", help="save the result and rewrite the table on the page")
    parser.add_argument("--table", action="store_true", help="rewrite the table from the saved result; measure nothing")
    options = parser.parse_args()
    if options.write:
        clean_commit()
    if not options.table:
        found: Found = {subject: {} for subject in subjects}
        for number, subject in itertools.product(range(options.rounds), found):
            with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
                measured = pool.submit(one_round, subject, number).result()
            print(f"round {number + 1}, {subject}: {measured}", flush=True)
            for what, value in measured.items():
                found[subject].setdefault(what, []).append(value)
        print(markdown(table(found)))
    if options.write:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        text = json.dumps({"found": found, "environment": {**environment(), "device": device}}, indent=1)
        (RESULTS / "speed" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    if options.write or options.table:
        write_tables(PAGE, {name: saved_table(name, table)})
