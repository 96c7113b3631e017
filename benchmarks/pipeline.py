"""Seconds to load an epoch of MNIST: our tensors in memory, and torchvision's data set with a DataLoader.

python -m benchmarks.pipeline            # needs the four files of MNIST
python -m benchmarks.pipeline --write    # also saves the result and rewrites the table in benchmarks/README.md

Torchvision makes an image and then a tensor of every digit in every epoch. Ours makes the tensors once, which takes a
second and is not counted. Both give shuffled, normalised digits in batches of 64.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from benchmarks.committed import markdown
from benchmarks.timing import command_line, interleaved, ratio, shown
from datamodules import MNIST
from datamodules.mnist_files import FILES, read_file
from engine.paths import RUNS
from engine.results import Row

BATCH_SIZE = 64
WORKERS = (0, 1, 2)
ROUNDS = 5
UNPACKED = RUNS / "speed" / "data"


def digits(is_training: bool = True) -> Dataset[tuple[Tensor, int]]:
    """Torchvision's data set, with the transforms of every tutorial."""
    ours = MNIST(source="full")
    ours.prepare_data()
    raw = UNPACKED / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # torchvision reads uncompressed files only
        if not (raw / name).exists():
            (raw / name).write_bytes(read_file(ours.raw, ours.variant, name))
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return datasets.MNIST(str(UNPACKED), train=is_training, transform=transform)


def seconds_per_epoch(batches: Iterable[Any]) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def measure(rounds: int | None = None) -> Row:
    ours, stock = MNIST(source="full", batch_size=BATCH_SIZE, val_size=0), digits()
    ours.prepare_data()
    ours.setup()
    loaders: dict[str, Iterable[Any]] = {"ours": ours.train_dataloader()}
    loaders |= {f"{n} workers": DataLoader(stock, BATCH_SIZE, shuffle=True, num_workers=n) for n in WORKERS}
    subjects: dict[str, Callable[[], float]] = {
        name: functools.partial(seconds_per_epoch, loader) for name, loader in loaders.items()
    }
    return {"loader": interleaved(rounds or ROUNDS, subjects)}


def table(found: Row) -> str:
    seconds = found["loader"]
    lines = [
        [name, f"{statistics.median(values):.3g}", shown(ratio(values, seconds["ours"]))]
        for name, values in seconds.items()
    ]
    return markdown(["batches from", "seconds per epoch", "÷ ours"], lines)


if __name__ == "__main__":
    command_line("pipeline", measure, table)
