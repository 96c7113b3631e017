"""The fast loop changes nothing but the time: hook calls, weights, checkpoints and curves equal Lightning's own.

Every comparison also asserts how many steps were fast, so that it cannot pass because nothing was.
"""

import copy
import math
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LambdaCallback,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
    Timer,
)
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor, nn

from callbacks import EpochCurves, StepCurves
from datamodules.base import BaseDataModule
from datamodules.loader import Samples
from engine import fast_loop
from engine.fast_loop import HOOKS, FastEpochLoop, use_fast_loop
from models import DeepMLP
from tests.conftest import CONFIGS, build, config_id

STEPS = 8  # per epoch
EPOCHS = 3

pytestmark = pytest.mark.filterwarnings(
    # Lightning's advice on what these tests do on purpose
    "ignore:The '.*' does not have many workers",
    "ignore:SWA is currently only supported every epoch",
    "ignore:`training_step` returned `None`",
    "ignore:Using ModelCheckpoint with manual optimization",
)


class Data(BaseDataModule):
    """64 training samples in 8 batches."""

    num_outputs = 3
    task = "classification"

    def __init__(self, num_draws: int = 0) -> None:
        super().__init__(batch_size=8, val_size=16)
        self.input_shape = [4]
        self.num_draws = num_draws

    def load(self) -> tuple[Samples, Samples]:
        inputs = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
        targets = inputs[:, :3].argmax(1)
        return (inputs[:80], targets[:80]), (inputs[80:], targets[80:])

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        return inputs + draws


class Model(DeepMLP):
    """With batch norm, whose statistics show every forward pass, and dropout, which shows every draw."""

    def __init__(self, **options: Any) -> None:
        super().__init__([4], 3, hidden_size=8, num_layers=1, batch_norm=True, dropout=0.2, lr=0.1, **options)


