"""What an epoch of batches costs: tensors in memory, cut by index, against torchvision's data set and a DataLoader.

python -m benchmarks.pipeline

Torchvision makes an image and then a tensor of every digit, again in every epoch; ours are made once, which takes a
second and is not counted. Both give shuffled, normalised digits in batches of 64: 60,000, ours without the last 32.
Needs MNIST's four files; on the CPU.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from benchmarks.measure import interleaved, markdown, quietly, ratio, shown
from datamodules import MNIST
from datamodules.mnist_files import FILES, read_file
from engine.paths import RUNS
from engine.results import Row
from models import ShallowMLP

BATCH_SIZE = 64
WORKERS = (0, 1, 2)
GOAL = 50  # times as fast as without workers
ROUNDS = 5
UNPACKED = RUNS / "speed" / "data"


def digits(is_training: bool = True) -> Dataset[tuple[Tensor, int]]:
    """Torchvision's data set, with the transforms of every tutorial.

    Raises:
        ValueError: the four files are not there and could not be fetched.
    """
    ours = MNIST(source="full")
    ours.prepare_data()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    raw = UNPACKED / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # torchvision reads uncompressed files only
        if not (raw / name).exists():
            (raw / name).write_bytes(read_file(ours.raw, ours.variant, name))
    return datasets.MNIST(str(UNPACKED), train=is_training, transform=transform)


def epoch_of(batches: Iterable[Any]) -> float:
    """Seconds in which every batch was there once."""
    start = time.perf_counter()
    count = sum(len(targets) for _, targets in batches)
    seconds = time.perf_counter() - start
    if not 59_000 < count <= 60_000:
        raise RuntimeError(f"{count} digits in an epoch")
    return seconds


def ours() -> float:
    data = MNIST(source="full", batch_size=BATCH_SIZE, val_size=0)
    data.prepare_data()
    data.setup()
    return epoch_of(data.train_dataloader())


def stock_epoch(loader: Iterable[Any]) -> float:
    """Seconds of an epoch of the shallow network by hand, on the stock batches."""
    model = ShallowMLP([1, 28, 28], 10)
    optimizer = model.make_optimizer()
    start = time.perf_counter()
    for inputs, targets in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return time.perf_counter() - start


def our_epoch() -> float:
    flags = ["--data.val_size=0", f"--data.batch_size={BATCH_SIZE}", "--trainer.max_epochs=1", "--test_checkpoint=none"]
    flags.append("--trainer.accelerator=cpu")
    return float(quietly(["-c", "configs/mnist/shallow_mlp.yaml", *flags]).history.seconds)


def measure(rounds: int = ROUNDS) -> Row:
    whole = digits()
    loaders = {n: DataLoader(whole, BATCH_SIZE, shuffle=True, num_workers=n) for n in WORKERS}
    alone: dict[str, Callable[[], float]] = {"ours": ours}
    epochs: dict[str, Callable[[], float]] = {"ours": our_epoch}
    for workers, loader in loaders.items():
        alone[f"{workers} workers"] = functools.partial(epoch_of, loader)
        epochs[f"{workers} workers"] = functools.partial(stock_epoch, loader)
    found = {"loader": interleaved(rounds, alone), "epoch": interleaved(rounds, epochs)}
    print(table(found), flush=True)
    return found


def table(found: Row) -> str:
    names = list(found["loader"])
    rows = [
        [
            name,
            f"{statistics.median(found['loader'][name]):.3g}",
            "1" if name == "ours" else shown(ratio(found["loader"][name], found["loader"]["ours"])),
            f"{statistics.median(found['epoch'][name]):.3g}",
            "1" if name == "ours" else shown(ratio(found["epoch"][name], found["epoch"]["ours"])),
        ]
        for name in names
    ]
    columns = ["batches from", "loader alone, s", "÷ ours", "an epoch of 784-128-10, s", "÷ ours"]
    return markdown(columns, rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    measure()
