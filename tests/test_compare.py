"""A comparison as it is typed: what it writes, what it shows, how it goes on, and what becomes of runs that fail."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

import compare
from comparison import board, inspection
from engine import results
from engine.paths import PROJECT
from tests.conftest import SMOKE
from tests.test_results import SCORES, hparams_page

FLAGS = ["--", "-c", SMOKE, "--data.source=subset", "--trainer.limit_train_batches=5"]
SHALLOW, GRU = "configs/mnist/shallow_mlp.yaml", "configs/sequence/gru.yaml"
SMALL = "configs/depth/spiral_relu.yaml"  # a run takes no second
SMALL_FLAGS = ["--", "-c", SMOKE, "--trainer.limit_train_batches=10"]


def command(runs_dir: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(PROJECT / "compare.py"), "--runs_dir", str(runs_dir), *arguments]


def run(runs_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as it is typed: processes that it starts write to where it writes.

    It loads PyTorch for them, which takes seconds; where what they write is not the question, `compare.main` does.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    typed = command(runs_dir, *arguments)
    return subprocess.run(typed, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of `compare.main` are those of `run` to the bit."""
    monkeypatch.setattr("comparison.processes.cores", lambda: 1)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def config_of(model: str, folder: Path, **options: str) -> str:
    """A config of a model of tests/broken.py."""
    path = folder / f"{model.lower()}.yaml"
    data = {"class_path": "Plane", "init_args": {"shape": "spiral"}}
    broken = {"class_path": f"tests.broken.{model}", "init_args": options}
    path.write_text(yaml.safe_dump({"model": broken, "data": data}))
    return str(path)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "images": 0}).Reload()


