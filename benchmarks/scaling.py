"""Time and memory of a training step against depth, width, batch and sequence length.

python -m benchmarks.scaling

Each measurement has a process of its own, so that its peak of memory is its own, as Linux counts it. An exponent is the
slope of a straight line through the logarithms: 1 is linear growth. It is held against that of the work, the operations
of one sample times the batch; nothing should grow faster than the work it does.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.measure import in_a_process, markdown, wait
from engine import sizes
from engine.cli import keep_freed_memory
from engine.results import Row
from models import RNN, BaseModel, DeepMLP, FastCNN, ResidualMLP, ShallowMLP

Build = Callable[[int], tuple[BaseModel, int]]  # of a size: the network and its batch
AXES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "depth, residual MLP of 64": (lambda n: (ResidualMLP([784], 10, num_layers=n), 128), (1, 10, 100, 1000)),
    "width, MLP of 3 layers": (lambda n: (DeepMLP([784], 10, n, 3), 128), (64, 256, 1024, 2048)),
    "batch, MLP of 128": (lambda n: (ShallowMLP([784], 10), n), (64, 256, 1024, 4096)),
    "batch, convolutions": (lambda n: (FastCNN([1, 28, 28], 10), n), (64, 256, 1024, 4096)),
    "length, LSTM of 128": (lambda n: (RNN([n, 1], 10), 64), (28, 98, 392, 784)),
    "length, GRU of 128": (lambda n: (RNN([n, 1], 10, cell="gru"), 64), (28, 98, 392, 784)),
}
ROUNDS = 5
SLACK = 0.1  # of an exponent, before growth counts as faster than the work


def step(axis: str, size: int) -> Row:
    """One training step, in this process: milliseconds, and MiB at its peak above what was there before."""
    torch.manual_seed(0)
    keep_freed_memory()  # this and the next as in a run of train.py
    torch.set_flush_denormal(True)
    build, _ = AXES[axis]
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far, which importing PyTorch made
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
    """MiB that Linux counts for this process under a name."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def measure(rounds: int = ROUNDS) -> Row:
    cells: dict[str, Any] = {}
    for axis, (_, points) in AXES.items():
        rows: list[dict[str, Row]] = [
            {str(n): in_a_process("benchmarks.scaling", axis, str(n)) for n in points} for _ in range(rounds)
        ]
        cells[axis] = {
            size: {name: statistics.median(row[size][name] for row in rows) for name in rows[0][size]}
            for size in rows[0]
        }
        print(table({"axes": {axis: cells[axis]}}).splitlines()[-1], flush=True)
    return {"axes": cells}


def exponent(points: Row, name: str) -> float:
    """The slope of a straight line through the logarithms, over the upper half of the sizes, where fixed costs fade."""
    upper = list(points.items())[-2:]
    (low, first), (high, last) = ((math.log(int(size)), math.log(max(row[name], 1e-9))) for size, row in upper)
    return float(np.divide(last - first, high - low))


def table(found: Row) -> str:
    rows = []
    for axis, points in found["axes"].items():
        slopes = [exponent(points, name) for name in ("work", "milliseconds", "mebibytes")]
        times, sizes_ = list(points.values()), list(points)
        rows.append(
            [
                axis,
                " ".join(sizes_),
                " ".join(f"{row['milliseconds']:.3g}" for row in times),
                " ".join(f"{row['mebibytes']:.3g}" for row in times),
                *(f"{value:.2f}" for value in slopes),
                "yes" if max(slopes[1:]) <= slopes[0] + SLACK else "no",
            ]
        )
    columns = [
        "against",
        "sizes",
        "ms a step",
        "MiB at the peak",
        "exponent of the work",
        "of the time",
        "of the memory",
    ]
    return markdown([*columns, "not faster than the work"], rows)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(step(sys.argv[1], int(sys.argv[2]))))
    else:
        measure()
