"""Loss and accuracy over an epoch, at a cost that a network of one hidden layer does not notice.

Differences from torchmetrics' own means: NaN stays NaN, and many batches are added up together, because adding up each
batch costs time that a small network notices.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

IGNORE_INDEX = -100  # PyTorch's own: a target with this value counts neither in the loss nor in the accuracy
MAX_PENDING = 2**16  # numbers to hold before they are added up


class EpochMean(Metric):
    """A mean over all samples of an epoch, and over all devices.

    Call `add` with the tensors of each batch. A subclass says in `update` what they add to `total` and `count`. The
    state is saved with the model, so that an epoch that is resumed in the middle has the right mean at its end.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum", persistent=True)
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum", persistent=True)
        self.pending: list[tuple[Tensor, ...]] = []

    def add(self, *batch: Tensor) -> None:
        """Keeps the tensors of a batch until enough have come to be added up together."""
        if self.pending and self.pending[-1][-1].shape != batch[-1].shape:  # a smaller last batch
            self.flush()
        self.pending.append(batch)
        # the first batch is added up at once: a metric without any update may not be computed
        if self._update_count == 0 or len(self.pending) * batch[0].numel() > MAX_PENDING:
            self.flush()

    def flush(self) -> None:
        """Adds up the batches that are pending."""
        if self.pending:
            batches, self.pending = self.pending, []
            self.update(*(torch.stack(tensors) for tensors in zip(*batches, strict=True)))

    def compute(self) -> Tensor:
        self.flush()
        return self.total / self.count

    def sync(self, *args: Any, **kwargs: Any) -> None:
        self.flush()
        super().sync(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        self.flush()
        return super().state_dict(*args, **kwargs)

    def reset(self) -> None:
        self.pending = []
        super().reset()


class EpochLoss(EpochMean):
    """Mean loss, each batch weighted by the number of its targets that count."""

    def update(self, losses: Tensor, targets: Tensor) -> None:
        """Takes the mean losses `(N,)` of N batches and their targets `(N, B, ...)`."""
        counts = (targets != IGNORE_INDEX).flatten(1).sum(1)
        self.total += (losses * counts).sum()
        self.count += counts.sum()


class EpochSquaredError(EpochMean):
    """Mean squared error, each batch weighted by the number of its samples."""

    def update(self, losses: Tensor, targets: Tensor) -> None:
        """Takes the mean losses `(N,)` of N batches and their targets `(N, B, K)`."""
        self.total += losses.sum() * targets.shape[1]
        self.count += targets.shape[0] * targets.shape[1]


class EpochAccuracy(EpochMean):
    """Fraction of the targets that count which the largest output names."""

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Takes the outputs `(N, B, ..., K)` of N batches and their targets `(N, B, ...)`."""
        self.total += (outputs.argmax(-1) == targets).sum()
        self.count += (targets != IGNORE_INDEX).sum()
