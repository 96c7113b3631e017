"""What the speed programs share: subjects that take turns, ratios, and the table of each program on the pages."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

import lightning as L
import torch

from benchmarks.committed import clean_commit, machine, write_tables
from comparison.environment import environment
from engine.cli import CLI, build, main
from engine.paths import PROJECT
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results" / "speed"
PAGES = (PROJECT / "benchmarks" / "README.md", PROJECT / "README.md")


def interleaved(rounds: int, subjects: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """The time that each subject takes in every round. They take turns; a round before the first warms up."""
    measured: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            taken = subject()
            if number > 0:
                measured[name].append(taken)
    return measured


def ratio(over: list[float], under: list[float]) -> Row:
    """The median ratio of the rounds, and the lowest and highest."""
    ratios = [above / below for above, below in zip(over, under, strict=True)]
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def shown(measured: Row) -> str:
    """A ratio as a table shows it."""
    return f"{measured['ratio']:.3g} ({measured['lowest']:.3g} to {measured['highest']:.3g})"


def quietly(arguments: list[str], run: bool = True) -> CLI:
    """Runs `train.py fit`, or only builds its parts, in a temporary folder and without output on the console."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        command = ["fit", *arguments, f"--trainer.logger.init_args.save_dir={folder}"]
        return main(command) if run else build(command)


def in_a_process(module: str, *arguments: str) -> Row:
    """Runs a module in a process of its own. Returns the JSON of its last line."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


class Compile(L.Callback):
    """Compiles the model after its graph is drawn, because a compiled model cannot be traced."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.compile()


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
    parser.add_argument("--write", action="store_true", help="save the result and rewrite the table on the pages")
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
    for page in PAGES:
        write_tables(page, {name: with_source(saved, table(saved))})
