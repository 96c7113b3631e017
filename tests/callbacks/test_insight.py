"""The inspection callbacks do not change training, and say when they are off."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import callbacks
from callbacks.insight import Insight
from engine.cli import CLI, RunFailed
from engine.paths import PROJECT
from tests.conftest import CONFIGS, ONE_OF_EACH, SMOKE, Fit, config_id

INSIGHT = str(PROJECT / "configs" / "extras" / "insight.yaml")
BUMPS = "data:\n  class_path: Plane\n  init_args:\n    shape: bumps\n"
ALL = [name for name in callbacks.__all__ if issubclass(getattr(callbacks, name), Insight)]
LISTED = [item["class_path"] for item in yaml.safe_load(Path(INSIGHT).read_text())["trainer"]["callbacks+"]]


@pytest.fixture(autouse=True)
def _fewer_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps every figure and every kind of work, with less arithmetic."""
    for name, number in (
        ("loss_surface.NUM_POINTS", 3),
        ("decision_boundary.NUM_POINTS", 10),
        ("features.NUM_STEPS", 2),
        ("features.MOST_SAMPLES", 100),
    ):
        monkeypatch.setattr(f"callbacks.{name}", number)


def events(folder: Path) -> EventAccumulator:
    (run,) = {file.parent for file in folder.rglob("events.out.*")}
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()


def epochs_of(folder: Path, tag: str) -> list[int]:
    return [image.step for image in events(folder).Images(tag)]


def arrays(folder: Path, callback: str) -> dict[str, np.ndarray]:
    (path,) = folder.rglob(f"{callback}.npz")
    return dict(np.load(path))


def hooks_of(module: nn.Module) -> list[Any]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [hook for one in module.modules() for kind in kinds for hook in getattr(one, kind).values()]


def generators() -> list[Any]:
    return [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=config_id)
def test_training_has_the_same_bits_with_inspection(path: Path, fit: Fit) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=1", "--data.batch_size=24", "--test_checkpoint=none"]

    def train_with(*more: str) -> tuple[CLI, list[Any]]:
        cli = fit(path, *flags, *more)
        return cli, generators()

    plain, plain_generators = train_with()
    inspected, inspected_generators = train_with("-c", INSIGHT)
    assert inspected_generators == plain_generators, "the random numbers of training were used"
    expected = plain.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in inspected.model.state_dict().items())
    assert inspected.result["val_loss"] == plain.result["val_loss"]
    assert not hooks_of(inspected.model)
    modes = [[module.training for module in cli.model.modules()] for cli in (plain, inspected)]
    assert modes[0] == modes[1]


def test_every_inspection_callback_is_in_a_config() -> None:
    trainers = [yaml.safe_load(path.read_text())["trainer"] for path in CONFIGS]
    own = {item["class_path"] for trainer in trainers for item in trainer.get("callbacks", [])}
    assert {*LISTED, *own} == {*ALL}
    assert len(LISTED) == len({*LISTED})


