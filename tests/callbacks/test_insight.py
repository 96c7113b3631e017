"""What all callbacks that look inside keep: training does not notice, and what does not apply says so."""

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
from tests.conftest import ONE_OF_EACH, SMOKE, Fit, config_id

INSIGHT = str(PROJECT / "configs" / "extras" / "insight.yaml")
ALL = [name for name in callbacks.__all__ if issubclass(getattr(callbacks, name), Insight)]


def events(folder: Path) -> EventAccumulator:
    (run,) = {file.parent for file in folder.rglob("events.out.*")}
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()


def epochs_of(folder: Path, tag: str) -> list[int]:
    return [image.step for image in events(folder).Images(tag)]


def numbers(folder: Path, callback: str) -> dict[str, np.ndarray]:
    (path,) = folder.rglob(f"{callback}.npz")
    return dict(np.load(path))


def hooks_of(module: nn.Module) -> list[Any]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [hook for one in module.modules() for kind in kinds for hook in getattr(one, kind).values()]


def generators() -> list[Any]:
    return [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=config_id)
def test_training_does_not_notice(path: Path, fit: Fit) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=2", "--data.batch_size=24"]
    flags.append("--test_checkpoint=none")

    def ended(*more: str) -> tuple[CLI, list[Any]]:
        cli = fit(path, *flags, *more)
        return cli, generators()

    without, before = ended()
    looked_at, after = ended("-c", INSIGHT)
    assert before == after, "something was drawn from the generators of training"
    expected = without.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in looked_at.model.state_dict().items())
    assert looked_at.result["val_loss"] == without.result["val_loss"]
    assert not hooks_of(looked_at.model)
    modes = [[module.training for module in cli.model.modules()] for cli in (without, looked_at)]
    assert modes[0] == modes[1]


def test_the_extra_switches_all_on() -> None:
    listed = yaml.safe_load(Path(INSIGHT).read_text())["trainer"]["callbacks+"]
    assert sorted(item["class_path"] for item in listed) == sorted(ALL)


@pytest.mark.parametrize(
    ("config", "off"),
    [
        ("mnist/linear.yaml", {"DecisionBoundary": "it draws inputs of 2 numbers, not input_shape=[1, 28, 28]"}),
        (
            "plane/bumps.yaml",
            {
                "Filters": "inputs of 2 numbers are no picture; DecisionBoundary draws them",
                "Features": "inputs of 2 numbers are no picture; DecisionBoundary draws them",
                "Mistakes": "regression has no classes",
            },
        ),
    ],
)
def test_what_does_not_apply_is_off_with_a_line(
    config: str, off: dict[str, str], fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(config, "-c", SMOKE, "-c", INSIGHT, "--test_checkpoint=none")
    said = [line for line in capsys.readouterr().out.splitlines() if " is off: " in line]
    assert sorted(said) == sorted(f"{name} is off: {reason}." for name, reason in off.items())


def test_without_tensorboard_all_are_off(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"--checkpoint.dirpath={tmp_path / 'run'}"
    fit("plane/bumps.yaml", "-c", SMOKE, "-c", INSIGHT, "--trainer.logger=false", place, "--test_checkpoint=none")
    said = [line for line in capsys.readouterr().out.splitlines() if " is off: " in line]
    assert len(said) == len(ALL)
    assert "GradientFlow is off: there is no TensorBoard logger to draw for." in said


@pytest.mark.parametrize(
    ("interval", "expected"), [([], [0, 2, 4, 6, 7]), (["--trainer.callbacks.every_n_epochs=3"], [0, 3, 6, 7])]
)
def test_it_looks_before_training_at_intervals_and_at_the_end(
    interval: list[str], expected: list[int], fit: Fit, tmp_path: Path
) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=7", "--test_checkpoint=none"]
    fit("plane/bumps.yaml", *flags, "--trainer.callbacks+=FeatureMaps", *interval)
    assert epochs_of(tmp_path, "feature_maps/layers") == expected


def test_it_looks_at_the_end_of_a_run_that_ends_early(fit: Fit, tmp_path: Path) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=7", "--trainer.max_steps=25", "--test_checkpoint=none"]
    fit("plane/bumps.yaml", *flags, "--trainer.callbacks+=LossSurface")
    assert epochs_of(tmp_path, "loss_surface/around_the_end") == [2]


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("Listed", ["blocks.0", "blocks.1", "head"]),
        ("Rounding", ["blocks.0", "blocks.1", "head"]),
        ("Attending", ["embed", "attention", "last"]),
        ("Scaled", []),
    ],
)
def test_a_model_of_any_form_can_be_looked_at(model: str, parts: list[str], fit: Fit, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    data = "data:\n  class_path: Plane\n  init_args:\n    shape: bumps\n"
    path.write_text(f"model:\n  class_path: tests.odd.{model}\n{data}")
    cli = fit(path, "-c", SMOKE, "-c", INSIGHT, "--test_checkpoint=none")
    assert not hooks_of(cli.model)
    assert list(numbers(tmp_path, "ActivationStats")["parts"]) == parts


def test_a_run_that_diverges_keeps_its_pictures(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="the run has diverged"):
        fit("plane/bumps.yaml", "-c", SMOKE, "-c", INSIGHT, "--model.lr=1e30", "--test_checkpoint=none")
    assert epochs_of(tmp_path, "activations/by_depth") == [0]
    assert epochs_of(tmp_path, "decision_boundary/plane") == [0]


def test_what_is_named_twice_looks_once(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["-c", SMOKE, "--trainer.callbacks+=Filters", "--trainer.callbacks+=Filters", "--test_checkpoint=none"]
    fit("mnist/linear.yaml", *flags)
    assert epochs_of(tmp_path, "filters/head") == [0, 1]
    assert capsys.readouterr().out.count("Filters is off: it was named twice.") == 1


def test_seconds_leave_out_what_looking_took(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: Insight, *_: object) -> None:
        self.seconds += 1000  # as if it had taken so long

    monkeypatch.setattr(callbacks.LossSurface, "look", look)
    flags = ["--trainer.callbacks+=LossSurface", "--trainer.callbacks.every_n_epochs=1", "--test_checkpoint=none"]
    cli = fit("plane/bumps.yaml", "-c", SMOKE, *flags)
    assert cli.result["seconds"] < 0


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="Filters: every_n_epochs=0 is too small; type 1 or more"):
        callbacks.Filters(every_n_epochs=0)


def test_a_misspelt_option_of_a_callback_is_answered_with_the_nearest(fit: Fit) -> None:
    flags = ["-c", SMOKE, "--trainer.callbacks+=Filters", "--trainer.callbacks.every_n_epoch=2"]
    with pytest.raises(ValueError, match=r"is not an option of Filters; type --trainer\.callbacks\.every_n_epochs"):
        fit("mnist/linear.yaml", *flags)
