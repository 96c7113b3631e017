"""A model is an ordinary LightningModule: everything of Lightning's own Trainer works with it, without our data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, StochasticWeightAveraging
from lightning.pytorch.tuner.tuning import Tuner
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from datamodules import BaseDataModule
from datamodules.loader import Samples
from models import DeepMLP, ShallowMLP
from models.base import Batch
from tests.conftest import stock_trainer

pytestmark = pytest.mark.filterwarnings(
    # PossibleUserWarning: batches of 8 samples in memory are not worth a worker
    "ignore:The '.*_dataloader' does not have many workers",
    # PossibleUserWarning: what needs no validation has none
    "ignore:You defined a .validation_step. but have no",
)

NUM_BATCHES = 6


def samples(seed: int = 0, num_samples: int = 8 * NUM_BATCHES) -> TensorDataset:
    inputs = torch.randn(num_samples, 4, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(inputs, inputs[:, :3].argmax(1))


def loader(seed: int = 0, num_samples: int = 8 * NUM_BATCHES) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(samples(seed, num_samples), batch_size=8)


def model(model_class: type[ShallowMLP] = ShallowMLP, **options: Any) -> ShallowMLP:
    torch.manual_seed(0)
    return model_class([4], 3, hidden_size=8, **{"lr": 0.1, **options})


def measured(trained: ShallowMLP, data: TensorDataset) -> dict[str, float]:
    """Loss and accuracy over all samples, computed at once."""
    inputs, targets = data.tensors
    with torch.no_grad():
        outputs = trained.eval()(inputs)
        accuracy = (outputs.argmax(1) == targets).float().mean()
        return {"loss": float(trained.loss(outputs, targets)), "acc": float(accuracy)}


class NeverMoves(ShallowMLP):
    """Its learning rate is 0, so that the metrics of training are those of the first weights."""

    def lr_factor(self, step: int, total_steps: int) -> float:
        return 0.0


def test_fit_on_a_data_loader_measures_train_and_val() -> None:
    trainer, one = stock_trainer(max_epochs=2), model(NeverMoves)
    trainer.fit(one, loader(), loader(1, 21))  # the last batch has 5 samples
    assert trainer.global_step == 2 * NUM_BATCHES
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    expected = {f"train/{name}": value for name, value in measured(one, samples()).items()}
    expected |= {f"val/{name}": value for name, value in measured(one, samples(1, 21)).items()}
    assert found == pytest.approx(expected, rel=1e-5)


def test_several_validation_loaders_are_measured_one_by_one() -> None:
    trainer, one = stock_trainer(max_epochs=2), model()
    sizes = {1: 16, 2: 21, 3: 5}
    trainer.fit(one, loader(), [loader(seed, size) for seed, size in sizes.items()])
    for number, (seed, size) in enumerate(sizes.items()):
        for name, value in measured(one, samples(seed, size)).items():
            found = trainer.callback_metrics[f"val/{name}/dataloader_idx_{number}"]
            assert float(found) == pytest.approx(value, rel=1e-5), (number, name)


def test_validate_and_test_return_the_metrics() -> None:
    trainer, one = stock_trainer(max_epochs=1), model()
    trainer.fit(one, loader())
    for stage, function in (("val", trainer.validate), ("test", trainer.test)):
        for seed in (1, 2):  # a second call begins anew
            (found,) = function(one, loader(seed, 21), verbose=False)
            expected = measured(one, samples(seed, 21))
            assert found == pytest.approx({f"{stage}/{name}": value for name, value in expected.items()}, rel=1e-5)


def test_sanity_check_does_not_count_in_the_validation() -> None:
    trainer, one = stock_trainer(max_epochs=1, num_sanity_val_steps=2), model()
    trainer.fit(one, loader(), loader(1, 21))
    assert float(trainer.callback_metrics["val/loss"]) == pytest.approx(measured(one, samples(1, 21))["loss"], rel=1e-5)


def test_predict_gives_probabilities() -> None:
    predictions = stock_trainer().predict(model(), loader())
    assert predictions is not None
    probabilities = torch.cat(predictions)  # type: ignore[arg-type]
    assert probabilities.shape == (8 * NUM_BATCHES, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(8 * NUM_BATCHES))


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


def test_collate_fn_makes_the_batches() -> None:
    def in_halves(drawn: list[tuple[Tensor, ...]]) -> Batch:
        inputs, targets = zip(*drawn, strict=True)
        return torch.stack(inputs) / 2, torch.stack(targets)

    trainer, one = stock_trainer(max_epochs=1), model(NeverMoves)
    trainer.fit(one, DataLoader(samples(), batch_size=8, collate_fn=in_halves))
    inputs, targets = samples().tensors
    expected = measured(one, TensorDataset(inputs / 2, targets))
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(expected["loss"], rel=1e-5)


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


def test_learning_rates_of_groups_are_kept() -> None:
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
    # SWA takes the place of a scheduler that changes the learning rate at every step
    "ignore:SWA is currently only supported every epoch"
)
def test_weight_averaging_validates_the_averaged_weights(make: Any) -> None:
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


class OwnHooks(NeverMoves):
    """Overrides hooks without a call of `super()`."""

    def on_fit_start(self) -> None: ...

    def on_train_start(self) -> None: ...

    def on_train_epoch_start(self) -> None: ...

    def on_train_epoch_end(self) -> None: ...

    def on_validation_epoch_start(self) -> None: ...

    def on_validation_epoch_end(self) -> None: ...

    def configure_callbacks(self) -> list[L.Callback]:
        return []


def test_metrics_do_not_need_hooks_of_the_model() -> None:
    trainer, one = stock_trainer(max_epochs=3), model(OwnHooks)
    trainer.fit(one, loader(), loader(1, 21))
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    expected = {f"train/{name}": value for name, value in measured(one, samples()).items()}
    expected |= {f"val/{name}": value for name, value in measured(one, samples(1, 21)).items()}
    assert found == pytest.approx(expected, rel=1e-5)


class EpochMetrics(L.Callback):
    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.found.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def test_each_epoch_has_metrics_of_its_own() -> None:
    kept, one = EpochMetrics(), model()
    stock_trainer(max_epochs=3, callbacks=[kept]).fit(one, loader(), loader(1, 21))
    by_hand, optimizer = model(), None
    optimizer = by_hand.make_optimizer()
    scheduler = by_hand.make_scheduler(optimizer, 3 * NUM_BATCHES)
    for found in kept.found:
        losses = []
        for inputs, targets in loader():
            loss = by_hand.train().loss(by_hand(inputs), targets)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        assert found["train/loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
        assert found["val/loss"] == pytest.approx(measured(by_hand, samples(1, 21))["loss"], rel=1e-5)


def test_checkpoints_every_three_steps_are_named_after_their_step(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=3, save_top_k=-1)
    one = model()
    stock_trainer(max_epochs=2, enable_checkpointing=True, callbacks=[keep]).fit(one, loader())
    assert {path.name for path in tmp_path.iterdir()} == {f"step={step}.ckpt" for step in (3, 6, 9, 12)}
    for step in (3, 6, 9, 12):
        assert torch.load(tmp_path / f"step={step}.ckpt", weights_only=True)["global_step"] == step
    last = ShallowMLP.load_from_checkpoint(tmp_path / "step=12.ckpt", weights_only=True)
    assert all(torch.equal(value, one.get_parameter(name)) for name, value in last.named_parameters())


class Stock(L.LightningDataModule):
    """Has the batch size that `scale_batch_size` changes."""

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
        return samples().tensors, samples(1).tensors  # type: ignore[return-value]


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


def test_training_step_works_in_fabric() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    one = DeepMLP([4], 3, hidden_size=8, num_layers=1, lr=0.1)
    wrapped, optimizer = fabric.setup(one, one.make_optimizer())
    wrapped.mark_forward_method("training_step")
    losses = []
    for _ in range(20):
        for number, batch in enumerate(fabric.setup_dataloaders(loader())):
            loss = wrapped.training_step(batch, number)
            fabric.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_training_step_works_in_a_loop_of_ones_own() -> None:
    one = model()
    batch = samples().tensors
    loss = one.training_step(batch, 0)  # type: ignore[arg-type]
    torch.testing.assert_close(loss, one.loss(one(batch[0]), batch[1]))