@pytest.mark.parametrize(
    ("config", "off"),
    [
        (
            "mnist/linear.yaml",
            {
                "AttentionMaps": "Linear has no nn.MultiheadAttention",
                "DecisionBoundary": "the samples are not points of a plane",
                "Forecasts": "the data is not a time series",
                "Gates": "Linear has no nn.LSTM or nn.GRU",
            },
        ),
        (
            "plane/bumps.yaml",
            {
                "AttentionMaps": "DeepMLP has no nn.MultiheadAttention",
                "Features": "samples of shape [2] are not small pictures",
                "Forecasts": "the data is not a time series",
                "Gates": "DeepMLP has no nn.LSTM or nn.GRU",
                "Mistakes": "regression has no classes",
            },
        ),
    ],
)
def test_callbacks_that_cannot_be_used_print_the_reason(
    config: str, off: dict[str, str], fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(config, "-c", SMOKE, "-c", INSIGHT, "--test_checkpoint=none")
    printed = [line for line in capsys.readouterr().out.splitlines() if " is off: " in line]
    assert sorted(printed) == sorted(f"{name} is off: {reason}." for name, reason in off.items())


def test_inspection_is_off_without_tensorboard(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = f"--checkpoint.dirpath={tmp_path / 'run'}"
    fit("plane/bumps.yaml", "-c", SMOKE, "-c", INSIGHT, "--trainer.logger=false", folder, "--test_checkpoint=none")
    printed = [line for line in capsys.readouterr().out.splitlines() if " is off: " in line]
    assert len(printed) == len(LISTED)
    assert "GradientFlow is off: there is no TensorBoard logger." in printed


@pytest.mark.parametrize(
    ("interval", "expected"), [([], [0, 2, 4, 6, 7]), (["--trainer.callbacks.every_n_epochs=3"], [0, 3, 6, 7])]
)
def test_inspection_before_training_at_intervals_and_at_the_end(
    interval: list[str], expected: list[int], fit: Fit, tmp_path: Path
) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=7", "--test_checkpoint=none"]
    fit("plane/bumps.yaml", *flags, "--trainer.callbacks+=FeatureMaps", *interval)
    assert epochs_of(tmp_path, "feature_maps/layers") == expected


def test_inspection_at_the_end_of_a_run_that_ends_early(fit: Fit, tmp_path: Path) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=7", "--trainer.max_steps=25", "--test_checkpoint=none"]
    fit("plane/bumps.yaml", *flags, "--trainer.callbacks+=LossSurface")
    assert epochs_of(tmp_path, "loss_surface/around_the_end") == [2]


@pytest.mark.parametrize(
    ("model", "stages"),
    [
        ("Listed", ["blocks.0", "blocks.1", "head"]),
        ("Rounding", ["blocks.0", "blocks.1", "head"]),
        ("Attending", ["embed", "attention", "last"]),
    ],
)
def test_models_of_unusual_form_are_inspected(model: str, stages: list[str], fit: Fit, tmp_path: Path) -> None:
    path = tmp_path / "unusual.yaml"
    path.write_text(f"model:\n  class_path: tests.odd.{model}\n{BUMPS}")
    cli = fit(path, "-c", SMOKE, "-c", INSIGHT, "--test_checkpoint=none")
    assert not hooks_of(cli.model)
    assert list(arrays(tmp_path, "ActivationStats")["parts"]) == stages


def test_a_diverged_run_keeps_its_pictures(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="the run has diverged"):
        fit("plane/bumps.yaml", "-c", SMOKE, "-c", INSIGHT, "--model.lr=1e30", "--test_checkpoint=none")
    assert epochs_of(tmp_path, "activations/by_depth") == [0]
    assert epochs_of(tmp_path, "decision_boundary/plane") == [0]


def test_seconds_of_a_run_leave_out_inspection(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(self: Insight, *_: object) -> None:
        self.seconds += 1000  # as if this took so long

    monkeypatch.setattr(callbacks.LossSurface, "inspect", inspect)
    flags = ["--trainer.callbacks+=LossSurface", "--trainer.callbacks.every_n_epochs=1", "--test_checkpoint=none"]
    cli = fit("plane/bumps.yaml", "-c", SMOKE, *flags)
    assert cli.result["seconds"] < 0


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="Filters: every_n_epochs=0 must be at least 1"):
        callbacks.Filters(every_n_epochs=0)


def test_unknown_option_of_a_callback_is_refused_with_the_closest_one(fit: Fit) -> None:
    flags = ["-c", SMOKE, "--trainer.callbacks+=Filters", "--trainer.callbacks.every_n_epoch=2"]
    with pytest.raises(ValueError, match=r"is not an option of Filters; type --trainer\.callbacks\.every_n_epochs"):
        fit("mnist/linear.yaml", *flags)
