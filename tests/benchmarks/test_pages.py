"""docs/depth.md, docs/sequences.md and docs/inside.md show what was measured."""

from types import ModuleType

import pandas as pd
import pytest

from benchmarks import committed, depth, families, inside, report
from benchmarks.families import FAMILIES, KINDS


@pytest.mark.parametrize("module", [depth, families, inside], ids=lambda module: module.__name__)
def test_tables_are_those_of_the_committed_results(module: ModuleType) -> None:
    text, tables = module.PAGE.read_text(encoding="utf-8"), module.tables()
    assert committed.with_tables(text, tables) == text
    for name in tables:
        assert text.count(f"<!-- results: {name} -->") == 1, name


def test_commands_of_the_page_are_those_of_the_sets() -> None:
    text = inside.PAGE.read_text(encoding="utf-8")
    for name in report.sets_of("inside"):
        one = report.SETS[name]
        configs = " ".join(f"configs/{config}.yaml" for config in one["configs"])
        assert f"compare.py {configs} {one['flags']}\n" in text


@pytest.mark.parametrize("data", depth.DATA)
def test_networks_of_a_data_set_are_equally_large(data: str) -> None:
    parameters = committed.rows(committed.RESULTS / "depth" / data).parameters
    assert parameters.max() < 1.12 * parameters.min()  # 50 layers of 10 units have the coarsest choice


@pytest.mark.parametrize("kind", KINDS)
def test_families_have_about_equal_size_and_three_seeds(kind: str) -> None:
    runs = families.runs(kind)
    assert runs.groupby("config").seed.nunique().to_dict() == dict.fromkeys(FAMILIES, 3)
    assert runs.parameters.max() < 1.1 * runs.parameters.min()


@pytest.mark.parametrize(("spread", "verdict"), [(0.1, "GRU"), (2.0, "GRU, not significantly")])
def test_best_family_has_the_lowest_mean(spread: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    means = {"lstm": 5.0, "gru": 3.0, "tcn": 6.0, "transformer": 4.0}
    rows = [(name, mean + spread * shift, 1000) for name, mean in means.items() for shift in (-1, 0, 1)]
    monkeypatch.setattr(families, "runs", lambda _: pd.DataFrame(rows, columns=["config", "shown", "parameters"]))
    assert families.row("text")["best"] == verdict
