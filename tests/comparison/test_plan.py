"""What is run, and under which name."""

from pathlib import Path

import pytest

from comparison import plan
from comparison.beginning import settle_sources
from comparison.plan import Entry
from engine.paths import PROJECT
from tests.conftest import SMOKE

MLP = "configs/mnist/deep_mlp.yaml"


def names(configs: list[str], *vary: str) -> list[str]:
    return [entry.name for entry in plan.expanded(configs, list(vary), [])]


def test_a_name_says_only_what_differs() -> None:
    assert names([MLP]) == ["deep_mlp"]
    assert names([MLP, "configs/mnist/resnet.yaml"]) == ["deep_mlp", "resnet"]
    assert names([MLP], "model.num_layers=1,2") == ["num_layers=1", "num_layers=2"]
    assert names([MLP, "configs/depth/mnist_residual.yaml"], "model.lr=0.1,1e-3") == [
        *("deep_mlp,lr=0.1", "deep_mlp,lr=1e-3", "mnist_residual,lr=0.1", "mnist_residual,lr=1e-3"),
    ]


def test_a_grid_has_every_combination_and_says_so_to_train_py() -> None:
    entries = plan.expanded([MLP], ["model.num_layers=1,2", "model.activation=relu,sigmoid"], ["--model.lr=0.1"])
    assert [entry.name for entry in entries] == [
        *("num_layers=1,activation=relu", "num_layers=1,activation=sigmoid"),
        *("num_layers=2,activation=relu", "num_layers=2,activation=sigmoid"),
    ]
    assert entries[1].flags == ["--model.lr=0.1", "--model.num_layers=1", "--model.activation=sigmoid"]


def test_entries_hold_the_varied_values_as_numbers_if_all_are() -> None:
    entries = plan.expanded([MLP], ["model.lr=0.1,1e-3,1", "model.activation=relu,tanh"], [])
    assert [entry.varied for entry in entries[1:3]] == [
        {"model.lr": 0.1, "model.activation": "tanh"},
        {"model.lr": 0.001, "model.activation": "relu"},
    ]
    assert plan.as_column(["0", "0.5", "-2"]) == [0, 0.5, -2]
    assert plan.as_column(["null", "3"]) == ["null", "3"]
    assert plan.make([MLP], ["model.lr=0.1,0.2"], None, [], [0]).varied == ["model.lr"]
    assert plan.make([MLP], [], None, [], [0]).varied == []


def test_a_comma_inside_brackets_belongs_to_the_value() -> None:
    assert plan.varied("model.sizes=[1,2], [3]") == ("model.sizes", ["[1,2]", "[3]"])


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["model.num_layer=1,2"], r"--model\.num_layer is not an option of DeepMLP; type --model\.num_layers 1"),
        (["model.num_layers=1,two"], r"--model\.num_layers: 'two' is not a whole number"),
        (["model.activation=relu,sigmoyd"], "'sigmoyd' is not known; type sigmoid"),
        (["data.seed=1,2"], "it is decided by --seed_everything"),
        (["seed_everything=1,2"], "type --seeds"),
        (["model.num_layers"], "is no option with values"),
        (["model.num_layers=1,1"], "names a value twice"),
        (["model.lr=0.001,1e-3"], "names a value twice"),
        (["model.lr=,0.1"], "is no option with values"),
        (["model.num_layers=1", "model.num_layers=2"], "names an option twice"),
    ],
)
def test_unknown_keys_and_values_are_refused(vary: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan.expanded([MLP], vary, [])


def test_two_configs_of_one_name_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "deep_mlp.yaml"
    other.write_text((PROJECT / MLP).read_text())
    with pytest.raises(ValueError, match="two runs would be called deep_mlp"):
        plan.expanded([MLP, str(other)], [], [])


def test_names_that_become_one_are_refused(tmp_path: Path) -> None:
    for name in ("a b.yaml", "a_b.yaml", "figures.yaml"):
        (tmp_path / name).write_text((PROJECT / MLP).read_text())
    with pytest.raises(ValueError, match="two runs would be called a_b"):
        plan.expanded([str(tmp_path / "a b.yaml"), str(tmp_path / "a_b.yaml")], [], [])
    with pytest.raises(ValueError, match="keeps the name figures for itself"):
        plan.expanded([str(tmp_path / "figures.yaml")], [], [])


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seed_everything=7", "type --seeds"),
        ("--trainer.logger=false", "where its table looks for it"),
        ("--trainer.logger.init_args.version=x", "where its table looks for it"),
        ("--checkpoint.dirpath=x", "where its table looks for it"),
        ("--print_config", "type it behind train.py"),
        ("--help", "type --help before the --"),
    ],
)
def test_what_a_comparison_sets_itself_is_refused(flag: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan.expanded([MLP], [], [flag])


def test_flags_name_the_same_files_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("trainer:\n  max_epochs: 1\n")
    monkeypatch.chdir(tmp_path)
    given = ["-c", "mine.yaml", "--config=mine.yaml", "--data.data_dir", "here", "--data.data_dir=here", "--model.lr=1"]
    assert plan.anywhere(given) == [
        *("-c", f"{tmp_path}/mine.yaml", f"--config={tmp_path}/mine.yaml"),
        *("--data.data_dir", f"{tmp_path}/here", f"--data.data_dir={tmp_path}/here", "--model.lr=1"),
    ]


def test_another_text_of_any_config_is_refused(tmp_path: Path) -> None:
    extra = tmp_path / "extra.yaml"
    extra.write_text("trainer:\n  max_epochs: 1\n")
    planned = plan.make([MLP], [], None, ["-c", str(extra)], [0])
    plan.refuse_another(planned, planned.typed, tmp_path)
    extra.write_text("trainer:\n  max_epochs: 5\n")
    with pytest.raises(ValueError, match=r"extra\.yaml has changed since"):
        plan.refuse_another(planned, planned.typed, tmp_path)


def test_a_plan_that_is_read_is_the_plan_that_was_written(tmp_path: Path) -> None:
    written = plan.make([MLP], ["model.num_layers=1,2"], "parameters", ["-c", SMOKE], [0, 1])
    written.parameters = 101_770
    written.entries[0].about = {"depth": 1}
    written.write(tmp_path)
    assert plan.read(tmp_path) == written


def entry(name: str, **about: str | None) -> Entry:
    return Entry(name, MLP, [], dict(about))


def test_a_table_never_mixes_the_whole_data_with_its_subset() -> None:
    whole, subset, other, bug = (
        entry("a", source="full"),
        entry("b", source="subset"),
        entry("c", source=None),
        entry("d", error="a bug"),
    )
    settle_sources([whole, subset, other, bug])
    assert whole.flags == subset.flags == ["--data.source=subset"]
    assert other.flags == bug.flags == []
