"""Figures of the inside of several networks."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import compare
from comparison.figures import draw_inside
from tests.conftest import SMOKE

CONFIGS = ["configs/depth/spiral_relu.yaml", "configs/depth/spiral_residual.yaml"]


def test_insight_draws_all_networks_into_one_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--", "-c", SMOKE, "--trainer.limit_train_batches=10", "--model.hidden_size=8"]
    assert compare.main([*CONFIGS, "--insight", "--name", "two", "--runs_dir", str(tmp_path), *flags]) == 0
    names = {"gradient_by_depth", "activations_by_depth", "loss_surfaces", "decision_boundaries"}
    assert names <= {path.stem for path in (tmp_path / "two" / "figures").glob("*.png")}
    events = EventAccumulator(str(tmp_path / "two" / "comparison"), size_guidance={"images": 0}).Reload()
    assert {f"inside/{name}" for name in names} <= set(events.Tags()["images"])
    address = capsys.readouterr().out.splitlines()[-1]
    pinned = json.loads(parse_qs(urlparse(address).query)["pinnedCards"][0])
    assert {card["tag"] for card in pinned} >= {"gradient_flow/log10_first_over_last", "inside/gradient_by_depth"}


def test_without_insight_there_is_no_figure(tmp_path: Path) -> None:
    assert draw_inside({"relu": [tmp_path / "relu" / "seed_0"], "tanh": [tmp_path / "tanh" / "seed_0"]}) == {}


def test_figure_shows_the_first_seed_that_finished(tmp_path: Path) -> None:
    runs = {
        "relu": [tmp_path / "relu" / "seed_1", tmp_path / "relu" / "seed_2"],
        "tanh": [tmp_path / "tanh" / "seed_1"],
    }
    for run in [*runs["relu"], *runs["tanh"]]:
        (run / "insight").mkdir(parents=True)
        np.savez(run / "insight" / "GradientFlow.npz", norms=np.full(3, 10.0 ** -int(run.name[-1])))
    (figure,) = draw_inside(runs).values()
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["relu", "tanh"]
    assert [np.asarray(line.get_ydata())[0] for line in lines] == [0.1, 0.1]
