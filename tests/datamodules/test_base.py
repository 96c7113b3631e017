"""Order, batches, splits and checks of the base class of the data modules."""

from itertools import chain
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules import BaseDataModule
from datamodules.loader import Samples, ShuffledLoader
from engine.fast_loop import use_fast_loop
from models import BaseModel
from tests.conftest import stock_trainer


class Numbers(BaseDataModule):
    """100 training samples, which are their own indices, in classes of 10 and 90. 10 test samples."""

    input_shape = [1]  # noqa: RUF012  # as in the documentation
    num_outputs = 2
    task: Literal["classification", "regression"] = "classification"

    def __init__(self, batch_size: int = 10, val_size: int = 20, seed: int = 0) -> None:
        super().__init__(batch_size, val_size, seed)
        self.setup()

    def load(self) -> tuple[Samples, Samples]:
        inputs = torch.arange(110.0).view(-1, 1)
        targets = (torch.arange(110) % 10 > 0).long()
        return (inputs[:100], targets[:100]), (inputs[100:], targets[100:])


def batches(datamodule: BaseDataModule, epoch: int = 0) -> list[list[float]]:
    loader = datamodule.train_dataloader()
    assert isinstance(loader, ShuffledLoader)
    loader.set_epoch(epoch)
    return [inputs.flatten().tolist() for inputs, _ in loader]


def test_order_depends_only_on_seed_and_epoch() -> None:
    first = batches(Numbers(seed=1), epoch=3)
    torch.manual_seed(99)
    assert batches(Numbers(seed=1), epoch=3) == first
    assert batches(Numbers(seed=1), epoch=4) != first
    assert batches(Numbers(seed=2), epoch=3) != first
    assert sorted(chain(*first)) == sorted(chain(*batches(Numbers(seed=2))))


def test_epoch_has_each_sample_once_and_drops_the_last_partial_batch() -> None:
    seen = batches(Numbers(batch_size=30))
    assert [len(batch) for batch in seen] == [30, 30]
    assert len(set(chain(*seen))) == 60


@pytest.mark.parametrize(("batch_size", "num_batches"), [(10, 8), (30, 2), (80, 1)])
def test_loader_length_is_its_number_of_batches(batch_size: int, num_batches: int) -> None:
    loader = Numbers(batch_size).train_dataloader()
    assert len(loader) == len(list(loader)) == num_batches
    assert all(inputs.shape == (batch_size, 1) and targets.shape == (batch_size,) for inputs, targets in loader)


def test_order_lists_the_samples_of_the_batches() -> None:
    datamodule = Numbers()
    loader = datamodule.train_dataloader()
    assert isinstance(loader, ShuffledLoader)
    inputs, _ = datamodule.splits["train"]
    assert inputs[loader.order()].flatten().tolist() == list(chain(*batches(datamodule)))


def test_devices_split_each_batch_without_changing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = batches(Numbers())
    parts, validated = [], []
    for rank in range(2):
        monkeypatch.setattr(Numbers, "rank_and_world_size", lambda self, rank=rank: (rank, 2))
        parts.append(batches(Numbers()))
        validated += [x for inputs, _ in Numbers().evaluation_loader("val") for x in inputs.flatten().tolist()]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    assert sorted(validated) == Numbers().splits["val"][0].flatten().tolist()
    with pytest.raises(ValueError, match=r"batch_size=15 cannot be shared among 2 devices; use batch_size=14"):
        Numbers(batch_size=15).train_dataloader()


def test_validation_split_is_stratified_and_independent_of_the_seed() -> None:
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


def test_all_samples_are_trained_on_without_validation() -> None:
    datamodule = Numbers(val_size=0)
    assert datamodule.val_dataloader() == []
    assert datamodule.monitor is None
    assert len(datamodule.train_dataloader()) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"val_size": -1}, "val_size=-1"),
        ({"val_size": 100}, "val_size=100 leaves nothing of the 100 samples"),
        (
            {"batch_size": 81},
            r"batch_size=81 is more than the 80 training samples .* use batch_size=80 or less",
        ),
    ],
)
def test_size_outside_its_range_is_refused(options: dict[str, int], message: str) -> None:
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
def test_samples_of_wrong_type_or_shape_are_refused(
    inputs: torch.Tensor, targets: torch.Tensor, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "load", lambda self: ((inputs, targets), (inputs, targets)))
    with pytest.raises(ValueError, match=message):
        Numbers()


def test_regression_monitors_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = Numbers()
    assert numbers.monitor == "val/acc"
    monkeypatch.setattr(Numbers, "task", "regression")
    assert numbers.monitor == "val/loss"


