"""What a run shows and records beyond its curves."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import SMOKE, Fit


def graphs(folder: Path) -> int:
    return sum(EventAccumulator(str(file)).Reload().Tags()["graph"] for file in folder.rglob("events.out.*"))


def test_a_graph_too_large_to_read_is_left_out_with_a_word(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model.num_layers=60", "--model.hidden_size=8", "--test_checkpoint=none"]
    fit("mnist/deep_mlp.yaml", "-c", SMOKE, *flags)
    assert graphs(tmp_path) == 0
    assert "No model graph: 303 modules are more than the 200 it can show." in capsys.readouterr().out


def test_drawing_the_graph_changes_nothing(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["mnist/deep_mlp.yaml", "-c", SMOKE, "--model.hidden_size=32", "--test_checkpoint=none"]
    with_graph = fit(*flags).result["train_loss"]
    monkeypatch.setattr("callbacks.model_graph.MOST_MODULES", 0)
    assert fit(*flags).result["train_loss"] == with_graph


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2", "--test_checkpoint=none")
    lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert [line[:10] for line in lines] == ["epoch  1/2", "epoch  2/2"]
    assert all("val loss" in line and "val acc" in line and line.endswith(" s") for line in lines)


def test_without_progress_the_result_is_all_that_is_said(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.enable_progress_bar=false")
    quiet = capsys.readouterr()
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE)
    usual = capsys.readouterr()
    assert not quiet.err
    assert not usual.err

    def result(text: str) -> list[str]:
        return re.sub(r"in [\d.]+ s|version_\d", "", text).splitlines()

    assert result(usual.out)[1:] == result(quiet.out), "one line less: the epoch"
    rows = [line.split() for line in quiet.out.splitlines() if line]
    assert [row[0] for row in rows[1:]] == ["loss", "train", "val", "test", "train:", "val"]


@pytest.mark.parametrize("place", ["terminal", "notebook"])
def test_a_terminal_and_a_notebook_see_one_line_that_rewrites_itself(
    place: str, fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbacks.progress.REFRESH", 0.0)
    if place == "terminal":
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    else:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setenv("COLUMNS", "72")
    flags = ["--test_checkpoint=none", "--data.batch_size=1000", "--trainer.max_epochs=2"]
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, *flags)
    looks = capsys.readouterr().out.partition("\n")[0].split("\r")
    bars = [re.findall(r"\[(#*)\.*\]", look) for look in looks[1:]]
    assert [len(bar) for (bar,) in bars] == [2, 3, 4, 6, 6, 8, 9, 10, 12, 12]
    assert {len(look) for look in looks[1:]} == {71}, "a longer line would become two"
    assert "val acc" in looks[-1]


def test_the_history_is_what_the_curves_show(fit: Fit) -> None:
    cli = fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2", "--test_checkpoint=none")
    assert list(cli.history.validation) == [15, 30]
    assert cli.history.validation[30]["loss"] == pytest.approx(float(cli.trainer.callback_metrics["val/loss"]))
    assert cli.history.seconds > 0
