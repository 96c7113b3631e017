"""The runs of a comparison and their names."""

import json
from pathlib import Path

import pytest

from comparison import plan
from engine.errors import InputError
from tests.conftest import SMOKE

MLP = "configs/mnist/deep_mlp.yaml"


def names(configs: list[str], *vary: str) -> list[str]:
    return [entry.name for entry in plan.expand(configs, list(vary), [])]


def test_name_contains_only_what_differs() -> None:
    assert names([MLP]) == ["deep_mlp"]
    assert names([MLP, "configs/mnist/resnet.yaml"]) == ["deep_mlp", "resnet"]
    assert names([MLP], "model.num_layers=1,2") == ["num_layers=1", "num_layers=2"]
    assert names([MLP], "model.lr=0.1", "data.lr=1") == ["model.lr=0.1,data.lr=1"]
    assert names([MLP, "configs/depth/mnist_residual.yaml"], "model.lr=0.1,1e-3") == [
        *("deep_mlp,lr=0.1", "deep_mlp,lr=1e-3", "mnist_residual,lr=0.1", "mnist_residual,lr=1e-3"),
    ]


def test_vary_runs_every_combination() -> None:
    entries = plan.expand([MLP], ["model.num_layers=1,2", "model.activation=relu,sigmoid"], ["--model.lr=0.1"])
    assert [entry.name for entry in entries] == [
        *("num_layers=1,activation=relu", "num_layers=1,activation=sigmoid"),
        *("num_layers=2,activation=relu", "num_layers=2,activation=sigmoid"),
    ]
    assert entries[1].argv == [
        *("fit", "-c", MLP, "--model.lr=0.1", "--model.num_layers=1", "--model.activation=sigmoid"),
    ]
    assert entries[1].varied == {"model.num_layers": 1, "model.activation": "sigmoid"}


@pytest.mark.parametrize(
    ("values", "numbers"),
    [("0,0.5,-2", {"0": 0, "0.5": 0.5, "-2": -2}), ("null,3", {"null": "null", "3": "3"}), ("1e-3", {"1e-3": 0.001})],
)
def test_values_are_numbers_if_all_are(values: str, numbers: dict[str, object]) -> None:
    assert plan.parse_vary(f"model.lr={values}") == ("model.lr", numbers)


def test_comma_inside_brackets_belongs_to_the_value() -> None:
    assert list(plan.parse_vary("model.sizes=[1,2], [3]")[1]) == ["[1,2]", "[3]"]


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["seed_everything=1,2"], "type --seeds"),
        (["model.num_layers"], "must be an option with values"),
        (["model.lr=,0.1"], "must be an option with values"),
        (["model.num_layers=1,1"], "contains a value twice"),
        (["model.lr=0.001,1e-3"], "contains a value twice"),
        (["model.num_layers=1", "model.num_layers=2"], "contains an option twice"),
    ],
)
def test_vary_is_refused(vary: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan.expand([MLP], vary, [])


@pytest.mark.parametrize("flag", ["--seed_everything=7", "--seed_everything"])
def test_seed_in_the_flags_is_refused(flag: str) -> None:
    with pytest.raises(InputError, match="type --seeds"):
        plan.expand([MLP], [], [flag])


@pytest.mark.parametrize("names", [("a b.yaml", "a_b.yaml"), ("a.yaml", "other/a.yaml")])
def test_two_configs_with_one_name_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two folders of the comparison would have the name a"):
        plan.expand([str(tmp_path / name) for name in names], [], [])


def test_name_of_another_folder_is_refused() -> None:
    with pytest.raises(InputError, match="would have the name figures"):
        plan.expand(["figures.yaml"], [], [])


def test_relative_paths_of_files_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("trainer:\n  max_epochs: 1\n")
    monkeypatch.chdir(tmp_path)
    assert plan.absolute_paths(["-c", "mine.yaml", "--model.lr=1"]) == ["-c", f"{tmp_path}/mine.yaml", "--model.lr=1"]


def test_plan_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    written = plan.make([MLP], ["model.num_layers=1,2"], ["-c", SMOKE], [0, 1])
    written.jobs, written.is_matched = 2, True
    written.entries[0].about = {"depth": 1}
    written.write(tmp_path)
    assert plan.read(tmp_path) == written


def test_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / plan.FILE).write_text('{"command": {}, "entries": [], "seeds": [0], "files": {}}')
    with pytest.raises(InputError, match="was made by another version"):
        plan.read(tmp_path)


def test_resume_adds_seeds_and_refuses_changed_files(tmp_path: Path) -> None:
    extra = tmp_path / "extra.yaml"
    extra.write_text("trainer:\n  max_epochs: 1\n")
    plan.make([MLP], [], ["-c", str(extra)], [0]).write(tmp_path)
    assert plan.resume(tmp_path, [1, 0], jobs=2).seeds == [0, 1]
    again = plan.resume(tmp_path, [], jobs=None)
    assert (again.seeds, again.jobs) == ([0, 1], 2)
    extra.write_text("trainer:\n  max_epochs: 5\n")
    with pytest.raises(InputError, match=r"extra\.yaml changed since"):
        plan.resume(tmp_path, [], jobs=None)
    extra.unlink()
    with pytest.raises(InputError, match=r"extra\.yaml changed since"):
        plan.resume(tmp_path, [], jobs=None)


def test_run_has_a_row_in_every_state(tmp_path: Path) -> None:
    entry = plan.Entry("a", ["fit"], {"model.lr": 0.1}, {"depth": 1})
    run = plan.Run(entry, 3, tmp_path / "a" / "seed_3")
    known = {"model.lr": 0.1, "depth": 1, "config": "a", "seed": 3}
    assert run.row() == {**known, "status": "unfinished"}
    run.record_failure("ValueError: no")
    assert run.row() == {**known, "status": "failed", "error": "ValueError: no"}
    (run.dir / "result.json").write_text(json.dumps({"test_acc": 0.5}))
    assert run.row() == {**known, "test_acc": 0.5, "status": "finished"}


def test_missing_config_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"no config configs/mnist/deep_mpl\.yaml; type configs/mnist/deep_mlp\.yaml"):
        plan.make(["configs/mnist/deep_mpl.yaml"], [], [], [0])
