"""Time and memory of a training step as depth, width, batch size or sequence length grows.

python -m benchmarks.scaling            # needs Linux
python -m benchmarks.scaling --write    # also saves the result and rewrites the table in benchmarks/README.md

Each measurement has a process of its own, because Linux counts the peak memory of a process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from torch.nn import functional as F

from benchmarks.committed import Found, now, speed_program
from engine import sizes
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
TOLERANCE = 0.1  # the exponent of time or memory may exceed the exponent of the work by this much


def one_round(subject: str, number: int) -> dict[str, float]:
    """Median milliseconds of a training step in this process, the MiB that it adds at its peak, and its work."""
    axis, _, size = subject.rpartition(": ")
    torch.manual_seed(0)
    set_up_process()  # as train.py does
    build, _ = AXES[axis]
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak that importing PyTorch left
    before = memory("VmRSS")
    model, batch_size = build(int(size))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    optimizer = model.make_optimizer()
    inputs = torch.randn(batch_size, *model.hparams["input_shape"], device=device)
    targets = torch.randint(10, (batch_size,), device=device)
    taken: list[float] = []
    while len(taken) < 5 or (sum(taken) < 1000 and len(taken) < 200):
        start = now()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        taken.append((now() - start) * 1000)
    peak = memory("VmHWM") - before
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    work = batch_size * (sizes.flops(model) or 0)
    return {"milliseconds": median(taken[2:]), "mebibytes": peak, "work": work}


def memory(name: str) -> float:
    """Memory of this process in MiB, by its name in /proc/self/status."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope on a log-log scale between the two largest sizes, where fixed costs matter least."""
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def table(found: Found) -> pd.DataFrame:
    lines = []
    for axis, (_, points) in AXES.items():
        work, *costs = (
            [median(found[f"{axis}: {size}"][name]) for size in points]
            for name in ("work", "milliseconds", "mebibytes")
        )
        limit, *slopes = (exponent(points, values) for values in (work, *costs))
        measured = [" ".join(f"{value:.3g}" for value in values) for values in costs]
        verdict = "yes" if max(slopes) <= limit + TOLERANCE else "no"
        rounded = [f"{slope:.2f}" for slope in (limit, *slopes)]
        lines.append([axis, " ".join(map(str, points)), *measured, *rounded, verdict])
    columns = ["growing", "sizes", "ms per step", "peak MiB", "exponent of the work", "of the time", "of the memory"]
    return pd.DataFrame(lines, columns=[*columns, "within the goal"])


if __name__ == "__main__":
    subjects = [f"{axis}: {size}" for axis, (_, points) in AXES.items() for size in points]
    speed_program("scaling", subjects, one_round, table)
