"""A comparison: what it writes, what it shows, and what becomes of runs that fail."""

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import compare
from arguments import PROJECT
from tests.conftest import SMOKE

FLAGS = ["--", "-c", SMOKE, "--data.source=subset"]


def run(runs_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as it is typed: processes that it starts write to where it writes."""
    command = [sys.executable, str(PROJECT / "compare.py"), "--runs_dir", str(runs_dir), *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def config_of(model: str, folder: Path, extra: str = "") -> str:
    """A config of a model of tests/broken.py."""
    path = folder / f"{model.lower()}.yaml"
    path.write_text(f"model:\n  class_path: tests.broken.{model}\ndata:\n  class_path: MNIST\n{extra}")
    return str(path)


def test_a_comparison_is_a_table_and_a_tensorboard_page(tmp_path: Path) -> None:
    configs = ["configs/mnist/shallow_mlp.yaml", "configs/sequence/gru.yaml"]
    done = run(tmp_path, *configs, "--seeds", "0", "1", "--name", "both", *FLAGS)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "both"

    table = rows(folder)
    assert list(table[0]) == compare.COLUMNS
    assert [(row["config"], row["seed"], row["model"], row["data"]) for row in table] == [
        ("shallow_mlp", "0", "ShallowMLP", "MNIST-5k"),
        ("shallow_mlp", "1", "ShallowMLP", "MNIST-5k"),
        ("gru", "0", "RNN", "SequenceMNIST-5k"),
        ("gru", "1", "RNN", "SequenceMNIST-5k"),
    ]
    for row in table:
        assert row["status"] == "finished"
        assert 0 < float(row["val_acc"]) <= 1
        assert 0 < float(row["test_acc"]) <= 1
        assert float(row["seconds"]) > 0
        assert row["epochs"] == "1"
        assert all(float(row[name]) > 0 for name in ("train_loss", "val_loss", "test_loss"))
        assert list((folder / row["config"] / f"seed_{row['seed']}").glob("events.out.*"))
    assert table[0]["parameters"] == "101770"
    assert table[0]["test_acc"] != table[1]["test_acc"], "the seed reaches the run"

    environment = json.loads((folder / "environment.json").read_text())
    assert environment["device"] == "cpu" or environment["device"].startswith("NVIDIA")
    assert {"machine", "cores", "threads", "torch", "lightning", "commit", "dirty"} <= set(environment)

    summary = (folder / "summary.md").read_text()
    assert summary in done.stdout
    assert summary.count("±") >= 4
    assert not done.stderr
    assert "epoch  1/1" in done.stdout, "progress is visible"
    line = done.stdout.strip().splitlines()[-1]
    assert shlex.split(line) == [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]


def test_runs_that_fail_are_rows_and_the_others_finish(tmp_path: Path) -> None:
    configs = [config_of("Raises", tmp_path), config_of("Dies", tmp_path), "configs/mnist/shallow_mlp.yaml"]
    done = run(tmp_path, *configs, "--name", "some", *FLAGS)
    assert done.returncode == 1
    raises, dies, shallow = rows(tmp_path / "some")
    assert (raises["status"], raises["error"]) == ("failed", "ZeroDivisionError: a bug in forward")
    assert (dies["status"], dies["error"]) == ("failed", "the process ended with exit code 7 and no result")
    assert shallow["status"] == "finished"
    assert raises["test_acc"] == ""
    assert "raises, seed 0 failed: ZeroDivisionError: a bug in forward" in done.stdout
    assert ", in forward" in done.stderr, "a bug keeps its traceback"


def test_an_existing_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    arguments = ["configs/mnist/shallow_mlp.yaml", "--runs_dir", str(tmp_path), "--name", "taken"]
    assert compare.main([*arguments, *FLAGS]) == 2
    assert f"choose another --name, or remove it: rm -r {folder}" in capsys.readouterr().err
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trainer.devices=2", "--trainer.accelerator=cpu"], "asks for 2 devices"),
        (["--trainer.max_epoch=2"], "type --trainer.max_epochs 2"),
        (["--model.lr=-1"], "lr=-1"),
    ],
)
def test_what_cannot_start_is_refused_before_anything_is_trained(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = "configs/mnist/shallow_mlp.yaml"
    assert compare.main([config, "--runs_dir", str(tmp_path / "runs"), *FLAGS, *flags]) == 2
    complaints = capsys.readouterr().err
    assert message in complaints
    assert len(complaints.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    if "devices" in message:
        command = shlex.split(complaints.split("train it by itself: ")[1])
        assert command[:2] == [sys.executable, str(PROJECT / "train.py")]
        assert command[2:5] == ["fit", "-c", config]
        assert flags[0] in command


def test_two_configs_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "gru.yaml"
    other.write_text((PROJECT / "configs/sequence/gru.yaml").read_text())
    assert compare.main(["configs/sequence/gru.yaml", str(other), *FLAGS]) == 2
    assert "have the same file name" in capsys.readouterr().err


def test_a_seed_given_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["configs/sequence/gru.yaml", "--runs_dir", str(tmp_path / "runs"), "--seeds", "0", "1", "0"]
    assert compare.main(arguments) == 2
    assert "names a seed twice" in capsys.readouterr().err


def test_a_machine_without_git_has_an_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    described = compare.environment()
    assert described["commit"] is None
    assert described["torch"]


def test_a_table_never_mixes_the_whole_data_with_its_subset() -> None:
    plan: dict[str, compare.Row] = {
        "a": {"source": "full"},
        "b": {"source": "subset"},
        "c": {"source": None},
        "d": {"error": "a bug"},
    }
    compare.settle_sources(plan)
    assert plan["a"]["flags"] == plan["b"]["flags"] == ["--data.source", "subset"]
    assert "flags" not in plan["c"]
    assert "flags" not in plan["d"]


def test_the_parent_never_loads_torch() -> None:
    code = (
        "import compare, sys; "
        "assert compare.main(['configs/mnist/shallow_mlp.yaml', '--', '--model.lr=-1']) == 2; "
        "assert not {'torch', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_without_accuracies_the_summary_gives_losses() -> None:
    run = {
        "config": "a",
        "data": "Plane",
        "parameters": 9,
        "depth": 1,
        "status": "finished",
        "epochs": 3,
        "seconds": 1.0,
    }
    table = compare.summary([{**run, "seed": 0, "val_loss": 0.25, "test_loss": 0.125}])
    assert "| val loss | test loss |" in table
    assert "| 0.2500   | 0.1250    |" in table


def test_summary_gives_mean_and_deviation_of_the_runs_that_finished() -> None:
    common = {"config": "a", "data": "MNIST", "parameters": 1234, "depth": 1, "status": "finished", "epochs": 3}
    runs = [
        {**common, "seed": 0, "val_acc": 0.9, "test_acc": 0.8, "seconds": 2.0},
        {**common, "seed": 1, "val_acc": 0.8, "test_acc": 0.6, "seconds": 4.0},
        {**common, "seed": 2, "status": "failed", "error": "ValueError: no"},
    ]
    lines = compare.summary(runs).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == ["a", "MNIST", "1,234", "1", "85.00 ± 7.07 %", "70.00 ± 14.14 %", "3.0 ± 1.4", "3 ± 0", "2 of 3"]
    assert lines[3:] == ["", "a, seed 2 failed: ValueError: no"]
