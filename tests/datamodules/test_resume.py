"""A run that is resumed at any step, also inside an epoch, equals an unbroken run."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from datamodules import BaseDataModule
from datamodules.loader import Samples
from engine.fast_loop import use_fast_loop
from models import BaseModel, DeepMLP
from tests.conftest import stock_trainer

STEPS = (5, 8, 13, 16)  # inside and at the end of an epoch of 8 steps
both_loops = pytest.mark.parametrize("is_fast", [False, True], ids=["stock", "fast"])


class Points(BaseDataModule):
    """64 training samples in 8 batches, with random augmentation."""

    input_shape = [4]  # noqa: RUF012
    num_outputs = 3
    task = "classification"
    num_draws = 4

    def __init__(self, val_size: int = 0) -> None:
        super().__init__(batch_size=8, val_size=val_size, seed=5)

    def load(self) -> tuple[Samples, Samples]:
        inputs = torch.randn(80 + self.val_size, 4, generator=torch.Generator().manual_seed(0))
        targets = inputs[:, :3].argmax(1)
        return (inputs[:-16], targets[:-16]), (inputs[-16:], targets[-16:])

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        return inputs + draws


class Recorder(L.Callback):
    """Keeps the training batches as the model receives them, and the metrics at the end of each epoch."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []
        self.metrics: list[dict[str, float]] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, *_: Any) -> None:
        self.batches.append(batch[0])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})


class Fitted:
    """A run of a small model on the points, in Lightning's own Trainer, which saves a checkpoint at every step."""

    def __init__(
        self,
        folder: Path,
        max_epochs: int,
        is_fast: bool,
        ckpt_path: Path | None = None,
        val_size: int = 0,
        keep: dict[str, Any] | None = None,
        **hparams: Any,
    ) -> None:
        self.recorder = Recorder()
        saver = ModelCheckpoint(folder, save_top_k=-1, **(keep or {"filename": "{step}", "every_n_train_steps": 1}))
        trainer = stock_trainer(max_epochs=max_epochs, enable_checkpointing=True, callbacks=[self.recorder, saver])
        if is_fast:
            use_fast_loop(trainer)
        torch.manual_seed(0 if ckpt_path is None else 1)
        self.model = DeepMLP([4], 3, hidden_size=8, num_layers=1, batch_norm=True, lr=0.1, **hparams)
        trainer.fit(self.model, datamodule=Points(val_size), ckpt_path=ckpt_path, weights_only=True)


def assert_same_weights(model: BaseModel, other: BaseModel) -> None:
    expected = other.state_dict()
    different = [name for name, value in model.state_dict().items() if not torch.equal(value, expected[name])]
    assert not different


@both_loops
@pytest.mark.parametrize(("schedule", "first_epochs"), [("constant", 2), ("onecycle", 3)])
def test_resume_equals_an_unbroken_run(schedule: str, first_epochs: int, is_fast: bool, tmp_path: Path) -> None:
    options: Any = {"schedule": schedule, "warmup_ratio": 0.0 if schedule == "constant" else 0.3}
    unbroken = Fitted(tmp_path / "unbroken", 3, is_fast, **options)
    first = Fitted(tmp_path / "first", first_epochs, is_fast, **options)
    assert len(first.recorder.batches) == 8 * first_epochs
    for step in STEPS:
        resumed = Fitted(tmp_path / str(step), 3, is_fast, tmp_path / "first" / f"step={step}.ckpt", **options)
        expected = unbroken.recorder.batches[step:]
        assert len(resumed.recorder.batches) == len(expected) == 24 - step
        assert all(torch.equal(*pair) for pair in zip(resumed.recorder.batches, expected, strict=True)), step
        assert_same_weights(resumed.model, unbroken.model)


@both_loops
def test_resume_gives_the_metrics_of_an_unbroken_run(is_fast: bool, tmp_path: Path) -> None:
    unbroken = Fitted(tmp_path / "unbroken", 3, is_fast, val_size=8)
    for step in STEPS:
        resumed = Fitted(tmp_path / str(step), 3, is_fast, tmp_path / "unbroken" / f"step={step}.ckpt", val_size=8)
        epochs = unbroken.recorder.metrics[step // 8 :]
        assert len(resumed.recorder.metrics) == len(epochs)
        for found, expected in zip(resumed.recorder.metrics, epochs, strict=True):
            assert found.keys() == expected.keys() == {"train/loss", "train/acc", "val/loss", "val/acc"}
            assert found == pytest.approx(expected, rel=1e-6), step


@both_loops
def test_resume_from_the_end_of_an_epoch_equals_an_unbroken_run(is_fast: bool, tmp_path: Path) -> None:
    """Such a checkpoint is saved after the end of the epoch, not after its last batch."""
    options: Any = {"val_size": 8, "keep": {"filename": "{epoch}", "save_on_train_epoch_end": True}}
    unbroken = Fitted(tmp_path / "unbroken", 3, is_fast, **options)
    for epoch in (0, 1):
        checkpoint = tmp_path / "unbroken" / f"epoch={epoch}.ckpt"
        resumed = Fitted(tmp_path / str(epoch), 3, is_fast, checkpoint, **options)
        assert resumed.recorder.metrics == unbroken.recorder.metrics[epoch + 1 :]
        assert_same_weights(resumed.model, unbroken.model)
