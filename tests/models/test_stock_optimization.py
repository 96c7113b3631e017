"""Optimizers, schedules, weight averaging and tuners of a stock Trainer work with the models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from lightning.pytorch.tuner.tuning import Tuner
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules import BaseDataModule
from datamodules.loader import Samples
from models import ShallowMLP
from tests.conftest import stock_trainer
from tests.models.test_stock_trainer import NUM_BATCHES, ignore_expected_warnings, loader, measured, model, samples

pytestmark = ignore_expected_warnings


class Stream(IterableDataset[tuple[Tensor, ...]]):
    """Samples without a known number."""

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        while True:
            yield from zip(*samples().tensors, strict=True)


def test_iterable_dataset_trains_for_max_steps() -> None:
    trainer, one = stock_trainer(max_steps=7), model()
    trainer.fit(one, DataLoader(Stream(), batch_size=8))
    assert trainer.global_step == 7
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 25e4), "the schedule ends with the run"


def test_endless_run_needs_a_constant_schedule() -> None:
    trainer = stock_trainer(max_epochs=-1, limit_train_batches=2)
    with pytest.raises(ValueError, match=r"schedule=onecycle with warmup_ratio=0\.3 needs to know when the run ends"):
        trainer.fit(model(), DataLoader(Stream(), batch_size=8))


class StopsAfterThreeSteps(L.Callback):
    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step == 3


def test_endless_run_trains_with_a_constant_schedule() -> None:
    trainer = stock_trainer(max_epochs=-1, callbacks=[StopsAfterThreeSteps()])
    trainer.fit(model(schedule="constant", warmup_ratio=0.0), DataLoader(Stream(), batch_size=8))
    assert trainer.global_step == 3
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0.1


class WithStepLR(ShallowMLP):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.4)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


def test_own_optimizer_and_scheduler_are_used() -> None:
    trainer = stock_trainer(max_epochs=3)
    trainer.fit(model(WithStepLR), loader())
    (optimizer,) = trainer.optimizers
    assert type(optimizer) is torch.optim.SGD
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4 * 0.5**3)


class FrozenHead(ShallowMLP):
    def make_optimizer(self) -> torch.optim.Optimizer:
        head = {"params": list(self.head.parameters()), "lr": 0.0}
        rest = {"params": [p for name, p in self.named_parameters() if not name.startswith("head")], "lr": 0.2}
        return torch.optim.SGD([head, rest])


def test_parameter_groups_keep_their_learning_rates() -> None:
    one = model(FrozenHead, schedule="constant", warmup_ratio=0.0)
    before = {name: value.clone() for name, value in one.named_parameters()}
    trainer = stock_trainer(max_epochs=2)
    trainer.fit(one, loader())
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [0.0, 0.2]
    for name, value in one.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("head"), name


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradient_clip_val_limits_the_update(algorithm: str) -> None:
    plain: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    one = model(lr=1.0, schedule="constant", warmup_ratio=0.0, **plain)
    before = {name: value.clone() for name, value in one.named_parameters()}
    trainer = stock_trainer(max_steps=1, gradient_clip_val=0.01, gradient_clip_algorithm=algorithm)
    trainer.fit(one, loader())
    moves = torch.cat([(value.detach() - before[name]).flatten() for name, value in one.named_parameters()])
    largest = moves.norm() if algorithm == "norm" else moves.abs().max()
    assert largest.item() == pytest.approx(0.01, rel=1e-4)


def test_accumulate_grad_batches_counts_optimizer_steps() -> None:
    options: dict[str, Any] = {"optimizer": "sgd"}
    small, large = model(**options), model(**options)
    trainer = stock_trainer(max_epochs=2, accumulate_grad_batches=2)
    trainer.fit(small, loader())
    stock_trainer(max_epochs=2).fit(large, DataLoader(samples(), batch_size=16))
    assert trainer.global_step == NUM_BATCHES
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 25e4), "the schedule ends with the run"
    for name, value in large.named_parameters():
        torch.testing.assert_close(small.get_parameter(name), value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EMAWeightAveraging(decay=0.5, update_starting_at_step=1),
        lambda: StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1),
    ],
    ids=["ema", "swa"],
)
@pytest.mark.filterwarnings(
    # SWA replaces a scheduler that is called at every step
    "ignore:SWA is currently only supported every epoch"
)
def test_validation_uses_the_averaged_weights(make: Any) -> None:
    averaged, usual = model(), model()
    trainer = stock_trainer(max_epochs=3, callbacks=[make()])
    trainer.fit(averaged, loader(), loader(1, 21))
    stock_trainer(max_epochs=3).fit(usual, loader(), loader(1, 21))
    assert trainer.global_step == 3 * NUM_BATCHES
    assert not torch.equal(averaged.head.weight, usual.head.weight)
    for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert trainer.callback_metrics[name].isfinite(), name
    if isinstance(trainer.callbacks[0], EMAWeightAveraging):  # type: ignore[attr-defined]
        expected = measured(averaged, samples(1, 21))
        assert float(trainer.callback_metrics["val/loss"]) == pytest.approx(expected["loss"], rel=1e-5)


class Stock(L.LightningDataModule):
    """A stock data module with the attribute that `scale_batch_size` changes."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size = 2

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(samples(), batch_size=self.batch_size)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return loader(1)


class Ours(BaseDataModule):
    input_shape = [4]  # noqa: RUF012
    num_outputs = 3
    task = "classification"

    def __init__(self) -> None:
        super().__init__(batch_size=2, val_size=8)

    def load(self) -> tuple[Samples, Samples]:
        return samples().tensors, samples(1).tensors


def test_lr_find_suggests_a_learning_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = model()
    before = {name: value.clone() for name, value in one.named_parameters()}
    trainer = stock_trainer(max_epochs=10, default_root_dir=tmp_path, enable_checkpointing=True)
    found = Tuner(trainer).lr_find(one, loader(), num_training=20)
    assert found is not None
    assert one.hparams["lr"] == found.suggestion()
    assert len(found.results["lr"]) == len(set(found.results["lr"])), "the learning rate rises"
    assert all(torch.equal(value, before[name]) for name, value in one.named_parameters())


@pytest.mark.parametrize("data_class", [Stock, Ours])
def test_scale_batch_size_finds_a_batch_size(data_class: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = stock_trainer(max_epochs=2, default_root_dir=tmp_path, enable_checkpointing=True)
    data = data_class()
    found = Tuner(trainer).scale_batch_size(model(), datamodule=data, max_trials=2, steps_per_trial=1)
    assert found == data.batch_size == 4