def test_a_comparison_is_a_table_and_a_tensorboard_page(tmp_path: Path) -> None:
    done = run(tmp_path, SHALLOW, GRU, "--seeds", "0", "1", "--name", "both", *FLAGS)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "both"

    table = rows(folder)
    assert list(table[0]) == results.COLUMNS
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
        assert row["epochs"] == "1"
        measured = ("seconds", "seconds_per_epoch", "samples_per_second", "peak_memory_mib")
        assert all(float(row[name]) > 0 for name in (*measured, "train_loss", "val_loss", "test_loss"))
        assert list((folder / row["config"] / f"seed_{row['seed']}").glob("events.out.*"))
    assert table[0]["parameters"] == "101770"
    assert table[0]["test_acc"] != table[1]["test_acc"], "the seed reaches the run"

    environment = json.loads((folder / "environment.json").read_text())
    assert environment["device"] == "cpu" or environment["device"].startswith("NVIDIA")
    assert {"machine", "cores", "threads", "torch", "lightning", "commit", "dirty"} <= set(environment)

    summary = (folder / "summary.md").read_text()
    assert summary in done.stdout
    assert summary.count("±") >= 4
    assert "Run at least 3 seeds of two configs to compare them: add --seeds 0 1 2." in summary
    assert not done.stderr
    assert "epoch  1/1" in done.stdout, "progress is visible"

    *_, start, _, link = done.stdout.strip().splitlines()
    assert shlex.split(start) == [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    view = parse_qs(urlparse(link).query)
    assert urlparse(link).fragment == "timeseries"
    assert view["runColorGroup"] == ["regex:^([^/]+)/"]
    assert [card["tag"] for card in json.loads(view["pinnedCards"][0])] == ["val/acc", "val/loss", "train/loss"]

    own = events(folder / "comparison")
    assert sorted(own.Tags()["images"]) == [
        *(f"comparison/{name}" for name in ("learning_curves", "test_acc_against_depth")),
        *(f"comparison/{name}" for name in ("test_acc_against_parameters", "test_acc_against_seconds")),
    ]
    assert {path.stem for path in (folder / "figures").glob("*.png")} == {
        tag.removeprefix("comparison/") for tag in own.Tags()["images"]
    }
    (text,) = own.Tensors("comparison/text_summary")
    assert text.tensor_proto.string_val[0].decode() == summary
    (content,) = own.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(content.tensor_proto.string_val[0])
    assert [one.title for one in layout.category] == ["loss", "accuracy", "generalisation gap", "mean of the seeds"]

    seeds, mean = [events(folder / "gru" / f"seed_{seed}") for seed in (0, 1)], events(folder / "gru" / "mean")
    for tag in ("train/loss", "val/loss", "val/acc", "gap/acc"):
        (value,) = mean.Scalars(tag)
        assert value.step == 1
        assert value.value == pytest.approx(sum(one.Scalars(tag)[0].value for one in seeds) / 2, rel=1e-5)
    (margin,) = layout.category[3].chart[0].margin.series
    low, middle, high = (mean.Scalars(tag)[0].value for tag in (margin.lower, margin.value, margin.upper))
    first, second = (one.Scalars("val/acc")[0].value for one in seeds)
    assert middle == pytest.approx((first + second) / 2)
    assert high - middle == pytest.approx(middle - low, abs=1e-6)
    assert high - middle == pytest.approx(abs(first - second) / 2**0.5, rel=1e-3)
    assert not {"mean/val_acc", "hp_metric"} & set(seeds[0].Tags()["scalars"])


def test_runs_that_fail_are_rows_and_the_others_finish(tmp_path: Path) -> None:
    configs = [config_of("Raises", tmp_path), config_of("Dies", tmp_path), SMALL]
    done = run(tmp_path, *configs, "--name", "some", *SMALL_FLAGS)
    assert done.returncode == 1
    raises, dies, small = rows(tmp_path / "some")
    assert (raises["status"], raises["error"]) == ("failed", "ZeroDivisionError: a bug in forward")
    assert (dies["status"], dies["error"]) == ("failed", "the process ended with exit code 7 and no result")
    assert small["status"] == "finished"
    assert raises["test_acc"] == ""
    assert "raises, seed 0 failed: ZeroDivisionError: a bug in forward" in done.stdout
    assert ", in forward" in done.stderr, "a bug keeps its traceback"


@pytest.mark.usefixtures("one_thread")
def test_jobs_share_the_work_and_change_no_result(tmp_path: Path) -> None:
    arguments = [SMALL, "--seeds", "0", "1"]
    narrow = [*SMALL_FLAGS, "--model.hidden_size=16"]
    assert compare.main(["--runs_dir", str(tmp_path), *arguments, "--name", "one", *narrow]) == 0
    two = run(tmp_path, *arguments, "--name", "two", "--jobs", "2", *narrow)
    assert two.returncode == 0, two.stderr
    same = ("config", "seed", "train_loss", "val_loss", "val_acc", "test_loss", "test_acc", "parameters")
    first, second = ([[row[name] for name in same] for row in rows(tmp_path / name)] for name in ("one", "two"))
    assert first == second
    assert "epoch  1/1" not in two.stdout, "progress of two runs at once would be a muddle"
    log = tmp_path / "two" / "spiral_relu" / "seed_1.log"
    assert "epoch  1/1" in log.read_text(), "it is kept"
    assert "spiral_relu, seed 1: test acc" in two.stdout


def test_widths_are_matched_to_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    linear = tmp_path / "straight.yaml"
    linear.write_text((PROJECT / "configs/depth/spiral_linear.yaml").read_text())
    residual = "configs/depth/spiral_residual.yaml"
    place = ["--runs_dir", str(tmp_path), "--name", "m"]
    assert compare.main([SMALL, residual, str(linear), *place, "--match", "parameters", *SMALL_FLAGS]) == 0
    first, other, straight = (int(row["parameters"]) for row in rows(tmp_path / "m"))
    assert other == pytest.approx(first, rel=0.02)
    assert straight == 6
    printed = capsys.readouterr().out
    assert f"| {first:,} " in printed
    assert "| ≈ 6 " in printed
    assert json.loads((tmp_path / "m/spiral_residual/seed_0/result.json").read_text())["parameters"] == other


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_leaves_a_table_and_goes_on(
    stop: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of("Waits", tmp_path, waiting=str(tmp_path))
    (tmp_path / "1").touch()
    whole = [config, "--seeds", "0", "1", "--name", "long", *SMALL_FLAGS, "--trainer.max_epochs=2"]
    with subprocess.Popen(
        command(tmp_path, *whole), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        folder = tmp_path / "long"
        try:
            wait_for(folder / "waits" / "seed_1" / "checkpoints" / "last.ckpt", process)
            process.send_signal(stop)
            out, err = process.communicate(timeout=120)
        finally:
            (tmp_path / "1").unlink()  # else a run that is not stopped would wait for ever
    assert process.returncode == 128 + stop, err
    assert "To go on, type the same command with --resume" in out
    assert "| 1 of 2 |" in out
    assert [row["seed"] for row in rows(folder)] == ["0"]
    first = (folder / "waits" / "seed_0" / "result.json").read_bytes()

    assert compare.main(["--runs_dir", str(tmp_path), "--resume", *whole]) == 0
    again = capsys.readouterr().out
    assert "1 of 2 runs have finished before" in again
    assert "waits, seed 1 was interrupted: it starts again" in again
    assert [row["seed"] for row in rows(folder)] == ["0", "1"]
    assert (folder / "waits" / "seed_0" / "result.json").read_bytes() == first
    assert {row["epochs"] for row in rows(folder)} == {"2"}


def test_going_on_is_refused_with_anything_else_and_takes_more_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main([SMALL, *place, *SMALL_FLAGS]) == 0
    capsys.readouterr()
    assert compare.main([SMALL, *place, "--resume", *SMALL_FLAGS, "--model.lr=0.5"]) == 2
    assert "holds no comparison that this command began" in capsys.readouterr().err
    (folder,) = (path.parent for path in tmp_path.glob("*/plan.json"))
    assert compare.main([SMALL, *place, "--resume", "--name", folder.name, *SMALL_FLAGS, "--model.lr=0.5"]) == 2
    assert "was begun with flags" in capsys.readouterr().err
    assert compare.main([SMALL, *place, "--resume", "--seeds", "0", "1", *SMALL_FLAGS]) == 0
    assert [row["seed"] for row in rows(folder)] == ["0", "1"]


@pytest.mark.usefixtures("one_thread")
def test_printed_lines_run_anywhere_and_are_collected(tmp_path: Path) -> None:
    arguments = [SMALL, "--vary", "model.num_layers=1,2", "--match", "parameters", "--name", "far"]
    printed = run(tmp_path, *arguments, "--print-commands", *SMALL_FLAGS)
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert len(lines) == 2
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(line, shell=True, cwd=elsewhere, env=environment, stdout=subprocess.DEVNULL) for line in lines
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert "--collect far" in printed.stderr
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main([*place, "--collect", "far"]) == 0
    assert compare.main([*place, *arguments[:-1], "here", *SMALL_FLAGS]) == 0
    same = ("config", "seed", "train_loss", "val_acc", "test_acc", "parameters")
    far, near = ([[row[name] for name in same] for row in rows(tmp_path / name)] for name in ("far", "here"))
    assert far == near
    assert (tmp_path / "far" / "comparison").is_dir()


def test_runs_are_listed_shown_and_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main(["list", *place]) == 0
    assert "holds no comparison" in capsys.readouterr().out
    assert compare.main([SMALL, *place, "--name", "kept", *SMALL_FLAGS]) == 0
    table = (tmp_path / "kept" / "summary.md").read_text()
    capsys.readouterr()
    assert compare.main(["list", *place]) == 0
    assert "| kept | 1 of 1 |" in capsys.readouterr().out
    assert compare.main(["show", "kept", *place]) == 0
    assert table in capsys.readouterr().out
    assert compare.main(["prune", "kept", *place]) == 0
    assert "removed" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.ckpt"))
    assert list((tmp_path / "kept" / "spiral_relu" / "seed_0").glob("events.out.*"))
    assert compare.main(["show", "kept", *place]) == 0
    assert table in capsys.readouterr().out
    assert compare.main(["show", "kapt", *place]) == 2
    assert "holds no comparison kapt; there is kept" in capsys.readouterr().err


def test_varied_options_are_columns_of_results_and_hparams(tmp_path: Path) -> None:
    place = ["--runs_dir", str(tmp_path), "--name", "vary"]
    vary = ["--vary", "model.lr=1e-3,0.01", "--vary", "model.activation=relu,tanh"]
    folder = tmp_path / "vary"

    def check_columns(num_seeds: int) -> None:
        grid = [(lr, name) for lr in (0.001, 0.01) for name in ("relu", "tanh") for _ in range(num_seeds)]
        assert [(float(row["model.lr"]), row["model.activation"]) for row in rows(folder)] == grid
        experiment, groups = hparams_page(folder)
        assert {info.name for info in experiment.hparam_infos} == {*results.OPTIONS, "model.lr", "model.activation"}
        assert len(groups) == len(grid), "one line per run"
        found = []
        for group in groups:
            (session,) = group.sessions
            assert session.name == f"{group.hparams['config'].string_value}/seed_{group.hparams['seed'].number_value:g}"
            assert {value.name.tag for value in session.metric_values} == SCORES
            found.append((group.hparams["model.lr"].number_value, group.hparams["model.activation"].string_value))
            assert group.hparams["lr"].number_value == found[-1][0]
        assert sorted(found) == grid

    assert compare.main([SMALL, *vary, *place, *SMALL_FLAGS]) == 0
    check_columns(num_seeds=1)
    assert compare.main([SMALL, *vary, *place, "--seeds", "0", "1", "--resume", *SMALL_FLAGS]) == 0
    check_columns(num_seeds=2)
    for path in [folder / "results.csv", *folder.rglob(f"*/{board.HPARAMS}")]:
        path.unlink()
    assert compare.main(["--runs_dir", str(tmp_path), "--collect", "vary"]) == 0
    check_columns(num_seeds=2)


def test_varied_options_of_a_failed_run_are_in_its_row(tmp_path: Path) -> None:
    place = ["--runs_dir", str(tmp_path), "--name", "fails"]
    assert compare.main([config_of("Raises", tmp_path), "--vary", "model.lr=0.1,0.2", *place, *SMALL_FLAGS]) == 1
    assert [(row["status"], row["model.lr"]) for row in rows(tmp_path / "fails")] == [
        ("failed", "0.1"),
        ("failed", "0.2"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the configs to compare"),
        ([GRU, "--seeds", "0", "1", "0"], "names a seed twice"),
        ([GRU, "--seed", "1"], "--seed is not an option of compare.py; type --seeds"),
        ([GRU, "--trainer.max_epochs", "3"], "for train.py, type it at the end: -- --trainer.max_epochs 3"),
        ([GRU, "--jobs", "0"], "type --jobs 1 or more"),
        ([GRU, "--name", "."], "is not the name of a folder"),
        ([GRU, "--seeds", "-1"], "--seeds -1 is not within 0 and"),
        ([GRU, "--collect", "x"], "--collect takes a name alone"),
        (["list", "x"], "list takes no name, not x"),
        ([SMALL, "configs/plane/bumps.yaml"], "compare them in two comparisons"),
        ([SMALL, "--vary", "model.hidden_size=8,9", "--match", "parameters"], "--match decides --model.hidden_size of"),
        ([GRU, "--seeds", "x"], "argument --seeds: invalid int value: 'x'"),
        (["prune"], "prune takes one name, not none"),
        ([GRU, "--", "--trainer.devices=2", "--trainer.accelerator=cpu"], "asks for 2 devices"),
        ([GRU, "--", "--trainer.max_epoch=2"], "type --trainer.max_epochs 2"),
        ([GRU, "--", "--model.lr=-1"], "lr=-1"),
        ([GRU, "--vary", "model.lr=0.1,-1", "--", "--data.source=subset"], "lr=-1"),
        (["configs/mnist/shalow_mlp.yaml"], "there is no config configs/mnist/shalow_mlp.yaml; type configs/mnist/"),
    ],
)
def test_what_cannot_start_is_refused_before_anything_is_trained(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    place = ["--runs_dir", str(tmp_path / "runs")]
    assert compare.main([*arguments[:split], *place, *arguments[split:]]) == 2
    complaints = capsys.readouterr().err
    assert message in complaints
    assert len(complaints.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    if "devices" in message:
        typed = shlex.split(complaints.split("train it by itself: ")[1])
        assert typed[:3] == [sys.executable, str(PROJECT / "train.py"), "fit"]
        assert arguments[-1] in typed


def test_what_is_running_is_neither_pruned_nor_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--runs_dir", str(tmp_path)]
    typed = [SMALL, "--name", "live", "--", "-c", SMOKE, "--trainer.max_epochs=2000"]
    with subprocess.Popen(
        command(tmp_path, *typed), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        own = tmp_path / "live" / "spiral_relu" / "seed_0"
        wait_for(own / "checkpoints" / "last.ckpt", process)
        codes = [compare.main([*place, *refused]) for refused in (["prune", "live"], ["--resume", *typed])]
        process.kill()  # as a crash would: nothing is tidied up
        process.communicate(timeout=120)  # returns when nobody can write to the console any more: the child has ended
    assert codes == [2, 2]
    assert capsys.readouterr().err.count("is running; wait until it ends, or stop it\n") == 2
    assert (own / "checkpoints" / "last.ckpt").exists()
    assert not (own / results.FILE).exists(), "it went on without its parent, to its end"
    assert compare.main([*place, "prune", "live"]) == 0
    assert not own.exists()


def test_a_failure_is_remembered_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, place = config_of("Raises", tmp_path), ["--runs_dir", str(tmp_path)]
    assert compare.main([config, *place, "--name", "f", *SMALL_FLAGS]) == 1
    capsys.readouterr()
    assert compare.main([*place, "--collect", "f"]) == 1
    assert "raises, seed 0 failed: ZeroDivisionError: a bug in forward" in capsys.readouterr().out
    assert [row["status"] for row in rows(tmp_path / "f")] == ["failed"]
    assert compare.main([config, *place, "--name", "f", "--resume", *SMALL_FLAGS]) == 1
    assert "raises, seed 0 failed: it starts again" in capsys.readouterr().out


def test_networks_that_diverge_leave_a_table(tmp_path: Path) -> None:
    wild = ["--", "-c", SMOKE, "--model.lr=1e30", "--model.optimizer=sgd"]
    place = ["--runs_dir", str(tmp_path), "--name", "wild"]
    assert compare.main(["configs/plane/bumps.yaml", "--seeds", "0", "1", *place, *wild]) == 1
    summary = (tmp_path / "wild" / "summary.md").read_text()
    assert summary.count("failed: step/loss is nan") + summary.count("failed: train/loss is") == 2


def test_an_existing_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    assert compare.main([SHALLOW, "--runs_dir", str(tmp_path), "--name", "taken", *FLAGS]) == 2
    assert f"{folder} exists and is no comparison; choose another --name" in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_a_machine_without_git_has_an_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    described = inspection.environment()
    assert described["commit"] is None
    assert described["torch"]


def test_the_parent_never_loads_torch() -> None:
    code = (
        "import compare, sys; "
        "assert compare.main(['configs/mnist/shallow_mlp.yaml', '--', '--model.lr=-1']) == 2; "
        "assert not {'torch', 'lightning', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
