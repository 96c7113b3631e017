"""Order, batches and split of any data: what a run sees is a pure function of seed and epoch."""

from itertools import chain
from typing import Literal

import pytest
import torch

from datamodules import BaseDataModule
from datamodules.base import Samples


class Numbers(BaseDataModule):
    """100 training samples, each its own number, in classes of 10 and 90; 10 test samples."""

    input_shape = [1]  # noqa: RUF012  # as in the documentation
    num_outputs = 2
    task: Literal["classification", "regression"] = "classification"

    def __init__(self, batch_size: int = 10, val_size: int = 20, steps_per_execution: int = 1, seed: int = 0) -> None:
        super().__init__(batch_size, val_size, steps_per_execution, seed)
        self.setup()

    def load(self) -> tuple[Samples, Samples]:
        inputs = torch.arange(110.0).view(-1, 1)
        targets = (torch.arange(110) % 10 > 0).long()
        return (inputs[:100], targets[:100]), (inputs[100:], targets[100:])


def batches(datamodule: BaseDataModule, epoch: int = 0) -> list[list[float]]:
    loader = datamodule.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [inputs.flatten().tolist() for chunk in loader for inputs, _ in chunk]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = batches(Numbers(seed=1), epoch=3)
    torch.manual_seed(99)
    assert batches(Numbers(seed=1), epoch=3) == first
    assert batches(Numbers(seed=1), epoch=4) != first
    assert batches(Numbers(seed=2), epoch=3) != first
    assert sorted(chain(*first)) == sorted(chain(*batches(Numbers(seed=2))))


def test_an_epoch_shows_each_sample_once_and_drops_the_last_partial_batch() -> None:
    seen = batches(Numbers(batch_size=30))
    assert [len(batch) for batch in seen] == [30, 30]
    assert len(set(chain(*seen))) == 60


@pytest.mark.parametrize("steps_per_execution", [1, 3, 7, 8, 100])
def test_chunks_hold_the_same_batches_in_the_same_order(steps_per_execution: int) -> None:
    chunked = Numbers(steps_per_execution=steps_per_execution)
    assert batches(chunked) == batches(Numbers())
    loader = chunked.train_dataloader()
    chunks = list(loader)
    assert len(loader) == len(chunks)
    assert len(chunks[0]) == min(steps_per_execution, 8)
    assert sum(len(chunk) for chunk in chunks) == chunked.steps_per_epoch == 8
    assert all(inputs.shape == (10, 1) for chunk in chunks for inputs, _ in chunk)


def test_devices_share_each_batch_without_changing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = batches(Numbers())
    parts, validated = [], []
    for rank in range(2):
        monkeypatch.setattr(Numbers, "place", lambda self, rank=rank: (rank, 2))
        parts.append(batches(Numbers()))
        validated += [x for inputs, _ in Numbers().evaluation_loader("val") for x in inputs.flatten().tolist()]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    assert sorted(validated) == Numbers().splits["val"][0].flatten().tolist()
    with pytest.raises(ValueError, match=r"batch_size=15 cannot be shared among 2 devices; type --data.batch_size 14"):
        Numbers(batch_size=15).train_dataloader()


def test_validation_is_cut_by_class_and_does_not_depend_on_the_seed() -> None:
    datamodule = Numbers(seed=1)
    (train, _), (val, val_targets) = datamodule.splits["train"], datamodule.splits["val"]
    assert val_targets.bincount().tolist() == [2, 18]
    assert not set(train.flatten().tolist()) & set(val.flatten().tolist())
    assert len(train) == 80
    assert torch.equal(Numbers(seed=2).splits["val"][0], val)


def test_validation_and_test_drop_no_sample() -> None:
    datamodule = Numbers(batch_size=12)
    assert [len(targets) for _, targets in datamodule.val_dataloader()] == [12, 8]
    assert sum(len(targets) for _, targets in datamodule.test_dataloader()) == 10


def test_without_validation_all_is_trained_on() -> None:
    datamodule = Numbers(val_size=0)
    assert datamodule.val_dataloader() == []
    assert datamodule.monitor is None
    assert datamodule.steps_per_epoch == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"steps_per_execution": 0}, "steps_per_execution=0"),
        ({"val_size": -1}, "val_size=-1"),
        ({"val_size": 100}, "val_size=100 leaves nothing of the 100 samples"),
        (
            {"batch_size": 81},
            r"batch_size=81 is more than the 80 training samples .* type --data.batch_size 80 or less",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Numbers(**options).train_dataloader()


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (torch.zeros(9, 1).numpy(), torch.zeros(9).long(), r"gave ndarray; give tensors"),
        (torch.zeros(9, 1).double(), torch.zeros(9).long(), r"inputs of torch.float64 .* use .float\(\)"),
        (torch.zeros(9, 1), torch.zeros(9).int(), r"targets of torch.int32"),
        (torch.zeros(9, 2), torch.zeros(9).long(), r"shape \[9, 2\] .* input_shape=\[1\] needs \[9, 1\]"),
        (torch.zeros(9, 1), torch.zeros(8).long(), r"shape \[9, 1\] for 8 targets"),
    ],
)
def test_samples_that_are_not_what_the_task_takes_are_refused(
    inputs: torch.Tensor, targets: torch.Tensor, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "load", lambda self: ((inputs, targets), (inputs, targets)))
    with pytest.raises(ValueError, match=message):
        Numbers()


def test_regression_is_watched_by_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = Numbers()
    assert (numbers.monitor, numbers.monitor_mode) == ("val/acc", "max")
    monkeypatch.setattr(Numbers, "task", "regression")
    assert (numbers.monitor, numbers.monitor_mode) == ("val/loss", "min")
