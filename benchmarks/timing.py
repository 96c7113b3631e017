"""What the speed programs share: runs without output, processes, ratios, and the table of each program on its page."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from benchmarks.committed import clean_commit, machine, write_tables
from comparison.environment import environment
from engine.cli import CLI, build, main
from engine.paths import PROJECT
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results" / "speed"
PAGE = PROJECT / "benchmarks" / "README.md"


def ratio(over: list[float], under: list[float]) -> str:
    """The median ratio of the rounds, with the lowest and highest in brackets."""
    ratios = [above / below for above, below in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"


def quietly(arguments: list[str], run: bool = True) -> CLI:
    """Runs `train.py fit`, or only builds its parts, in a temporary folder and without output on the console."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        command = ["fit", *arguments, f"--trainer.logger.init_args.save_dir={folder}"]
        return main(command) if run else build(command)


def in_new_process(function: Callable[..., Row], *arguments: Any) -> Row:
    """Calls a function in a process of its own, which shares no memory with this one."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def wait() -> None:
    """Waits until the GPU, if there is one, has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def save(name: str, found: Row) -> None:
    """Saves a measurement with the machine, the versions and the commit."""
    where = {key: value for key, value in environment().items() if key != "dirty"}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    text = json.dumps({**found, "device": device, "environment": where}, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def load(name: str) -> Row:
    """The committed measurement of a program."""
    found: Row = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def with_source(found: Row, table: str) -> str:
    """A table with the machine and the commit of its numbers below it."""
    where = {**found["environment"], "device": found["device"]}
    return f"{table}\n\nOn {machine(where)}, PyTorch {where['torch']}; commit {where['commit'][:7]}."


def command_line(name: str, measure: Callable[[int | None], Row], table: Callable[[Row], str]) -> None:
    """The command of a speed program: measures, prints the table, and writes both on request."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--rounds", type=int, help="measure fewer or more rounds than the default")
    parser.add_argument("--write", action="store_true", help="save the result and rewrite the table on the page")
    parser.add_argument("--table", action="store_true", help="rewrite the table from the saved result; measure nothing")
    options = parser.parse_args()
    if not options.table:
        if options.write:
            clean_commit()
        found = measure(options.rounds)
        print(table(found))
        if not options.write:
            return
        save(name, found)
    saved = load(name)
    write_tables(PAGE, {name: with_source(saved, table(saved))})
