"""Seconds of training until a network reaches 99 % on the test digits: PyTorch's own example, and our fastest config.

python -m benchmarks.time_to_accuracy            # needs the four files of MNIST; about 15 minutes, one per seed
python -m benchmarks.time_to_accuracy --write    # also saves the result and rewrites the table in benchmarks/README.md

The example is in the folder mnist of pytorch/examples. It is written here with stock calls. Each round trains both
networks on all digits with another seed, and tests them.
"""

from __future__ import annotations

from statistics import median

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from benchmarks.committed import Found, now, quietly, ratio, speed_program
from comparison.table import mean_sd
from datamodules import MNIST
from datamodules.mnist import FILES
from engine.paths import RUNS

EPOCHS = 6  # the first after which seed 100 reached 98.8 % on validation digits
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
UNPACKED = RUNS / "speed" / "data"


class Example(nn.Sequential):
    """The network: `(B, 1, 28, 28)` to `(B, 10)`."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )


def digits(is_training: bool) -> Dataset[tuple[Tensor, int]]:
    """Torchvision's data set, with the transforms of every tutorial."""
    ours = MNIST(source="full")
    ours.prepare_data()
    raw = UNPACKED / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # torchvision reads uncompressed files only
        if not (raw / name).exists():
            (raw / name).write_bytes(ours.read(name))
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return datasets.MNIST(str(UNPACKED), is_training, transform)


def train_example(seed: int) -> dict[str, float]:
    """Trains and tests the example. Returns the seconds of training and the test accuracy."""
    torch.manual_seed(seed)
    model = Example().to(DEVICE)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(digits(is_training=True), batch_size=64, shuffle=True)
    start = now()
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(F.log_softmax(model(inputs.to(DEVICE)), dim=1), targets.to(DEVICE))
            loss.backward()
            optimizer.step()
        schedule.step()
    seconds = now() - start
    model.eval()
    test_loader = DataLoader(digits(is_training=False), batch_size=1000)
    with torch.inference_mode():
        correct = [model(inputs.to(DEVICE)).argmax(1).cpu() == targets for inputs, targets in test_loader]
    return {"seconds": seconds, "test_acc": float(torch.cat(correct).float().mean())}


def one_round(name: str, seed: int) -> dict[str, float]:
    if name == "example":
        return train_example(seed)
    for _ in range(2):  # the first run warms up
        result = quietly(["-c", "configs/mnist/fast_cnn.yaml", f"--seed_everything={seed}"]).result
    return {what: result[what] for what in ("seconds", "test_acc")}


def table(found: Found) -> pd.DataFrame:
    lines = []
    for name, own in found.items():
        factor = ratio(found["example"]["seconds"], own["seconds"])
        lines.append(
            [name, f"{median(own['seconds']):.3g}", factor, mean_sd(pd.Series(own["test_acc"], name="test_acc"))]
        )
    return pd.DataFrame(lines, columns=["network", "seconds", "times as fast", "test accuracy"])


if __name__ == "__main__":
    speed_program("time_to_accuracy", ("example", "ours"), one_round, table)