class Tokens(BaseDataModule):
    """Sequences of integers, for an embedding."""

    input_shape = [6]  # noqa: RUF012
    num_outputs = 2
    task = "classification"

    def load(self) -> tuple[Samples, Samples]:
        tokens = torch.randint(9, (64, 6), generator=torch.Generator().manual_seed(0))
        targets = (tokens[:, 0] > 4).long()
        return (tokens[:48], targets[:48]), (tokens[48:], targets[48:])


class Embedded(BaseModel):
    width_option = None
    depth = 1

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.embedding = nn.Embedding(9, 4)
        self.head = nn.Linear(24, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x).flatten(1))


@pytest.mark.parametrize("is_fast", [False, True], ids=["stock", "fast"])
def test_int64_inputs_are_trained_on(is_fast: bool) -> None:
    trainer = stock_trainer(max_epochs=2)
    if is_fast:
        use_fast_loop(trainer)
    data = Tokens(batch_size=8, val_size=8)
    trainer.fit(Embedded([6], 2), datamodule=data)
    assert data.splits["train"][0].dtype == torch.int64
    assert trainer.global_step == 2 * 5
    assert 0 < trainer.callback_metrics["val/acc"] <= 1


class Given(BaseDataModule):
    """The given training samples and one test sample."""

    def __init__(self, inputs: Tensor, targets: Tensor, task: Literal["classification", "regression"]) -> None:
        super().__init__(batch_size=1)
        self.input_shape, self.num_outputs = list(inputs.shape[1:]), 3 if task == "classification" else 1
        self.task = task
        self.samples = inputs, targets

    def load(self) -> tuple[Samples, Samples]:
        inputs, targets = self.samples
        return self.samples, (torch.zeros_like(inputs[:1]), torch.zeros_like(targets[:1]))


INPUTS, LABELS, VALUES = torch.rand(4, 2), torch.tensor([0, 1, 2, 1]), torch.rand(4, 1)


def with_value(values: Tensor, sample: int, value: float) -> Tensor:
    values = values.clone()
    values[sample] = value
    return values


@pytest.mark.parametrize(
    ("inputs", "targets", "task", "message"),
    [
        (
            with_value(INPUTS, 2, torch.nan),
            LABELS,
            "classification",
            r"gave the input nan in sample 2 of the train split; .* finite",
        ),
        (
            with_value(INPUTS, 0, torch.inf),
            LABELS,
            "classification",
            r"gave the input inf in sample 0 of the train split",
        ),
        (
            INPUTS,
            with_value(LABELS, 3, 3),
            "classification",
            r"gave the label 3 in sample 3 of the train split; it must be 0 to 2",
        ),
        (INPUTS, with_value(LABELS, 1, -1), "classification", r"gave the label -1 in sample 1 of the train split"),
        (INPUTS, with_value(VALUES, 1, torch.nan), "regression", r"gave the target nan in sample 1 of the train split"),
        (INPUTS[:0], LABELS[:0], "classification", r"gave no samples for the train split"),
    ],
)
def test_sample_with_an_invalid_value_is_named(inputs: Tensor, targets: Tensor, task: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Given(inputs, targets, task).setup()


def test_empty_test_set_is_refused() -> None:
    class WithoutTest(Given):
        def load(self) -> tuple[Samples, Samples]:
            return self.samples, (INPUTS[:0], LABELS[:0])

    with pytest.raises(ValueError, match="gave no samples for the test split"):
        WithoutTest(INPUTS, LABELS, "classification").setup()


def test_ignored_label_is_accepted() -> None:
    Given(INPUTS, with_value(LABELS, 1, -100), "classification").setup()


def test_samples_of_one_class_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    Given(INPUTS, torch.ones_like(LABELS), "classification").setup()
    assert "All training samples of Given have the label 1" in caplog.text


def test_class_names_that_do_not_match_the_labels_are_refused() -> None:
    data = Given(INPUTS, LABELS, "classification")
    data.classes = ["cat", "dog"]
    with pytest.raises(ValueError, match=r"has 2 classes, not num_outputs=3"):
        data.setup()


@pytest.mark.parametrize("targets", [LABELS, VALUES])
def test_constant_loss_is_the_minimum_over_constant_outputs(targets: Tensor) -> None:
    data = Given(INPUTS, targets, "regression" if targets.is_floating_point() else "classification")
    data.setup()
    outputs = torch.zeros(data.num_outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        repeated = outputs.expand(len(targets), -1)
        is_regression = targets.is_floating_point()
        value = F.mse_loss(repeated, targets) if is_regression else F.cross_entropy(repeated, targets)
        value.backward()
        return value

    optimizer.step(loss)
    assert data.constant_loss() == pytest.approx(loss().item(), rel=1e-5)
