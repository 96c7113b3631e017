"""What is run, and under which name."""

from pathlib import Path

import pytest

from arguments import PROJECT
from comparison import plan
from comparison.beginning import settle_sources
from comparison.plan import Entry, Plan

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


def test_a_comma_inside_brackets_belongs_to_the_value() -> None:
    assert plan.varied("model.sizes=[1,2],[3]") == ("model.sizes", ["[1,2]", "[3]"])


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["model.num_layer=1,2"], r"--model\.num_layer is not an option of DeepMLP; type --model\.num_layers 1"),
        (["model.num_layers=1,two"], r"--model\.num_layers: 'two' is not a whole number"),
        (["model.activation=relu,sigmoyd"], "'sigmoyd' is not known; type sigmoid"),
        (["data.seed=1,2"], "it is decided by --seed_everything"),
        (["seed_everything=1,2"], "type --seeds 1 2"),
        (["model.num_layers"], "is no option with values"),
        (["model.num_layers=1,1"], "names a value twice"),
        (["model.num_layers=1", "model.num_layers=2"], "names an option twice"),
    ],
)
def test_unknown_keys_and_values_are_refused(vary: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan.expanded([MLP], vary, [])


def test_two_configs_of_one_name_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "deep_mlp.yaml"
    other.write_text((PROJECT / MLP).read_text())
    with pytest.raises(ValueError, match="two configs are called deep_mlp"):
        plan.expanded([MLP, str(other)], [], [])


def test_a_plan_that_is_read_is_the_plan_that_was_written(tmp_path: Path) -> None:
    written = Plan({"configs": [MLP]}, [0, 1], plan.expanded([MLP], ["model.num_layers=1,2"], []), 101_770)
    written.entries[0].about = {"depth": 1}
    written.write(tmp_path)
    assert plan.read(tmp_path) == written


def entry(name: str, **about: str | None) -> Entry:
    return Entry(name, MLP, "", [], dict(about))


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
