"""The comparison of families: the page shows the committed rows, and the best family is named with its significance."""

import pandas as pd
import pytest

from benchmarks import committed, families
from benchmarks.families import FAMILIES, KINDS, PAGE


def test_table_is_that_of_the_committed_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert committed.with_tables(text, families.tables()) == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_families_have_about_equal_size_and_three_seeds(kind: families.Kind) -> None:
    runs = families.runs(kind)
    assert runs.groupby("config").seed.nunique().to_dict() == dict.fromkeys(FAMILIES, 3)
    assert runs.parameters.max() < 1.1 * runs.parameters.min()


@pytest.mark.parametrize(("spread", "verdict"), [(0.1, "GRU"), (2.0, "GRU, not significantly")])
def test_best_family_has_the_lowest_mean(spread: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    means = {"lstm": 5.0, "gru": 3.0, "tcn": 6.0, "transformer": 4.0}
    rows = [(name, mean + spread * shift, 1000) for name, mean in means.items() for shift in (-1, 0, 1)]
    monkeypatch.setattr(families, "runs", lambda _: pd.DataFrame(rows, columns=["config", "shown", "parameters"]))
    assert families.row(KINDS[0])[-1] == verdict
