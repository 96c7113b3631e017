"""docs/depth.md says what was measured, and nothing else."""

import itertools
import shutil
from pathlib import Path

import pytest

from benchmarks import depth_study
from benchmarks.depth_study import Cell
from comparison import plan


@pytest.mark.parametrize("name", depth_study.commands())
def test_the_committed_rows_are_those_of_the_commands(name: str) -> None:
    arguments = depth_study.commands()[name]
    configs = [argument for argument in arguments if argument.endswith(".yaml")]
    vary = [value for option, value in itertools.pairwise(arguments) if option == "--vary"]
    wanted = {entry.name for entry in plan.expanded(configs, vary, [])}
    found = depth_study.cells(name)
    assert set(found) == wanted
    seeds = arguments[arguments.index("--seeds") + 1 :]
    assert {len(cell.test) for cell in found.values()} == {len(seeds)}


def test_the_page_is_made_of_the_committed_results() -> None:
    assert depth_study.PAGE.read_text() == depth_study.page()
    for name in ("test_accuracy", "train_loss"):
        assert f"(depth/{name}.png)" in depth_study.page()
        assert (depth_study.PAGE.with_suffix("") / f"{name}.png").stat().st_size > 10_000


def test_networks_of_a_data_set_are_equally_large() -> None:
    for data in depth_study.DATA:
        smallest, _, largest = depth_study.sizes_of(data).replace(",", "").split()
        assert int(largest) < 1.12 * int(smallest)  # 50 layers of 10 units have the coarsest choice


def test_verdicts_follow_the_numbers() -> None:
    low, high, mixed = (Cell(values, values, values) for values in ([50.0, 51, 52], [80.0, 81, 82], [20.0, 50, 90]))
    assert depth_study.verdict(low, high, "one layer").endswith("**better**")
    assert depth_study.verdict(high, low, "one layer").endswith("**worse**")
    assert depth_study.verdict(high, mixed, "one layer").endswith("**not distinguishable at n=3**")


def test_guessing_begins_where_nothing_deeper_learns() -> None:
    def by_depth(*accuracies: float) -> dict[int, Cell]:
        return {depth: Cell([one], [one], [one]) for depth, one in zip(depth_study.DEPTHS, accuracies, strict=True)}

    assert depth_study.guesses_from(by_depth(97, 97, 97, 97, 15, 11, 10), "mnist") == 20
    assert depth_study.guesses_from(by_depth(97, 97, 11, 97, 97, 97, 97), "mnist") is None
    assert depth_study.guesses_from(by_depth(70, 65, 66, 64, 60, 49, 49), "spiral") == 20
    assert depth_study.guesses_from(by_depth(50, 50, 50, 50, 50, 50, 50), "spiral") == 1


def test_other_results_make_another_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study in which 50 plain layers are as good as one says so."""
    shutil.copytree(depth_study.RESULTS, tmp_path / "depth")
    monkeypatch.setattr(depth_study, "RESULTS", tmp_path / "depth")
    for data in depth_study.DATA:
        path = tmp_path / "depth" / data / "results.csv"
        header, *lines = path.read_text().splitlines()
        kept = [line for line in lines if f"{data}_relu,num_layers=50" not in line]
        one = [line for line in lines if f'{data}_relu,num_layers=1"' in line]
        assert len(one) == len(depth_study.SEEDS)
        path.write_text("\n".join([header, *kept, *(line.replace("num_layers=1", "num_layers=50") for line in one)]))
    assert "50 plain ReLU layers are worse than one on none of the three" in depth_study.page()
