"""Mean loss and accuracy of an epoch.

Differences from torchmetrics' own means: the mean stays weighted if it contains NaN, and several batches are added up
together. Adding up each batch alone takes time that slows down the training of small networks.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

IGNORE_INDEX = -100  # PyTorch's own: a target with this value counts neither in the loss nor in the accuracy
MAX_PENDING = 2**16  # largest number of output values that wait to be added up


class EpochMean(Metric):
    """Base class of the means over all samples of an epoch, on all devices.

    A subclass implements `update`, which adds batches to `total` and `count`. The state is saved with the model, so
    that an epoch that is resumed in the middle ends with the right mean.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, group: EpochMetrics) -> None:
        super().__init__(compute_with_cache=False)  # a cached value would miss the pending batches
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum", persistent=True)
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum", persistent=True)
        self.group = group

    def compute(self) -> Tensor:
        self.group.flush()
        return self.total / self.count

    def sync(self, *args: Any, **kwargs: Any) -> None:
        self.group.flush()
        super().sync(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        self.group.flush()
        return super().state_dict(*args, **kwargs)

    def reset(self) -> None:
        self.group.pending = []
        super().reset()


class EpochLoss(EpochMean):
    """Mean loss, each batch weighted by the number of targets that are not ignored."""

    def update(self, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Takes the mean losses `(N,)` of N batches and their targets `(N, B, ...)`."""
        counts = (targets != IGNORE_INDEX).flatten(1).sum(1)
        self.total = self.total + (losses * counts).sum()
        self.count = self.count + counts.sum()


class EpochSquaredError(EpochMean):
    """Mean squared error, each batch weighted by the number of its samples."""

    def update(self, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Takes the mean losses `(N,)` of N batches and their targets `(N, B, K)`."""
        self.total = self.total + losses.sum() * targets.shape[1]
        self.count = self.count + targets.shape[0] * targets.shape[1]


class EpochAccuracy(EpochMean):
    """Accuracy. Targets of -100 are ignored."""

    def update(self, losses: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Takes the outputs `(N, B, ..., K)` of N batches and their targets `(N, B, ...)`."""
        self.total = self.total + (outputs.argmax(-1) == targets).sum()
        self.count = self.count + (targets != IGNORE_INDEX).sum()


class EpochMetrics:
    """The metrics of a stage: `loss`, and `acc` except for regression.

    Attributes:
        metrics: The metrics by name, `loss` and `acc`.
        pending: Losses, outputs and targets of the batches that wait to be added up.
    """

    def __init__(self, task: str) -> None:
        kinds = {"loss": EpochSquaredError} if task == "regression" else {"loss": EpochLoss, "acc": EpochAccuracy}
        self.metrics: dict[str, EpochMean] = {name: kind(self) for name, kind in kinds.items()}
        self.pending: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> bool:
        """Adds a batch. Returns whether it is the first one since a reset."""
        self.pending.append((loss, outputs, targets))
        if len(self.pending) == 1 and not self.metrics["loss"].update_called:
            self.flush()  # at once: torchmetrics warns if `compute` comes before the first `update`
            return True
        if len(self.pending) * outputs.numel() > MAX_PENDING:
            self.flush()
        return False

    def flush(self) -> None:
        """Adds up the pending batches. Consecutive batches of equal size are stacked."""
        batches, self.pending = self.pending, []
        for _, equal in groupby(batches, key=lambda batch: batch[2].shape):
            losses, outputs, targets = (torch.stack(tensors) for tensors in zip(*equal, strict=True))
            for metric in self.metrics.values():
                metric.update(losses, outputs, targets)

    def reset(self) -> None:
        for metric in self.metrics.values():
            metric.reset()
