"""What a run shows and records beyond its curves."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import CONFIGS, SMOKE, Fit, config_id


def graphs(folder: Path) -> int:
    return sum(EventAccumulator(str(file)).Reload().Tags()["graph"] for file in folder.rglob("events.out.*"))


@pytest.mark.parametrize("path", CONFIGS, ids=config_id)
def test_every_config_draws_its_graph(path: Path, fit: Fit, tmp_path: Path) -> None:
    fit(path, "-c", SMOKE, "--test_checkpoint=none")
    assert graphs(tmp_path) == 1


def test_a_graph_too_large_to_read_is_left_out_with_a_word(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("mnist/deep_mlp.yaml", "-c", SMOKE, "--model.num_layers=60", "--test_checkpoint=none")
    assert graphs(tmp_path) == 0
    assert "No model graph: 303 modules are more than the 200 it can show." in capsys.readouterr().out


def test_drawing_the_graph_changes_nothing(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["mnist/deep_mlp.yaml", "-c", SMOKE, "--test_checkpoint=none"]
    with_graph = fit(*flags).result["train_loss"]
    monkeypatch.setattr("callbacks.model_graph.MOST_MODULES", 0)
    assert fit(*flags).result["train_loss"] == with_graph


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2", "--test_checkpoint=none")
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == ["epoch  1/2", "epoch  2/2"]
    assert all("val loss" in line and "val acc" in line and line.endswith(" s") for line in lines)


def test_progress_can_be_switched_off(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.enable_progress_bar=false", "--test_checkpoint=none")
    assert capsys.readouterr().out == ""


def test_a_terminal_sees_the_step_inside_the_epoch_on_one_line(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbacks.progress.REFRESH", 0.0)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--test_checkpoint=none", "--data.batch_size=1000")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "\repoch  1/1  step 4/4" in printed


def test_the_history_is_what_the_curves_show(fit: Fit) -> None:
    cli = fit("mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2", "--test_checkpoint=none")
    assert list(cli.history.validation) == [15, 30]
    assert cli.history.validation[30]["loss"] == pytest.approx(float(cli.trainer.callback_metrics["val/loss"]))
    assert cli.history.seconds > 0
