"""The programs that measure speed: what they compare is the same work, and the pages say what was measured."""

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch

from benchmarks import against, committed, overhead, scaling, time_to_accuracy
from engine.paths import PROJECT
from tests.test_train import DEEP, SHALLOW

PROGRAMS = (against, overhead, scaling, time_to_accuracy)


def test_ratio_is_the_median_of_pairs() -> None:
    assert committed.ratio([2.0, 6.0, 40.0], [1.0, 2.0, 10.0]) == "3 (2 to 4)"


@pytest.mark.parametrize("config", [SHALLOW, DEEP, "mnist/resnet.yaml", "sequence/lstm.yaml"])
def test_hand_written_loop_takes_the_steps_of_fit(config: str) -> None:
    epochs = 2 if config in (SHALLOW, DEEP) else 1  # the others take longer, and the order of samples is the same
    flags = [f"--trainer.max_epochs={epochs}", "--data.source=subset", "--data.batch_size=500"]
    flags += ["--model.dropout=0"] if config in (DEEP, "sequence/lstm.yaml") else []
    arguments = ["-c", str(PROJECT / "configs" / config), *flags]
    (ours, seconds), (by_hand, _) = overhead.fit(arguments), overhead.fit_by_hand(arguments)
    assert seconds > 0
    torch.testing.assert_close(
        dict(ours.model.named_parameters()), dict(by_hand.model.named_parameters()), rtol=0, atol=0
    )


def test_a_round_measures_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setitem(overhead.PLANS, "plane/bumps", ((64,), 1, 1))
    taken = overhead.one_round("plane/bumps 64", 0)
    assert set(taken) == {"by_hand", "as_shipped"}
    assert all(milliseconds > 0 for milliseconds in taken.values())


def test_growth_is_the_slope_between_the_largest() -> None:
    sizes = (10, 10_000, 100_000)
    assert scaling.exponent(sizes, [7 + 0.5 * n**2 for n in sizes]) == pytest.approx(2.0, abs=1e-3)


def test_the_example_is_the_published_network() -> None:
    example = time_to_accuracy.Example()
    assert sum(parameter.numel() for parameter in example.parameters()) == 1_199_882
    assert example(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_tables_are_those_of_the_committed_results(program: ModuleType) -> None:
    name = program.__name__.rpartition(".")[2]
    text = committed.PAGE.read_text(encoding="utf-8")
    assert f"<!-- results: {name} -->" in text
    assert committed.with_tables(text, {name: committed.saved_table(name, program.table)}) == text


def one_round(subject: str, number: int) -> dict[str, float]:
    return {"seconds": len(subject) + number}


def as_table(found: committed.Found) -> pd.DataFrame:
    return pd.DataFrame([[name, own["seconds"]] for name, own in found.items()], columns=["name", "seconds"])


def test_written_measurement_reaches_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results: x -->\n<!-- end of results -->\n")
    (tmp_path / "speed").mkdir()
    monkeypatch.setattr(committed, "RESULTS", tmp_path)
    monkeypatch.setattr(committed, "PAGE", page)
    monkeypatch.setattr(committed, "clean_commit", lambda: "abc1234")
    monkeypatch.setattr("sys.argv", ["x", "--rounds", "2", "--write"])
    committed.speed_program("x", ["slow", "fast one"], one_round, as_table)
    assert "| slow     | [4, 5]  |\n| fast one | [8, 9]  |\n\nOn " in page.read_text()
    monkeypatch.setattr("sys.argv", ["x", "--table"])
    committed.speed_program("x", [], one_round, lambda found: as_table(found).iloc[:1])
    assert "| slow | [4, 5]  |\n\nOn " in page.read_text()


def test_overhead_table_reads_the_committed_format() -> None:
    found: committed.Found = {"mnist/resnet 128": {"as_shipped": [2.1, 2.4], "by_hand": [2.0, 2.0]}}
    assert list(overhead.table(found).iloc[0]) == ["mnist/resnet", "128", "2", "1.12 (1.05 to 1.2)"]
