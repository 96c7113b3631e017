"""docs/depth.md shows what was measured."""

import pytest

from benchmarks import committed, depth_study


@pytest.mark.parametrize("name", depth_study.commands())
def test_committed_rows_are_those_of_the_command(name: str) -> None:
    arguments = depth_study.commands()[name]
    seeds = [int(seed) for seed in arguments[arguments.index("--seeds") + 1 :]]
    num_configs = {"linear": 3, **dict.fromkeys(depth_study.DATA, 28)}.get(name, 4)  # 28: 4 networks of 7 depths
    found = committed.rows(depth_study.RESULTS / name).groupby("config")["seed"]
    assert len(found) == num_configs
    assert all(list(own) == seeds for _, own in found)


def test_tables_are_those_of_the_committed_results() -> None:
    text = depth_study.PAGE.read_text(encoding="utf-8")
    assert committed.with_tables(text, depth_study.tables()) == text
    for name in depth_study.tables():
        assert text.count(f"<!-- results: {name} -->") == 1, name


@pytest.mark.parametrize("data", depth_study.DATA)
def test_networks_of_a_data_set_are_equally_large(data: str) -> None:
    parameters = committed.rows(depth_study.RESULTS / data).parameters
    assert parameters.max() < 1.12 * parameters.min()  # 50 layers of 10 units have the coarsest choice
