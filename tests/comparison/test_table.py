"""The tables of a comparison."""

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


def several(config: str, accuracies: list[float], **values: Any) -> list[Row]:
    return [run(config, seed, test_acc=accuracy, **values) for seed, accuracy in enumerate(accuracies)]


def losses(config: str, values: list[float]) -> list[Row]:
    rows = [run(config, seed, test_loss=value) for seed, value in enumerate(values)]
    return [{name: value for name, value in row.items() if not name.endswith("acc")} for row in rows]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def verdicts(rows: list[Row]) -> dict[str, str]:
    lines = table.differences_text(table.finished(rows)).partition("\n\n")[0].splitlines()[2:]
    return {cells(line)[0]: cells(line)[3] for line in lines}


def test_summary_has_mean_and_deviation_of_finished_runs() -> None:
    failed = {"config": "a", "seed": 2, "status": "failed", "error": "ValueError: no"}
    lines = table.summary([run("a", 0), run("a", 1, val_acc=0.8, test_acc=0.6, seconds=4.0), failed]).splitlines()
    assert cells(lines[2]) == [
        *("a", "MNIST", "1,234", "2.4 k", "1", "85.00% ± 7.07%", "70.00% ± 14.14%", "3.0 ± 1.4", "3", "2 of 3"),
    ]
    assert lines[-1] == "a, seed 2 failed: ValueError: no"


def test_summary_without_finished_runs() -> None:
    text = table.summary([{"config": "a", "seed": 0, "status": "unfinished"}])
    assert cells(text.splitlines()[2]) == ["a", *"-" * 8, "0 of 1"]


def test_summary_of_regression_has_losses() -> None:
    text = table.summary(losses("a", [0.125]))
    assert "| val loss | test loss |" in text
    assert "| -        | 0.1250    |" in text


def test_text_is_compared_by_its_loss() -> None:
    rows = [run(config, 0, score="loss", val_loss=1.5, test_loss=1.75) for config in "ab"]
    assert "| val loss | test loss |" in table.summary(rows)


def test_results_have_a_column_per_varied_option(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    failed = {"config": "b", "seed": 0, "status": "failed", "error": "ValueError: no", "model.dropout": 0.3}
    unfinished = {"config": "b", "seed": 1, "status": "unfinished"}
    table.write_results(path, [run("a", 0, **{"model.dropout": 0}), failed, unfinished], ["model.dropout", "model"])
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header[:3] == ["config", "model.dropout", "model"]
    assert sorted(header) == sorted(["model.dropout", *COLUMNS]), "no column is there twice"
    assert [line[:2] for line in lines] == [["a", "0"], ["b", "0.3"]]
    assert dict(zip(header, lines[0], strict=True))["parameters"] == "1234", "integers stay integers"


def test_difference_is_significant_if_the_interval_excludes_zero() -> None:
    rows = several("a", [0.90, 0.91, 0.92]) + several("b", [0.91, 0.92, 0.90]) + several("c", [0.95, 0.96, 0.97])
    assert verdicts(rows) == {"b - a": "no", "c - a": "yes, c is better", "c - b": "yes, c is better"}


def test_smaller_loss_is_better() -> None:
    assert verdicts(losses("a", [1.0, 1.01, 1.02]) + losses("b", [0.5, 0.51, 0.52])) == {"b - a": "yes, b is better"}


def test_validation_score_is_compared_if_nothing_was_tested() -> None:
    rows = [
        run(config, seed, val_acc=acc + seed / 100) for config, acc in (("a", 0.5), ("b", 0.7)) for seed in range(3)
    ]
    for row in rows:
        del row["test_acc"]
    assert "difference in val acc" in table.summary(rows)
    assert verdicts(rows) == {"b - a": "yes, b is better"}


def test_zero_variance_gives_no_verdict() -> None:
    rows = several("a", [0.9] * 3) + several("b", [0.8] * 3) + several("c", [0.7, 0.71, 0.72])
    assert verdicts(rows) == {"b - a": "no verdict", "c - a": "yes, c is worse", "c - b": "yes, c is worse"}
    assert "all seeds of each config gave the same value" in table.summary(rows)


def test_fewer_than_three_seeds_are_not_compared() -> None:
    text = table.summary(several("a", [0.1, 0.2]) + several("b", [0.8, 0.9]))
    assert text.endswith("3 seeds of each: --seeds 0 1 2.\n")
    assert table.differences_text(table.finished(several("a", [0.1, 0.2, 0.3]))) == ""


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_interval_covers_95_percent(num_seeds: int) -> None:
    random = np.random.default_rng(num_seeds)
    pairs = [table.difference(*random.normal(size=(2, num_seeds))) for _ in range(1000)]
    assert 0.93 < 1 - np.mean([bool(pair.is_significant) for pair in pairs]) < 0.98


def test_many_pairs_are_printed_against_the_first_and_all_are_in_the_file(tmp_path: Path) -> None:
    rows = [row for k in range(7) for row in several(f"c{k}", [0.1 * k, 0.1 * k + 0.01, 0.1 * k + 0.02])]
    assert len(verdicts(rows)) == 6
    assert "All 21 pairs are in differences.csv." in table.summary(rows)
    table.write_differences(tmp_path / "differences.csv", rows)
    with (tmp_path / "differences.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 21
    assert float(found[0]["mean"]) == pytest.approx(0.1)
    assert float(found[0]["low"]) < float(found[0]["mean"]) < float(found[0]["high"])


def test_diverged_run_is_neither_better_nor_worse() -> None:
    rows = losses("a", [0.5, 0.51, 0.52]) + losses("b", [0.5, math.nan, 0.52]) + losses("c", [0.6, 0.61, 0.62])
    text = table.summary(rows)
    assert "1 of 3 diverged" in text
    assert set(verdicts(rows)) == {"c - a"}
    assert "Not compared, without 3 finished seeds that did not diverge: b." in text


def test_configs_on_different_data_are_not_compared() -> None:
    rows = several("a", [0.1, 0.2, 0.3]) + several("b", [0.8, 0.9, 0.7], data="MNIST1D")
    assert "two configs on the same data" in table.summary(rows)
    rows += several("c", [0.8, 0.9, 0.7], data="SequenceMNIST")
    assert set(verdicts(rows)) == {"c - a"}
