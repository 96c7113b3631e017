"""The table, and what it says of differences."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparison import table
from engine.results import COLUMNS, Row


def run(config: str, seed: int, **values: Any) -> Row:
    about = {"data": "MNIST", "parameters": 1234, "flops": 2400, "depth": 1, "status": "finished", "epochs": 3}
    return {**about, "config": config, "seed": seed, "seconds": 2.0, "val_acc": 0.9, "test_acc": 0.8, **values}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_it_gives_mean_and_deviation_of_the_runs_that_finished() -> None:
    failed = {"config": "a", "seed": 2, "status": "failed", "error": "ValueError: no"}
    lines = table.summary([run("a", 0), run("a", 1, val_acc=0.8, test_acc=0.6, seconds=4.0), failed]).splitlines()
    assert cells(lines[2]) == [
        *("a", "MNIST", "1,234", "2.4 k", "1", "85.00 ± 7.07 %", "70.00 ± 14.14 %", "3.0 ± 1.4", "3", "2 of 3"),
    ]
    assert lines[-2:] == ["", "a, seed 2 failed: ValueError: no"]


def test_without_accuracies_it_gives_losses() -> None:
    row = run("a", 0, val_loss=0.25, test_loss=0.125)
    del row["val_acc"], row["test_acc"]
    text = table.summary([row])
    assert "| val loss | test loss |" in text
    assert "| 0.2500   | 0.1250    |" in text


def test_what_is_more_than_2_percent_off_is_marked() -> None:
    rows = [run("a", 0), run("b", 0, parameters=1250), run("c", 0, parameters=1260)]
    lines = table.summary(rows, parameters=1234).splitlines()
    assert [cells(line)[2] for line in lines[2:5]] == ["1,234", "1,250", "≈ 1,260"]
    assert "≈: more than 2% off the 1,234 parameters of the first line." in lines
    assert "≈" not in table.summary(rows)


def test_varied_options_are_columns_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    failed = {"config": "b", "seed": 0, "status": "failed", "error": "ValueError: no", "model.dropout": 0.3}
    other = run("c", 0)  # a run that the comparison did not plan
    table.write_results(path, [run("a", 0, **{"model.dropout": 0}), failed, other], ["model.dropout", "model"])
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header[:3] == ["config", "model.dropout", "model"]
    assert sorted(header) == sorted(["model.dropout", *COLUMNS]), "no column is there twice"
    assert [line[:2] for line in lines] == [["a", "0"], ["b", "0.3"], ["c", ""]]


def several(config: str, accuracies: list[float], **values: Any) -> list[Row]:
    return [run(config, seed, test_acc=accuracy, **values) for seed, accuracy in enumerate(accuracies)]


def test_runs_that_overlap_are_not_told_apart_and_those_that_do_not_are() -> None:
    rows = several("a", [0.90, 0.91, 0.92]) + several("b", [0.91, 0.92, 0.90]) + several("c", [0.95, 0.96, 0.97])
    found = {cells(line)[0]: cells(line)[3] for line in table.told_apart(rows).splitlines()[2:5]}
    assert found == {"b - a": "not distinguishable at n=3", "c - a": "c is better", "c - b": "c is better"}


def test_a_smaller_loss_is_better() -> None:
    rows = several("a", [0, 0, 0]) + several("b", [0, 0, 0])
    for row in rows:
        del row["val_acc"], row["test_acc"]
        row["test_loss"] = (1.0 if row["config"] == "a" else 0.5) + row["seed"] / 100
    assert "b is better" in table.told_apart(rows)


def test_where_nothing_was_tested_validation_decides() -> None:
    rows = several("a", [0, 0, 0]) + several("b", [0, 0, 0])
    for row in rows:
        del row["test_acc"]
        row["val_acc"] = (0.5 if row["config"] == "a" else 0.7) + row["seed"] / 100
    assert "difference in val acc" in table.told_apart(rows)
    assert "b is better" in table.told_apart(rows)


def test_with_two_seeds_nothing_is_said_of_a_difference() -> None:
    text = table.told_apart(several("a", [0.1, 0.2]) + several("b", [0.8, 0.9]))
    assert text == "Run at least 3 seeds of two configs to compare them: add --seeds 0 1 2."
    assert table.told_apart(several("a", [0.1, 0.2, 0.3])) == ""


@pytest.mark.parametrize(("num", "least"), [(3, 0.86), (5, 0.93), (10, 0.93)])
def test_the_interval_covers_what_it_says(num: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two samples of the same distribution 0 should be inside 95 times in 100; three values allow 90."""
    monkeypatch.setattr(table, "RESAMPLES", 2000)
    random = np.random.default_rng(num)
    covered = 0
    for _ in range(400):
        low, high = table.interval(*random.normal(size=(2, num)).tolist())
        covered += low <= 0 <= high
    assert least < covered / 400 < 0.995


def test_many_pairs_are_shown_against_the_first_and_all_are_in_the_file(tmp_path: Path) -> None:
    rows = [row for k in range(7) for row in several(f"c{k}", [0.1 * k, 0.1 * k + 0.01, 0.1 * k + 0.02])]
    text = table.told_apart(rows)
    assert len(text.splitlines()) == 2 + 6 + 2
    assert "whose intervals reach 90 %" in text
    assert text.endswith("All 21 pairs are in differences.csv.")
    table.write_differences(tmp_path / "differences.csv", rows)
    with (tmp_path / "differences.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 21
    assert float(found[0]["mean"]) == pytest.approx(0.1)
    assert float(found[0]["low"]) < float(found[0]["mean"]) < float(found[0]["high"])


def test_a_run_that_diverged_is_neither_better_nor_worse() -> None:
    rows = several("a", [0, 0, 0]) + several("b", [0, 0, 0]) + several("c", [0, 0, 0])
    for row in rows:
        del row["val_acc"], row["test_acc"]
        row["test_loss"] = 0.5 + row["seed"] / 100
        if row["config"] == "b" and row["seed"] == 1:
            row["test_loss"] = math.nan
    text = table.summary(rows)
    assert "1 of 3 diverged" in text
    assert [(pair.first, pair.second) for pair in table.differences(rows)] == [("a", "c")]
    assert "Not compared, without 3 finished seeds: b." in text
    assert not table.Difference("a", "b", math.nan, math.nan, math.nan, 3).is_distinguishable


def test_networks_on_different_data_are_not_compared() -> None:
    rows = several("a", [0.1, 0.2, 0.3]) + several("b", [0.8, 0.9, 0.7], data="MNIST1D")
    assert table.told_apart(rows) == "No two of them learned the same data, so that no difference is given."
    rows += several("c", [0.8, 0.9, 0.7], data="SequenceMNIST")
    assert [(pair.first, pair.second) for pair in table.differences(rows)] == [("a", "c")]
