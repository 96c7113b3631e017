"""Seconds of training until a network reads 99 % of the test digits: the well-known example, and our fastest config.

python -m benchmarks.time_to_accuracy

The example is that of the repository pytorch/examples, folder mnist, written with stock calls: 3x3 convolutions of 32
and 64, pooling, dropout 0.25, a layer of 128, dropout 0.5; Adadelta at 1.0, 0.7 times as much after each epoch; batches
of 64; torchvision's data set and a DataLoader, shuffled.

EPOCHS was fixed beforehand, on validation digits: the first epoch after which seed 100 read PROMISED of them. Then
5 seeds were trained on all digits and tested once (`--test`, most of an hour on 2 cores); those of our config are in
`results/mnist_fast`. The seconds are those of an epoch, interleaved with whole runs of our config, times EPOCHS.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.committed import RESULTS, rows_of
from benchmarks.measure import interleaved, keep, kept, markdown, quietly, ratio, shown
from benchmarks.pipeline import digits
from engine.results import Row

TARGET = 0.99
PROMISED = 0.988
EPOCHS = 6
SEEDS = range(5)
FASTEST = "configs/mnist/fast_cnn.yaml"
GOAL, STRETCH = 40, 60  # times as fast
H100_GOAL = 0.5  # seconds
ROUNDS = 5


class Example(nn.Sequential):
    """The network: `(B, 1, 28, 28)` to `(B, 10)`."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )


def train_example(
    seed: int, epochs: int, train_set: Dataset[tuple[Tensor, int]], test_set: Dataset[tuple[Tensor, int]] | None = None
) -> tuple[float, list[float]]:
    """Seconds of training, and the accuracy on the other digits after each epoch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    model = Example().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    seconds, accuracies = 0.0, []
    for _ in range(epochs):
        start = time.perf_counter()
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(F.log_softmax(model(inputs.to(device)), dim=1), targets.to(device))
            loss.backward()
            optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - start
        if test_set is not None:
            model.eval()
            with torch.inference_mode():
                right = [
                    (model(inputs.to(device)).argmax(1) == targets.to(device)).float()
                    for inputs, targets in DataLoader(test_set, batch_size=1000)
                ]
            accuracies.append(float(torch.cat(right).mean()))
    return seconds, accuracies


def test() -> Row:
    """The test accuracy of the example for each seed, after the fixed number of epochs."""
    train_set, test_set = digits(is_training=True), digits(is_training=False)
    found: Row = {"example": []}
    for seed in SEEDS:
        found["example"].append(train_example(seed, EPOCHS, train_set, test_set)[1][-1])
        print(f"seed {seed}: {found['example'][-1]:.4f}", flush=True)
    return found


def accuracies() -> dict[str, list[float]]:
    """Committed test accuracies of both: the example's from `--test`, ours from the comparison of the config."""
    example: list[float] = kept("accuracies").get("example", [])
    return {"example": example, "ours": [float(row["test_acc"]) for row in rows_of(RESULTS / "mnist_fast")]}


def measure(rounds: int = ROUNDS) -> Row:
    """Seconds: of an epoch of the example, and of a whole run of ours."""
    train_set = digits()
    found = {
        "epochs": EPOCHS,
        "seconds": interleaved(
            rounds,
            {
                "example": lambda: EPOCHS * train_example(0, 1, train_set)[0],
                "ours": lambda: float(quietly(["-c", FASTEST, "--test_checkpoint=none"]).history.seconds),
            },
        ),
    }
    print(table(found), flush=True)
    return found


def table(found: Row) -> str:
    seconds = found["seconds"]
    rows = []
    for name, epochs in (("example", found["epochs"]), ("ours", 1)):
        reached = [100 * value for value in accuracies()[name]]
        accuracy = f"{statistics.mean(reached):.2f} ± {statistics.stdev(reached):.2f} %" if reached else "not measured"
        factor = shown(ratio(seconds["example"], seconds[name]))
        rows.append([name, str(epochs), f"{statistics.median(seconds[name]):.3g}", factor, accuracy])
    return markdown(["network", "epochs", "seconds", "times as fast", "test accuracy, 5 seeds"], rows)


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        keep("accuracies", test())
    else:
        measure()
