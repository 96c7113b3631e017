"""How the programs here measure: two things in turn, A B A B, and from the pairs a ratio with its spread."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch

import train
from comparison.inspection import environment
from engine.cli import CLI
from engine.paths import PROJECT
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results" / "speed"


def interleaved(rounds: int, subjects: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """What each subject says it took, in every round; the round before the first warms up and is not counted."""
    measured: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            taken = subject()
            if number > 0:
                measured[name].append(taken)
    return measured


def ratio(over: list[float], under: list[float]) -> Row:
    """The median of what was measured in pairs, one divided by the other, and the lowest and highest of it."""
    ratios = [above / below for above, below in zip(over, under, strict=True)]
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def shown(measured: Row) -> str:
    """A ratio as a table shows it."""
    return f"{measured['ratio']:.3g} ({measured['lowest']:.3g} to {measured['highest']:.3g})"


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def quietly(arguments: list[str], run: bool = True) -> CLI:
    """One run of train.py as a user types it, in a folder that is not kept, without its lines on the console."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        command = ["fit"] if run else []
        return train.main([*command, *arguments, f"--trainer.logger.init_args.save_dir={folder}"], run=run)


def in_a_process(module: str, *arguments: str) -> Row:
    """What a program, run in a process of its own, prints as JSON in its last line."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


class Compile(L.Callback):
    """Compiles the model as PyTorch documents it, after its graph is drawn: a compiled model cannot be traced."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.compile()


def device() -> str:
    """The device that a run gets here, by name."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def keep(name: str, found: Row, folder: Path = RESULTS) -> None:
    """Writes what was found, with the machine it was found on."""
    folder.mkdir(parents=True, exist_ok=True)
    where = {key: value for key, value in environment().items() if key != "dirty"}  # the first result makes it that
    whole: dict[str, Any] = {**found, "device": device(), "environment": where}
    (folder / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def kept(name: str) -> Row:
    """What was written last; empty if it was never measured."""
    path = RESULTS / f"{name}.json"
    found: Row = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
