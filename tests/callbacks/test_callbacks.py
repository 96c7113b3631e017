"""Progress, history and the model graph of a run."""

import builtins
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.cli import RunFailed
from tests.conftest import SMOKE, Fit

FLAGS = ["mnist/shallow_mlp.yaml", "-c", SMOKE, "--trainer.max_epochs=2", "--test_checkpoint=none"]


def graphs(folder: Path) -> int:
    return sum(EventAccumulator(str(file)).Reload().Tags()["graph"] for file in folder.rglob("events.out.*"))


def test_graph_with_many_modules_is_left_out(fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit("mnist/deep_mlp.yaml", "-c", SMOKE, "--model.num_layers=60", "--model.hidden_size=8", "--test_checkpoint=none")
    assert graphs(tmp_path) == 0
    assert "No model graph: it would have 303 modules, more than 200." in capsys.readouterr().out


def test_graph_does_not_change_training(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["mnist/deep_mlp.yaml", "-c", SMOKE, "--model.hidden_size=32", "--test_checkpoint=none"]
    with_graph = fit(*flags).result["train_loss"]
    monkeypatch.setattr("callbacks.model_graph.MOST_MODULES", 0)
    assert fit(*flags).result["train_loss"] == with_graph


def test_progress_in_a_pipe_is_one_line_per_epoch(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    cli = fit(*FLAGS)
    printed = capsys.readouterr()
    lines = printed.out.partition("\n\n")[0].splitlines()
    expected = r"epoch  \d/2  val loss \d\.\d{4}  val acc \d+\.\d\d%  ([ \d]+\.\d) s"
    matches = [re.fullmatch(expected, line) for line in lines]
    assert len(matches) == 2
    assert matches[1] is not None
    assert matches[1][1].strip() == f"{cli.result['seconds']:.1f}"
    assert not printed.err


def test_progress_in_an_epoch_without_validation(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit(*FLAGS, "--trainer.check_val_every_n_epoch=2")
    lines = capsys.readouterr().out.splitlines()
    assert ["val loss" in line for line in lines[:2]] == [False, True]


def test_no_progress_if_it_is_disabled(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit(*FLAGS, "--trainer.enable_progress_bar=false")
    assert "epoch  1" not in capsys.readouterr().out


@pytest.mark.parametrize("place", ["terminal", "notebook"])
def test_progress_on_a_terminal_and_in_a_notebook_is_a_bar(
    place: str, fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_bar(place, monkeypatch)
    fit(*FLAGS, "--trainer.callbacks+=Features")
    out = capsys.readouterr().out
    last = out.partition("\n")[0].split("\r")[-1]
    assert last.startswith("epoch  2/2: 100%")
    assert all(f"{name}=" in last for name in ("train/loss", "val/loss", "val/acc"))


def test_the_bar_ends_its_line_before_an_error(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_bar("terminal", monkeypatch)
    with pytest.raises(RunFailed, match="the run has diverged"):
        fit("plane/bumps.yaml", "-c", SMOKE, "--model.lr=1e30", "--test_checkpoint=none")
    out = capsys.readouterr().out
    assert "epoch  1/1" in out
    assert out.endswith("\n")


def use_bar(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "terminal":
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    else:
        monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)


def test_history_has_the_validation_metrics_by_step(fit: Fit) -> None:
    cli = fit(*FLAGS)
    assert list(cli.history.validation) == [15, 30]
    assert cli.history.validation[30]["loss"] == pytest.approx(float(cli.trainer.callback_metrics["val/loss"]))
    assert cli.history.seconds > 0
