"""A model is an ordinary LightningModule. It works with a stock Trainer, its callbacks and any DataLoader."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from models import DeepMLP, ShallowMLP
from models.base import Batch
from tests.conftest import stock_trainer

ignore_expected_warnings = pytest.mark.filterwarnings(
    # PossibleUserWarning: these loaders need no worker processes
    "ignore:The '.*_dataloader' does not have many workers",
    # PossibleUserWarning: some of these runs have no validation data
    "ignore:You defined a .validation_step. but have no",
)
pytestmark = ignore_expected_warnings

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
    """The learning rate is 0, so that the training metrics are those of the initial weights."""

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


def test_several_validation_loaders_have_separate_metrics() -> None:
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
        for seed in (1, 2):  # a second call starts with new metrics
            (found,) = function(one, loader(seed, 21), verbose=False)
            expected = measured(one, samples(seed, 21))
            assert found == pytest.approx({f"{stage}/{name}": value for name, value in expected.items()}, rel=1e-5)


def test_validation_metrics_do_not_contain_the_sanity_check() -> None:
    trainer, one = stock_trainer(max_epochs=1, num_sanity_val_steps=2), model()
    trainer.fit(one, loader(), loader(1, 21))
    assert float(trainer.callback_metrics["val/loss"]) == pytest.approx(measured(one, samples(1, 21))["loss"], rel=1e-5)


def test_predict_gives_probabilities() -> None:
    predictions = stock_trainer().predict(model(), loader())
    assert predictions is not None
    probabilities = torch.cat(predictions)  # type: ignore[arg-type]
    assert probabilities.shape == (8 * NUM_BATCHES, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(8 * NUM_BATCHES))


def test_collate_fn_is_used() -> None:
    def in_halves(drawn: list[tuple[Tensor, ...]]) -> Batch:
        inputs, targets = zip(*drawn, strict=True)
        return torch.stack(inputs) / 2, torch.stack(targets)

    trainer, one = stock_trainer(max_epochs=1), model(NeverMoves)
    trainer.fit(one, DataLoader(samples(), batch_size=8, collate_fn=in_halves))
    inputs, targets = samples().tensors
    expected = measured(one, TensorDataset(inputs / 2, targets))
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(expected["loss"], rel=1e-5)


class OwnHooks(NeverMoves):
    """Overrides hooks without calling `super()`."""

    def on_fit_start(self) -> None: ...

    def on_train_start(self) -> None: ...

    def on_train_epoch_start(self) -> None: ...

    def on_train_epoch_end(self) -> None: ...

    def on_validation_epoch_start(self) -> None: ...

    def on_validation_epoch_end(self) -> None: ...

    def configure_callbacks(self) -> list[L.Callback]:
        return []


def test_metrics_work_without_the_hooks_of_the_model() -> None:
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


def test_metrics_are_reset_after_each_epoch() -> None:
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


def test_training_step_works_in_a_plain_loop() -> None:
    one = model()
    batch = samples().tensors
    loss = one.training_step(batch, 0)
    torch.testing.assert_close(loss, one.loss(one(batch[0]), batch[1]))
