"""Time and memory of a training step as depth, width, batch size or sequence length grows.

python -m benchmarks.scaling            # needs Linux
python -m benchmarks.scaling --write    # also saves the result and rewrites the table in benchmarks/README.md

Each measurement has a process of its own, because Linux counts the peak memory of a process. An exponent is the slope
on a log-log scale: 1 is linear growth. The work is the number of operations per sample times the batch size. Time and
memory should not grow faster than the work.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from benchmarks.committed import markdown
from benchmarks.timing import command_line, in_new_process, wait
from engine import sizes
from engine.results import Row
from engine.setup import set_up_process
from models import RNN, BaseModel, DeepMLP, FastCNN, ResidualMLP, ShallowMLP

Build = Callable[[int], tuple[BaseModel, int]]  # takes a size, returns a network and its batch size
AXES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "depth, residual MLP of 64": (lambda n: (ResidualMLP([784], 10, num_layers=n), 128), (1, 10, 100, 1000)),
    "width, MLP of 3 layers": (lambda n: (DeepMLP([784], 10, n, 3), 128), (64, 256, 1024, 2048)),
    "batch, MLP of 128": (lambda n: (ShallowMLP([784], 10), n), (64, 256, 1024, 4096)),
    "batch, convolutions": (lambda n: (FastCNN([1, 28, 28], 10), n), (64, 256, 1024, 4096)),
    "length, LSTM of 128": (lambda n: (RNN([n, 1], 10), 64), (28, 98, 392, 784)),
    "length, GRU of 128": (lambda n: (RNN([n, 1], 10, cell="gru"), 64), (28, 98, 392, 784)),
}
ROUNDS = 5
TOLERANCE = 0.1  # the exponent of time or memory may exceed the exponent of the work by this much


def step(axis: str, size: int) -> Row:
    """Median milliseconds of a training step in this process, the MiB that it adds at its peak, and its work."""
    torch.manual_seed(0)
    set_up_process()  # as train.py does
    build, _ = AXES[axis]
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak that importing PyTorch left
    before = memory("VmRSS")
    model, batch_size = build(size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    optimizer = model.make_optimizer()
    inputs = torch.randn(batch_size, *model.hparams["input_shape"], device=device)
    targets = torch.randint(10, (batch_size,), device=device)
    taken: list[float] = []
    while len(taken) < 5 or (sum(taken) < 1000 and len(taken) < 200):
        wait()
        start = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        wait()
        taken.append((time.perf_counter() - start) * 1000)
    peak = memory("VmHWM") - before
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    work = batch_size * (sizes.flops(model) or 0)
    return {"milliseconds": statistics.median(taken[2:]), "mebibytes": peak, "work": work}


def memory(name: str) -> float:
    """Memory of this process in MiB, by its name in /proc/self/status."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def measure(rounds: int | None = None) -> Row:
    axes: dict[str, Row] = {}
    for axis, (_, points) in AXES.items():
        turns = [{n: in_new_process(step, axis, n) for n in points} for _ in range(rounds or ROUNDS)]
        axes[axis] = {
            str(n): {name: statistics.median(turn[n][name] for turn in turns) for name in turns[0][n]} for n in points
        }
        print(f"{axis}: done", flush=True)
    return {"axes": axes}


def exponent(points: Row, name: str) -> float:
    """The slope on a log-log scale between the two largest sizes, where fixed costs matter least."""
    (small, first), (large, last) = ((int(size), row[name]) for size, row in list(points.items())[-2:])
    return math.log(last / first) / math.log(large / small)


def table(found: Row) -> str:
    lines = []
    for axis, points in found["axes"].items():
        work, *others = [exponent(points, name) for name in ("work", "milliseconds", "mebibytes")]
        measured = [" ".join(f"{row[name]:.3g}" for row in points.values()) for name in ("milliseconds", "mebibytes")]
        slopes = [f"{value:.2f}" for value in (work, *others)]
        lines.append([axis, " ".join(points), *measured, *slopes, "yes" if max(others) <= work + TOLERANCE else "no"])
    columns = ["growing", "sizes", "ms per step", "peak MiB", "exponent of the work", "of the time", "of the memory"]
    return markdown(pd.DataFrame(lines, columns=[*columns, "within the goal"]))


if __name__ == "__main__":
    command_line("scaling", measure, table)
