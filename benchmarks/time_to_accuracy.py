"""Seconds of training until a network reaches 99 % on the test digits: PyTorch's own example, and our fastest config.

python -m benchmarks.time_to_accuracy            # needs the four files of MNIST
python -m benchmarks.time_to_accuracy --write    # also saves the result and rewrites the table in benchmarks/README.md
python -m benchmarks.time_to_accuracy --test     # measures and saves the example's test accuracy: most of an hour

The example is in the folder mnist of pytorch/examples. It is written here with stock calls: 3x3 convolutions of 32 and
64, pooling, dropout 0.25, a layer of 128, dropout 0.5, Adadelta with a learning rate of 1.0 that is multiplied by 0.7
after each epoch, batches of 64, torchvision's data set and a DataLoader.

EPOCHS was fixed on validation digits: the first epoch after which seed 100 reached 98.8 % of them. Then 5 seeds were
trained on all digits and tested once.
"""

from __future__ import annotations

import statistics
import sys
import time

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from benchmarks.committed import RESULTS, clean_commit, markdown, rows
from benchmarks.timing import command_line, load, quietly, ratio, save
from datamodules import MNIST
from datamodules.mnist import FILES
from engine.paths import RUNS
from engine.results import Row

EPOCHS = 6
SEEDS = range(5)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FASTEST = "configs/mnist/fast_cnn.yaml"
ROUNDS = 5
UNPACKED = RUNS / "speed" / "data"


class Example(nn.Sequential):
    """The network: `(B, 1, 28, 28)` to `(B, 10)`."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )


def digits(is_training: bool = True) -> Dataset[tuple[Tensor, int]]:
    """Torchvision's data set, with the transforms of every tutorial."""
    ours = MNIST(source="full")
    ours.prepare_data()
    raw = UNPACKED / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name in FILES:  # torchvision reads uncompressed files only
        if not (raw / name).exists():
            (raw / name).write_bytes(ours.read(name))
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return datasets.MNIST(str(UNPACKED), train=is_training, transform=transform)


def train_example(seed: int, epochs: int) -> tuple[Example, float]:
    """Returns the trained network and the seconds of training."""
    torch.manual_seed(seed)
    model = Example().to(DEVICE)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(digits(), batch_size=64, shuffle=True)
    start = time.perf_counter()
    for _ in range(epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(F.log_softmax(model(inputs.to(DEVICE)), dim=1), targets.to(DEVICE))
            loss.backward()
            optimizer.step()
        schedule.step()
    return model, time.perf_counter() - start


def test() -> Row:
    """The test accuracy of the example for each seed, after the fixed number of epochs."""
    loader = DataLoader(digits(is_training=False), batch_size=1000)
    accuracies = []
    for seed in SEEDS:
        model, _ = train_example(seed, EPOCHS)
        model.eval()
        with torch.inference_mode():
            correct = [model(inputs.to(DEVICE)).argmax(1).cpu() == targets for inputs, targets in loader]
        accuracies.append(float(torch.cat(correct).float().mean()))
    return {"example": accuracies}


def measure(rounds: int | None = None) -> Row:
    """Seconds of training: of the example, as `EPOCHS` times one epoch, and of a whole run of ours."""
    seconds: dict[str, list[float]] = {"example": [], "ours": []}
    for _ in range(1 + (rounds or ROUNDS)):
        seconds["example"].append(EPOCHS * train_example(seed=0, epochs=1)[1])
        seconds["ours"].append(float(quietly(["-c", FASTEST, "--test_checkpoint=none"]).result["seconds"]))
    return {"epochs": EPOCHS, "seconds": {name: taken[1:] for name, taken in seconds.items()}}  # the first warms up


def table(found: Row) -> str:
    seconds = found["seconds"]
    accuracies = {"example": load("accuracies")["example"], "ours": list(rows(RESULTS / "mnist_fast").test_acc)}
    lines = []
    for name, epochs in (("example", found["epochs"]), ("ours", 1)):
        reached = [100 * value for value in accuracies[name]]
        accuracy = f"{statistics.mean(reached):.2f} ± {statistics.stdev(reached):.2f} %"
        factor = ratio(seconds["example"], seconds[name])
        lines.append([name, epochs, f"{statistics.median(seconds[name]):.3g}", factor, accuracy])
    columns = ["network", "epochs", "seconds", "times as fast", "test accuracy, 5 seeds"]
    return markdown(pd.DataFrame(lines, columns=columns))


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        clean_commit()
        save("accuracies", test())
    else:
        command_line("time_to_accuracy", measure, table)
