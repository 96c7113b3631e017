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

import math
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.committed import RESULTS, clean_commit, markdown, rows
from benchmarks.pipeline import digits
from benchmarks.timing import command_line, interleaved, load, quietly, ratio, save, shown
from engine.results import Row

EPOCHS = 6
SEEDS = range(5)
FASTEST = "configs/mnist/fast_cnn.yaml"
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
) -> tuple[float, float]:
    """Seconds of training, and the accuracy on the test set after the last epoch, NaN without a test set."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    model = Example().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(train_set, batch_size=64, shuffle=True)
    start = time.perf_counter()
    for _ in range(epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(F.log_softmax(model(inputs.to(device)), dim=1), targets.to(device))
            loss.backward()
            optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    if test_set is None:
        return seconds, math.nan
    model.eval()
    with torch.inference_mode():
        correct = [
            (model(inputs.to(device)).argmax(1) == targets.to(device)).float()
            for inputs, targets in DataLoader(test_set, batch_size=1000)
        ]
    return seconds, float(torch.cat(correct).mean())


def test() -> Row:
    """The test accuracy of the example for each seed, after the fixed number of epochs."""
    train_set, test_set = digits(is_training=True), digits(is_training=False)
    return {"example": [train_example(seed, EPOCHS, train_set, test_set)[1] for seed in SEEDS]}


def measure(rounds: int | None = None) -> Row:
    """Seconds of training: of the example, as `EPOCHS` times one epoch, and of a whole run of ours."""
    train_set = digits()
    subjects: dict[str, Callable[[], float]] = {
        "example": lambda: EPOCHS * train_example(0, 1, train_set)[0],
        "ours": lambda: float(quietly(["-c", FASTEST, "--test_checkpoint=none"]).result["seconds"]),
    }
    return {"epochs": EPOCHS, "seconds": interleaved(rounds or ROUNDS, subjects)}


def table(found: Row) -> str:
    seconds = found["seconds"]
    accuracies = {"example": load("accuracies")["example"], "ours": list(rows(RESULTS / "mnist_fast").test_acc)}
    lines = []
    for name, epochs in (("example", found["epochs"]), ("ours", 1)):
        reached = [100 * value for value in accuracies[name]]
        accuracy = f"{statistics.mean(reached):.2f} ± {statistics.stdev(reached):.2f} %"
        factor = shown(ratio(seconds["example"], seconds[name]))
        lines.append([name, epochs, f"{statistics.median(seconds[name]):.3g}", factor, accuracy])
    return markdown(["network", "epochs", "seconds", "times as fast", "test accuracy, 5 seeds"], lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--test"]:
        clean_commit()
        save("accuracies", test())
    else:
        command_line("time_to_accuracy", measure, table)
