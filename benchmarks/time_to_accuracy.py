"""Seconds of training until a network reads 99 % of the test digits: the well-known example, and our fastest config.

python -m benchmarks.time_to_accuracy        # a minute: seconds alone, of one epoch each
The accuracies of the example, 5 seeds of EPOCHS, take most of an hour on 2 cores; `python -m benchmarks.speed --full`.

The example is that of PyTorch's repository `examples`, folder `mnist`, as its text describes it and with stock calls:
two 3x3 convolutions of 32 and 64, pooling, dropout 0.25 and 0.5, a layer of 128; Adadelta at 1.0, which falls to 0.7 of
itself each epoch; batches of 64; torchvision's data set through a DataLoader. It is stopped at EPOCHS, fixed beforehand:
the first epoch whose mean validation accuracy over seeds 100 and 101 was PROMISED or more. Shuffled, where the original
leaves the order as it is on a CPU.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms

from datamodules import MNIST

GOAL = 0.99
PROMISED = 0.988  # on validation digits, which are a little harder than those of the test set
EPOCHS = 3
SEEDS = range(5)
FASTEST = "mnist/fast_cnn"


class Example(nn.Sequential):
    """The network: `(B, 1, 28, 28)` to `(B, 10)`."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
        )


def digits(is_training: bool) -> Dataset[tuple[Tensor, int]]:
    """Torchvision's data set, which makes a tensor of each digit when it is asked for."""
    raw = MNIST(source="full")
    raw.prepare_data()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return datasets.MNIST(str(raw.raw.parents[1]), train=is_training, transform=transform)


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


def choose() -> list[float]:
    """The mean validation accuracy of the example after each epoch, from which EPOCHS was chosen."""
    data = MNIST(source="full")
    data.prepare_data()
    data.setup()
    whole = digits(is_training=True)
    train, val = data.cut(torch.tensor(whole.targets), 5000)  # type: ignore[attr-defined]
    curves = [
        train_example(seed, 5, Subset(whole, train.tolist()), Subset(whole, val.tolist()))[1] for seed in (100, 101)
    ]
    return [statistics.mean(epoch) for epoch in zip(*curves, strict=True)]