class LogsEveryStep(Model):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("own/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        if batch_idx % 3 == 0:
            self.log("own/sometimes", loss.detach() * 2)
        return loss


class ReturnsDictOrNone(Model):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        return None if batch_idx == 2 else {"loss": loss, "extra": batch_idx}


class SkipsRestOfEpoch(Model):
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if batch_idx == 5 else None


class StepScheduler(Model):
    """Two schedulers cannot be seen apart by the weights if one is wrong; these act at different times."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        schedulers = [
            {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.9), "interval": "step", "frequency": 3},
            {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), "interval": "epoch"},
        ]
        return [optimizer], schedulers


class OwnBackward(Model):
    def backward(self, loss: Tensor) -> None:
        (2 * loss).backward()


class TakesBatchOnly(Model):
    def training_step(self, batch: Any) -> Tensor:  # type: ignore[override]
        return super().training_step(batch, 1)


class MemoryLogger(Logger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[int | None, dict[str, float]]] = []

    @property
    def name(self) -> str:
        return "memory"

    @property
    def version(self) -> str:
        return "0"

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged.append((step, {name: float(value) for name, value in metrics.items()}))


def summary(value: Any) -> Any:
    """An argument of a hook, as something that can be compared between runs."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple | list):
        return [summary(one) for one in value]
    if isinstance(value, dict):
        return {name: summary(one) for name, one in value.items()}
    return value if isinstance(value, int | float | str | None) else type(value).__name__


def recorded(calls: list[Any], owner: str, name: str, trainer: Any, arguments: Any) -> None:
    loop = trainer.fit_loop.epoch_loop
    state = (trainer.global_step, trainer.current_epoch, loop.batch_idx, loop.total_batch_idx, trainer.is_last_batch)
    counters = copy.deepcopy(loop.batch_progress.state_dict()), loop.automatic_optimization.optim_progress.state_dict()
    calls.append((owner, name, state, copy.deepcopy(counters), loop._batches_that_stepped, summary(arguments)))


def recorder(calls: list[Any], names: tuple[str, ...]) -> L.Callback:
    """A callback that records its hooks."""

    def hook(name: str) -> Callable[..., None]:
        return lambda self, trainer, module, *rest: recorded(calls, "callback", name, trainer, rest)

    return type("Recorder", (L.Callback,), {name: hook(name) for name in names})()


def recording_model(calls: list[Any], name: str) -> type[Model]:
    """A model that overrides one hook, and records it."""

    def hook(self: Model, *rest: Any) -> None:
        recorded(calls, "module", name, self.trainer, rest)

    return type("RecordingModel", (Model,), {name: hook})


OTHER_HOOKS = ("on_train_start", "on_train_epoch_start", "on_train_epoch_end", "on_validation_end", "on_train_end")


class Run:
    """One fit, with the fast loop or without."""

    def __init__(
        self,
        is_fast: bool,
        folder: Path,
        model: Callable[[], L.LightningModule] = Model,
        data: Callable[[], L.LightningDataModule] = Data,
        callbacks: Callable[[], list[L.Callback]] = list,
        hooks: tuple[str, ...] = (*HOOKS, *OTHER_HOOKS),
        calls: list[Any] | None = None,
        ckpt_path: Path | None = None,
        **options: Any,
    ) -> None:
        self.calls = [] if calls is None else calls
        self.folder = folder / ("fast" if is_fast else "plain")
        self.logger = MemoryLogger()
        keep = ModelCheckpoint(self.folder, every_n_train_steps=3, save_top_k=-1)
        defaults = {
            "accelerator": "cpu",
            "max_epochs": EPOCHS,
            "log_every_n_steps": 2,
            "logger": self.logger,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
        L.seed_everything(1)
        own = [recorder(self.calls, hooks)] if hooks else []
        chosen = [*own, *callbacks(), StepCurves(), keep]
        self.trainer = L.Trainer(**{**defaults, **options}, callbacks=chosen)
        if is_fast:
            use_fast_loop(self.trainer)
        self.model = model()
        self.trainer.fit(self.model, datamodule=data(), ckpt_path=ckpt_path)

    @property
    def num_fast_steps(self) -> int:
        loop = self.trainer.fit_loop.epoch_loop
        return loop.num_fast_steps if isinstance(loop, FastEpochLoop) else 0

    def checkpoints(self) -> dict[str, Any]:
        """The content of all files, without the paths in them."""
        contents = {}
        for path in sorted(self.folder.glob("*.ckpt")):
            contents[path.name] = torch.load(path, weights_only=True)
            for state in contents[path.name]["callbacks"].values():
                for name in ("dirpath", "best_model_path", "best_k_models", "kth_best_model_path", "last_model_path"):
                    state.pop(name, None)
            contents[path.name]["callbacks"] = list(contents[path.name]["callbacks"].values())
        return contents


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Compares nested containers, tensors to the bit."""
    if isinstance(one, Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, msg=where)
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), f"{where}: {len(one)} and {len(other)}"
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{number}]")
    else:
        both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
        assert one == other or both_nan, f"{where}: {one!r} and {other!r}"


def assert_equal_runs(fast_steps: int | None, tmp_path: Path, **options: Any) -> Run:
    """Fits twice and compares everything; returns the fast run."""
    fast, plain = (Run(is_fast, tmp_path, **options) for is_fast in (True, False))
    assert fast.num_fast_steps == (fast.trainer.global_step if fast_steps is None else fast_steps)
    assert fast.calls == [] or fast.trainer.global_step > 0
    assert_same(fast.calls, plain.calls, "calls")
    assert_same(fast.logger.logged, plain.logger.logged, "curves")
    assert_same(dict(fast.model.state_dict()), dict(plain.model.state_dict()), "weights")
    assert_same(fast.checkpoints(), plain.checkpoints(), "checkpoints")
    optimizers = [run.trainer.optimizers[0].state_dict() if run.trainer.optimizers else {} for run in (fast, plain)]
    assert_same(optimizers[0], optimizers[1], "optimizer")
    assert_same(dict(fast.trainer.callback_metrics), dict(plain.trainer.callback_metrics), "metrics")
    assert fast.trainer.global_step == plain.trainer.global_step
    return fast


class StopsAt(L.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.should_stop = True


def lambda_callback() -> list[L.Callback]:
    seen: list[int] = []
    return [
        LambdaCallback(
            on_before_optimizer_step=lambda trainer, module, optimizer: seen.append(trainer.global_step),
            on_train_batch_end=lambda trainer, module, *_: module.log("lambda/steps", float(len(seen))),
        )
    ]


ALL = None  # every step is fast
SCENARIOS: dict[str, tuple[int | None, dict[str, Any]]] = {
    "plain": (ALL, {}),
    "no hooks": (ALL, {"hooks": ()}),
    "augmentation": (ALL, {"data": lambda: Data(num_draws=4)}),
    "clipping by norm": (ALL, {"gradient_clip_val": 0.01}),
    "clipping by value": (ALL, {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    "bf16-mixed": (ALL, {"precision": "bf16-mixed"}),
    "bf16-mixed clipped": (ALL, {"precision": "bf16-mixed", "gradient_clip_val": 0.01}),
    "bf16-true": (0, {"precision": "bf16-true"}),
    "64-true": (0, {"precision": "64-true"}),
    "max_steps inside an epoch": (ALL, {"max_steps": 13}),
    "val_check_interval": (ALL, {"val_check_interval": 3}),
    "val_check_interval as a fraction": (ALL, {"val_check_interval": 0.25}),
    "val_check_interval over epochs": (ALL, {"val_check_interval": 5, "check_val_every_n_epoch": None}),
    "check_val_every_n_epoch": (ALL, {"check_val_every_n_epoch": 2}),
    "limits as numbers": (ALL, {"limit_train_batches": 5, "limit_val_batches": 1}),
    "limits as fractions": (ALL, {"limit_train_batches": 0.6, "limit_val_batches": 0.5}),
    "overfit_batches": (ALL, {"overfit_batches": 2}),
    "no validation": (ALL, {"limit_val_batches": 0}),
    "fast_dev_run": (ALL, {"fast_dev_run": 3}),
    "min_epochs": (ALL, {"min_epochs": 3, "callbacks": lambda: [StopsAt(3)]}),
    "early stopping": (
        ALL,
        {"max_epochs": 9, "callbacks": lambda: [EarlyStopping("val/loss", patience=1, min_delta=1.0)]},
    ),
    "stopped by a callback": (ALL, {"callbacks": lambda: [StopsAt(5)]}),
    # the pass over the training samples that refreshes the statistics of batch norm is not
    "SWA": (EPOCHS * STEPS, {"callbacks": lambda: [StochasticWeightAveraging(0.05, swa_epoch_start=1)]}),
    "EMA": (ALL, {"callbacks": lambda: [EMAWeightAveraging(decay=0.5)]}),
    "learning rate monitor": (ALL, {"callbacks": lambda: [LearningRateMonitor()]}),
    "lambda callback": (ALL, {"callbacks": lambda_callback}),
    "curves of epochs": (ALL, {"callbacks": lambda: [EpochCurves()]}),
    "self.log in training_step": (ALL, {"model": LogsEveryStep}),
    "a dict or None from training_step": (ALL, {"model": ReturnsDictOrNone}),
    "training_step without batch_idx": (ALL, {"model": TakesBatchOnly}),
    "the rest of an epoch skipped": (0, {"model": SkipsRestOfEpoch}),
    "two schedulers": (ALL, {"model": StepScheduler}),
    "own backward": (0, {"model": OwnBackward}),
    "accumulation": (0, {"accumulate_grad_batches": 2}),
    "simple profiler": (0, {"profiler": "simple"}),
    "deterministic": (ALL, {"deterministic": True}),
    "detect_anomaly": (ALL, {"detect_anomaly": True}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_runs_are_equal_with_and_without_the_fast_loop(name: str, tmp_path: Path) -> None:
    fast_steps, options = SCENARIOS[name]
    assert_equal_runs(fast_steps, tmp_path, **options)


@pytest.mark.parametrize("name", [*HOOKS, *OTHER_HOOKS])
def test_each_hook_of_a_module_is_called_as_by_lightning(name: str, tmp_path: Path) -> None:
    runs = []
    for is_fast in (True, False):
        calls: list[Any] = []
        runs.append(Run(is_fast, tmp_path, model=recording_model(calls, name), hooks=(name,), calls=calls))
    fast, plain = runs
    assert {owner for owner, *_ in fast.calls} == {"callback", "module"}
    assert_same(fast.calls, plain.calls, name)
    assert fast.num_fast_steps == (0 if name == "on_train_batch_start" else EPOCHS * STEPS)


@pytest.mark.parametrize("step", [3, 6, 9, 15])
@pytest.mark.parametrize("model", [Model, LogsEveryStep])
def test_a_resumed_run_is_equal_with_and_without_the_fast_loop(step: int, model: type[Model], tmp_path: Path) -> None:
    first = Run(True, tmp_path / "first", model=model, max_epochs=2)
    (path,) = first.folder.glob(f"*step={step}.ckpt")
    fast = assert_equal_runs(EPOCHS * STEPS - step - 1, tmp_path, model=model, ckpt_path=path)
    assert fast.trainer.global_step == EPOCHS * STEPS


@pytest.mark.parametrize("is_fast", [True, False])
def test_max_time_ends_the_run_inside_an_epoch(is_fast: bool, tmp_path: Path) -> None:
    class Slow(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            if trainer.global_step == 5:
                time.sleep(1.1)

    # the timer comes after the callback that sleeps
    callbacks: Any = lambda: [Slow(), Timer(timedelta(seconds=1), verbose=False)]  # noqa: E731
    run = Run(
        is_fast,
        tmp_path,
        model=lambda: Model(schedule="constant", warmup_ratio=0.0),
        callbacks=callbacks,
        max_epochs=-1,
    )
    assert run.trainer.should_stop
    assert run.trainer.global_step == 5
    assert run.num_fast_steps == (5 if is_fast else 0)


@pytest.mark.parametrize("path", CONFIGS, ids=config_id)
def test_every_config_trains_to_the_same_bits(path: Path) -> None:
    cli = build(path, "--data.batch_size=8")
    results = []
    for is_fast in (True, False):
        logger = MemoryLogger()
        trainer = L.Trainer(
            accelerator="cpu",
            max_steps=2,
            max_epochs=-1,
            limit_val_batches=0,
            logger=logger,
            log_every_n_steps=1,
            callbacks=[StepCurves(), EpochCurves()],
            gradient_clip_val=cli.trainer.gradient_clip_val,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        if is_fast:
            use_fast_loop(trainer)
        torch.manual_seed(0)
        model = copy.deepcopy(cli.model)
        trainer.fit(model, datamodule=copy.deepcopy(cli.datamodule))
        loop = trainer.fit_loop.epoch_loop
        assert isinstance(loop, FastEpochLoop) == is_fast
        assert not is_fast or getattr(loop, "num_fast_steps", 0) == 2
        results.append([dict(model.state_dict()), trainer.optimizers[0].state_dict(), logger.logged])
    assert_same(results[0], results[1], config_id(path))


class Twice(torch.optim.SGD):
    """An optimizer outside of PyTorch, which may do with its closure what it likes."""

    def step(self, closure: Any = None) -> Any:
        closure()
        return super().step(closure)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.LBFGS(parameters, max_iter=3),
        lambda parameters: Twice(parameters, lr=0.1),
    ],
    ids=["LBFGS", "own optimizer"],
)
def test_optimizers_that_need_a_closure_take_lightnings_way(optimizer: Any, tmp_path: Path) -> None:
    class Chooses(Model):
        def configure_optimizers(self) -> Any:
            return optimizer(self.parameters())

    assert_equal_runs(0, tmp_path, model=Chooses)


def test_optimizers_with_pre_hooks_take_lightnings_way(tmp_path: Path) -> None:
    class Hooked(Model):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            optimizer.register_step_pre_hook(lambda *_: None)
            return optimizer

    assert_equal_runs(0, tmp_path, model=Hooked)


def test_manual_optimization_takes_lightnings_way(tmp_path: Path) -> None:
    class Manual(Model):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            optimizer: Any = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(self.shared_step(batch, "train"))
            optimizer.step()

    assert_equal_runs(0, tmp_path, model=Manual)


def test_a_plain_lightning_module_on_a_plain_loader_is_fast(tmp_path: Path) -> None:
    class Plain(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            loss = nn.functional.cross_entropy(self.layer(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=0.1)

    class Loaders(L.LightningDataModule):
        def train_dataloader(self) -> Any:
            data = Data()
            data.setup()
            dataset = torch.utils.data.TensorDataset(*data.splits["train"])
            return torch.utils.data.DataLoader(dataset, batch_size=8, shuffle=True)

    assert_equal_runs(None, tmp_path, model=Plain, data=Loaders)


def test_it_stays_off_with_an_untested_lightning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fast_loop, "TESTED", {})
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    use_fast_loop(trainer)
    assert not isinstance(trainer.fit_loop.epoch_loop, FastEpochLoop)
    assert [record.getMessage().split(":")[0] for record in caplog.records][-1] == "The fast loop is off"
