import math
from pathlib import Path
from typing import Any

import pytest
import torch

import engine.cli
from engine.cli import InputError
from engine.paths import PROJECT
from playground.network import Network
from playground.session import Session
from playground.settings import Settings
from playground.take_away import from_config, take_away
from tests.test_train import curves

OWN_POINTS = [[math.cos(i), 0.1 * i, float(i % 3)] for i in range(40)]
STATES: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"layers": [], "features": ["x", "y", "x2", "y2", "xy", "sin_x", "sin_y"]},
    "widths_that_differ": {"layers": [5, 3, 2], "shape": "spiral", "activation": "relu", "optimizer": "adamw"},
    "residual_with_dropout": {"kind": "residual", "layers": [6, 6, 6], "dropout": 0.2, "optimizer": "momentum"},
    "heights": {"shape": "bumps", "regularization": "l2", "regularization_rate": 0.01, "optimizer": "momentum"},
    "three_classes": {"shape": "spiral", "num_classes": 3, "noise": 0.1, "train_share": 0.7, "points_seed": 4},
    "own_points": {"shape": "points", "points": OWN_POINTS, "batch_size": 4},
}


@pytest.mark.parametrize("name", STATES)
def test_config_of_the_page_trains_to_the_same_losses_and_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = Session(Settings(**{"num_samples": 120, "seed": 3, "layers": [4], **STATES[name]}))
    for _ in range(3):
        session.handle({"type": "step", "unit": "epoch"})
    network = session.networks[0]
    (taken,) = session.handle({"type": "config", "network": 0})
    Path(taken["name"]).write_text(taken["yaml"])
    if taken["csv"]:
        Path("points.csv").write_text(taken["csv"])
    cli = engine.cli.main(taken["command"].split()[2:])
    found = curves(Path("runs"))
    assert [value for _, value in found["train/loss"]] == [row[0][0] for row in network.history[1:]]
    assert cli.result["test_loss"] == pytest.approx(network.history[-1][1][0], rel=1e-5)
    for mine, theirs in zip(network.model.parameters(), cli.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", [name for name in STATES if name != "linear"])
def test_config_of_the_page_opens_as_the_state_that_it_came_from(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(**{**STATES[name], "stop_epoch": 7})
    Path("points.csv").write_text(settings.points_csv())
    taken = take_away(Network(settings, settings.kind, settings.layers, settings.make_data()), changes=[])
    Path("taken.yaml").write_text(str(taken["yaml"]))
    assert from_config("taken.yaml") == settings


def test_missing_config_is_named() -> None:
    with pytest.raises(InputError, match=r"there is no config mine\.yaml; try configs/plane/spiral_deep\.yaml"):
        from_config("mine.yaml")


def test_config_of_the_documentation_opens() -> None:
    settings = from_config(str(PROJECT / "configs" / "plane" / "spiral_deep.yaml"))
    assert (settings.layers, settings.stop_epoch) == ([8, 8, 8], 60)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model: {class_path: ShallowMLP}\ndata: {class_path: Plane}", "trains ShallowMLP"),
        ("model: {class_path: DeepMLP}", "use schedule=constant"),
        ("trainer: {gradient_clip_val: 1.0}", "gradient_clip_val"),
        ("trainer: {accelerator: auto}", "use accelerator=cpu"),
        ("data: {class_path: Plane, init_args: {val_size: 50}}", "use val_size=0"),
        ("data: {class_path: Plane, init_args: {val_size: 0, num_samples: 5000}}", "num_samples=5000"),
    ],
)
def test_config_that_the_page_cannot_show_is_refused(line: str, message: str, tmp_path: Path) -> None:
    options = "{schedule: constant, warmup_ratio: 0, weight_decay: 0}"
    parts = {
        "model": f"{{class_path: DeepMLP, init_args: {options}}}",
        "data": "{class_path: Plane, init_args: {val_size: 0}}",
        "trainer": "{max_epochs: 3}",
    }
    parts |= dict(part.split(": ", 1) for part in line.split("\n"))
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(f"{name}: {value}" for name, value in parts.items()))
    with pytest.raises(InputError, match=message):
        from_config(str(file))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": "0.1"}, "lr='0.1' must be a number from 1e-05 to 10"),
        ({"lr": math.nan}, "lr=nan must be"),
        ({"lr": True}, "lr=True must be"),
        ({"batch_size": 0.5}, "batch_size=0.5 must be a whole number from 1 to 256"),
        ({"layers": 51 * [2]}, "at most 50"),
        ({"layers": [17]}, "1 to 16 neurons"),
        ({"second_layers": ["8"]}, "'8'"),
        ({"num_samples": 5000}, "num_samples=5000 must be a whole number from 10 to 2000"),
        ({"features": []}, "must be some of x, y"),
        ({"features": ["y", "x"]}, "in this order"),
        ({"shape": "moon"}, "must be one of circle"),
        ({"kind": "residual"}, "equal size"),
        ({"regularization": "l1"}, "rule='original'"),
        ({"rule": "original", "optimizer": "adamw"}, "rule='package'"),
        ({"rule": "original", "num_samples": 20, "batch_size": 11}, "use batch_size=10 or less"),
        ({"shape": "points"}, "draw points"),
        ({"points": [[0, 0, 1]] * 4}, "shape='points'"),
        ({"shape": "points", "points": [[0, 0]] * 4}, "row 1, column class"),
        ({"shape": "points", "points": [[0, 0, 1]] * 2001}, "4 to 2000"),
        ({"shape": "points", "points": [[0, 0, 0]] * 4}, "points: every class is 0"),
        ({"rule": "original", "shape": "gauss", "num_classes": 3}, "3 classes belong to the rule package"),
    ],
)
def test_value_outside_its_limits_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Session(Settings(**values))


def test_original_has_no_config() -> None:
    session = Session(Settings(rule="original"))
    with pytest.raises(ValueError, match="use rule='package'"):
        session.handle({"type": "config", "network": 0})
