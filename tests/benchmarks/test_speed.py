"""The programs that measure speed: what they compare is the same work, and the pages say what was measured."""

from pathlib import Path

import pytest
import torch

from benchmarks import overhead, processes, scaling, speed, time_to_accuracy
from benchmarks.measure import in_a_process, interleaved, kept, ratio
from engine.paths import PROJECT
from engine.results import Row
from tests.conftest import config_id
from tests.test_train import DEEP, SHALLOW


def test_subjects_take_turns_and_the_first_round_warms_up() -> None:
    turns: list[str] = []

    def subject(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    found = interleaved(2, {"a": lambda: subject("a"), "b": lambda: subject("b")})
    assert turns == ["a", "b"] * 3
    assert found == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_a_ratio_is_the_median_of_pairs() -> None:
    assert ratio([2.0, 6.0, 40.0], [1.0, 2.0, 10.0]) == {"ratio": 3.0, "lowest": 2.0, "highest": 4.0}


@pytest.mark.parametrize("config", [SHALLOW, DEEP, "mnist/resnet.yaml", "sequence/lstm.yaml"])
def test_the_hand_written_loop_takes_the_steps_of_fit(config: str) -> None:
    flags = ["--trainer.max_epochs=2", "--data.source=subset", "--data.batch_size=500"]
    flags += ["--model.dropout=0"] if config in (DEEP, "sequence/lstm.yaml") else []
    arguments = ["-c", str(PROJECT / "configs" / config), *flags]
    (ours, taken), (by_hand, _) = overhead.fit(arguments), overhead.fit_by_hand(arguments)
    assert taken.wall > 0
    torch.testing.assert_close(
        dict(ours.model.named_parameters()), dict(by_hand.model.named_parameters()), rtol=0, atol=0
    )


def test_a_round_measures_both_in_a_process_of_their_own() -> None:
    config = str(PROJECT / "configs" / SHALLOW)
    taken = in_a_process("benchmarks.overhead", "1", "-c", config, "--data.source=subset", "--trainer.max_epochs=1")
    assert set(taken) == {"by_hand", "by_hand_cpu", "as_shipped", "as_shipped_cpu"}
    assert all(milliseconds > 0 for milliseconds in taken.values())


def test_growth_is_the_slope_between_the_largest() -> None:
    points = {str(n): {"milliseconds": 7 + 0.5 * n**2} for n in (10, 10_000, 100_000)}
    assert scaling.exponent(points, "milliseconds") == pytest.approx(2.0, abs=1e-3)


def test_the_example_is_the_published_network() -> None:
    example = time_to_accuracy.Example()
    assert sum(parameter.numel() for parameter in example.parameters()) == 1_199_882
    assert example(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("path", speed.PAGES, ids=config_id)
def test_the_pages_are_those_of_the_committed_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = {name: kept(name) for name in speed.BENCHMARKS}
    assert speed.page(text, found) == text


def test_every_result_has_its_place_on_one_page() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in speed.PAGES)
    for name in ("goals", "speed", *speed.BENCHMARKS):
        assert texts.count(f"<!-- results: {name} -->\n\n|") == 1, name


def test_a_goal_is_met_by_numbers_alone() -> None:
    cell = {"config": "x", "batch_size": 128, "by_hand": [1.0], "as_shipped": [1.06]}
    nothing: dict[str, Row] = {name: {} for name in speed.BENCHMARKS}
    missed = speed.goals({**nothing, "overhead": {"cells": [cell]}})
    assert "| `fit` ÷ loop by hand, x, batch 128, cpu | ≤ 1.05 | 1.06 | **no** |" in missed
    met = speed.goals({**nothing, "overhead": {"cells": [{**cell, "as_shipped": [1.04]}]}})
    assert "| ≤ 1.05 | 1.04 | yes |" in met


def test_the_share_is_of_twice_the_speed_of_one() -> None:
    speeds = {"one": [100.0], "two_threads": [150.0], "two_processes": [200.0]}
    assert (
        processes.table({"speeds": {"x": speeds}})
        .splitlines()[-1]
        .endswith("| 150: 75% (75% to 75%) | 200: 100% (100% to 100%) |")
    )


def test_a_benchmark_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["overheat"]) == 2
    assert capsys.readouterr().err.startswith("benchmarks.speed: there is no benchmark overheat; type one of overhead")
