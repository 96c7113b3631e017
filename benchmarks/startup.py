"""Seconds from the return key to the first training step, to the help page and to a word on what was mistyped.

python -m benchmarks.startup
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import lightning as L

from benchmarks.measure import interleaved, markdown, ratio, shown
from engine.paths import PROJECT
from engine.results import Row

GOAL = 1.3  # all that train.py imports, as a share of Lightning alone
FIT = ["train.py", "fit", "-c", "configs/mnist/shallow_mlp.yaml", "--data.source=subset", "--trainer.logger=false"]
FIT.append("--trainer.accelerator=cpu")
SUBJECTS = {  # what is typed behind `python`, and what it is called
    "import torch": ["-c", "import torch"],
    "import lightning": ["-c", "import lightning"],
    "all imports of train.py": ["-c", "import cli"],
    "help": ["train.py", "--help"],
    "misspelt option": [*FIT, "--trainer.max_epoch=3"],
    "misspelt config": ["train.py", "fit", "-c", "configs/mnist/shalow_mlp.yaml"],
    "first training step": [*FIT, "--trainer.max_steps=1", "--trainer.callbacks+=benchmarks.startup.FirstStep"],
}
ANSWERS, LONGEST = ("help", "misspelt option", "misspelt config"), 3.0  # seconds
ROUNDS = 5


class FirstStep(L.Callback):
    """Says when the first step has been taken."""

    def on_before_optimizer_step(self, trainer: L.Trainer, *_: object) -> None:
        print(f"first step at {time.monotonic()}", flush=True)


def seconds(arguments: list[str]) -> float:
    """From the start of the process to its end, or to its first training step if it takes one."""
    start = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    end = time.monotonic()
    steps = [line for line in done.stdout.splitlines() if line.startswith("first step at")]
    if FirstStep.__name__ in arguments[-1] and not steps:
        raise RuntimeError(done.stderr)
    return (float(steps[0].rpartition(" ")[2]) if steps else end) - start


def measure(rounds: int = ROUNDS) -> Row:
    subjects: dict[str, Callable[[], float]] = {n: functools.partial(seconds, typed) for n, typed in SUBJECTS.items()}
    found = {"seconds": interleaved(rounds, subjects)}
    print(table(found), flush=True)
    return found


def table(found: Row) -> str:
    taken = found["seconds"]
    rows = [
        [name, f"{statistics.median(values):.2f}", shown(ratio(values, taken["import lightning"]))]
        for name, values in taken.items()
    ]
    return markdown(["until", "seconds", "÷ import lightning"], rows)


if __name__ == "__main__":
    measure()
