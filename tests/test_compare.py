"""compare.py as users type it: what it writes and prints, how it resumes, and what happens to runs that fail."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

import compare
import train
from comparison import board, plan
from comparison import run as runs
from comparison.environment import environment
from engine import results
from engine.paths import PROJECT
from tests.conftest import SMOKE
from tests.test_results import SCORES, hparams_page

GRU = "configs/sequence/gru.yaml"
SMALL, RESIDUAL = "configs/depth/spiral_relu.yaml", "configs/depth/spiral_residual.yaml"  # train in less than a second
SMALL_FLAGS = ["--", "-c", SMOKE, "--trainer.limit_train_batches=10"]


def start(runs_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts compare.py as a shell does. `compare.main` is faster, but the output of its children is not captured."""
    typed = [sys.executable, str(PROJECT / "compare.py"), "--runs_dir", str(runs_dir), *arguments]
    return subprocess.Popen(typed, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of `compare.main` are the same to the bit as those of `run`."""
    monkeypatch.setattr("comparison.processes.num_cores", lambda: 1)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def columns(folder: Path, *names: str) -> list[list[str]]:
    return [[row[name] for name in names] for row in rows(folder)]


def config_of(model: str, folder: Path, **options: str) -> str:
    """A config of a model of tests/broken.py."""
    path = folder / f"{model.lower()}.yaml"
    data = {"class_path": "Plane", "init_args": {"shape": "spiral"}}
    broken = {"class_path": f"tests.broken.{model}", "init_args": options}
    path.write_text(yaml.safe_dump({"model": broken, "data": data}))
    return str(path)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "images": 0}).Reload()


def test_comparison_writes_a_table_and_a_tensorboard_page(tmp_path: Path) -> None:
    narrow = [*SMALL_FLAGS, "--model.hidden_size=8"]
    with start(tmp_path, SMALL, RESIDUAL, "--seeds", "0", "1", "--name", "both", *narrow) as process:
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    folder = tmp_path / "both"

    table = rows(folder)
    assert list(table[0]) == results.COLUMNS
    assert columns(folder, "config", "seed", "model", "data", "status", "epochs") == [
        ["spiral_relu", "0", "DeepMLP", "Plane-spiral", "finished", "1"],
        ["spiral_relu", "1", "DeepMLP", "Plane-spiral", "finished", "1"],
        ["spiral_residual", "0", "ResidualMLP", "Plane-spiral", "finished", "1"],
        ["spiral_residual", "1", "ResidualMLP", "Plane-spiral", "finished", "1"],
    ]
    for row in table:
        assert 0 < float(row["val_acc"]) <= 1
        assert 0 < float(row["test_acc"]) <= 1
        measured = ("seconds", "seconds_per_epoch", "samples_per_second", "peak_memory_mib")
        assert all(float(row[name]) > 0 for name in (*measured, "train_loss", "val_loss", "test_loss"))
        assert list((folder / row["config"] / f"seed_{row['seed']}").glob("events.out.*"))
    assert table[0]["parameters"] == str((2 + 1) * 8 + (8 + 1) * 2)
    assert table[0]["train_loss"] != table[1]["train_loss"], "the seed reaches the run"

    summary = (folder / "summary.md").read_text()
    assert summary in stdout
    assert summary.count("±") >= 4
    assert "3 seeds of each: --seeds 0 1 2." in summary
    assert not stderr
    assert "epoch  1/1" in stdout, "progress is visible"

    tensorboard = shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)])
    assert stdout.splitlines().count(tensorboard) == 2, "when the first run starts, and at the end"
    link = stdout.splitlines()[-1]
    view = parse_qs(urlparse(link).query)
    assert urlparse(link).fragment == "timeseries"
    assert view["runColorGroup"] == ["regex:^([^/]+)/"]
    assert view["runFilter"] == ["/mean$|^comparison$"]
    assert [card["tag"] for card in json.loads(view["pinnedCards"][0])] == ["val/acc", "val/loss", "train/loss"]

    summary_run = events(folder / "comparison")
    figures = ["learning_curves", *(f"test_acc_against_{name}" for name in ("depth", "parameters", "seconds"))]
    assert sorted(summary_run.Tags()["images"]) == [f"comparison/{name}" for name in figures]
    assert sorted(path.stem for path in (folder / "figures").glob("*.png")) == figures
    (text,) = summary_run.Tensors("comparison/text_summary")
    assert text.tensor_proto.string_val[0].decode() == summary
    (content,) = summary_run.Tensors("custom_scalars__config__")
    (category,) = layout_pb2.Layout.FromString(content.tensor_proto.string_val[0]).category
    assert [chart.title for chart in category.chart][-2:] == ["training accuracy", "validation accuracy"]

    seeds, mean = (
        [events(folder / "spiral_relu" / f"seed_{seed}") for seed in (0, 1)],
        events(folder / "spiral_relu" / "mean"),
    )
    for tag in ("train/loss", "val/loss", "val/acc", "gap/acc"):
        (value,) = mean.Scalars(tag)
        assert value.step == 1
        assert value.value == pytest.approx(sum(one.Scalars(tag)[0].value for one in seeds) / 2, rel=1e-5)
    (margin,) = category.chart[-1].margin.series
    assert min(mean.Tags()["scalars"]).startswith("acc_mean/"), "the page SCALARS begins with the accuracies"
    low, middle, high = (mean.Scalars(tag)[0].value for tag in (margin.lower, margin.value, margin.upper))
    first, second = (one.Scalars("val/acc")[0].value for one in seeds)
    assert middle == pytest.approx((first + second) / 2)
    assert high - middle == pytest.approx(middle - low, abs=1e-6)
    assert high - middle == pytest.approx(abs(first - second) / 2**0.5, rel=1e-3)
    assert not {margin.value, "hp_metric"} & set(seeds[0].Tags()["scalars"])


def test_failed_runs_are_rows_and_the_others_finish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [config_of("Raises", tmp_path), config_of("Dies", tmp_path), SMALL]
    place = ["--runs_dir", str(tmp_path), "--name", "some", "--jobs", "2"]
    assert compare.main([*configs, *place, *SMALL_FLAGS]) == 1
    assert columns(tmp_path / "some", "status", "error", "test_acc")[:2] == [
        ["failed", "ZeroDivisionError: a bug in forward", ""],
        ["failed", "the process ended with exit code 7 and no result", ""],
    ]
    assert rows(tmp_path / "some")[2]["status"] == "finished"
    log = tmp_path / "some" / "raises" / "seed_0.log"
    assert f"raises, seed 0 failed: ZeroDivisionError: a bug in forward; see {log}" in capsys.readouterr().out
    assert ", in forward" in log.read_text(), "a bug keeps its traceback"


@pytest.mark.usefixtures("one_thread")
def test_jobs_do_not_change_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--runs_dir", str(tmp_path), SMALL, "--seeds", "0", "1"]
    narrow = [*SMALL_FLAGS, "--model.hidden_size=16"]
    assert compare.main([*arguments, "--name", "one", *narrow]) == 0
    assert compare.main([*arguments, "--name", "two", "--jobs", "2", *narrow]) == 0
    same = ("config", "seed", "train_loss", "val_loss", "val_acc", "test_loss", "test_acc", "parameters")
    assert columns(tmp_path / "one", *same) == columns(tmp_path / "two", *same)
    assert "epoch  1/1" in (tmp_path / "two" / "spiral_relu" / "seed_1.log").read_text(), "not mixed on the console"
    assert "spiral_relu, seed 1: test acc" in capsys.readouterr().out
    described = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert described["device"] == "cpu" or described["device"].startswith("NVIDIA")
    assert described["jobs"] == 2
    assert {"machine", "cores", "threads", "torch", "lightning", "commit", "dirty"} <= set(described)


def test_match_gives_all_models_the_size_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [SMALL, RESIDUAL, "configs/depth/spiral_linear.yaml"]
    place = ["--runs_dir", str(tmp_path), "--name", "m"]
    assert compare.main([*configs, *place, "--match", "parameters", *SMALL_FLAGS]) == 0
    first, residual, linear = (int(row["parameters"]) for row in rows(tmp_path / "m"))
    assert residual == pytest.approx(first, rel=0.02)
    assert linear == 6, "it has no width"
    printed = capsys.readouterr().out
    assert f"| {first:,} " in printed


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_comparison_leaves_a_table_and_resumes(
    stop: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of("Waits", tmp_path, waiting=str(tmp_path))
    (tmp_path / "1").touch()
    typed = ["--runs_dir", str(tmp_path), config, "--seeds", "0", "1", *SMALL_FLAGS, "--trainer.max_epochs=2"]
    has_ended = threading.Event()

    def stop_second_run() -> None:
        while not has_ended.is_set():
            if list(tmp_path.glob("*/waits/seed_1/checkpoints/last.ckpt")):
                os.kill(os.getpid(), stop)
                return
            time.sleep(0.05)

    # as when a person starts compare.py: the tests may run where Ctrl-C is ignored
    handlers = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=stop_second_run)
    thread.start()
    try:
        assert compare.main(typed) == 128 + stop
    finally:
        has_ended.set()
        thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        (tmp_path / "1").unlink()
    out = capsys.readouterr().out
    assert "| 1 of 2 |" in out
    (folder,) = (path.parent for path in tmp_path.glob("*/plan.json"))
    assert columns(folder, "seed") == [["0"]]
    first = (folder / "waits" / "seed_0" / "result.json").read_bytes()

    to_resume = shlex.split(out.splitlines()[-1])
    assert to_resume[:2] == [sys.executable, str(PROJECT / "compare.py")]
    assert to_resume[2:4] == ["resume", folder.name]
    assert compare.main(to_resume[2:]) == 0
    again = capsys.readouterr().out
    assert "1 of 2 runs are finished" in again
    assert "Restarting waits, seed 1, which was interrupted" in again
    assert columns(folder, "seed", "epochs") == [["0", "2"], ["1", "2"]]
    assert (folder / "waits" / "seed_0" / "result.json").read_bytes() == first


def test_resume_accepts_more_seeds(tmp_path: Path) -> None:
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main([SMALL, *place, *SMALL_FLAGS]) == 0
    (folder,) = (path.parent for path in tmp_path.glob("*/plan.json"))
    assert compare.main(["resume", folder.name, *place, "--seeds", "0", "1"]) == 0
    assert columns(folder, "seed") == [["0"], ["1"]]


def test_run_that_may_be_running_elsewhere_is_not_restarted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main([SMALL, *place, "--name", "far", "--print-commands", *SMALL_FLAGS]) == 0
    run = tmp_path / "far" / "spiral_relu" / "seed_0"
    run.mkdir(parents=True)
    assert compare.main(["resume", "far", *place]) == 2
    assert f"rm -r {run}" in capsys.readouterr().err
    assert run.exists()


@pytest.mark.usefixtures("one_thread")
def test_printed_commands_run_anywhere_and_are_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["--runs_dir", str(tmp_path)]
    arguments = [*place, SMALL, "--vary", "model.num_layers=1,2", "--match", "parameters", "--name", "far"]
    assert compare.main([*arguments, "--print-commands", *SMALL_FLAGS]) == 0
    printed = capsys.readouterr()
    assert "collect far" in printed.err
    first, second = (shlex.split(line) for line in printed.out.splitlines())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    subprocess.run(first, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    assert second[:2] == first[:2] == [sys.executable, str(PROJECT / "train.py")]
    train.main(second[2:])
    assert compare.main(["collect", "far", *place]) == 0
    monkeypatch.chdir(PROJECT)
    assert compare.main([*arguments[:-1], "here", *SMALL_FLAGS]) == 0
    same = ("config", "seed", "train_loss", "val_acc", "test_acc", "parameters")
    assert columns(tmp_path / "far", *same) == columns(tmp_path / "here", *same)
    assert (tmp_path / "far" / "comparison").is_dir()


def test_prune_asks_and_keeps_tables_and_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["--runs_dir", str(tmp_path)]
    assert compare.main([SMALL, *place, "--name", "kept", *SMALL_FLAGS]) == 0
    table = (tmp_path / "kept" / "summary.md").read_text()
    assert compare.main(["prune", "kapt", *place]) == 2
    assert "contains no comparison kapt; type kept" in capsys.readouterr().err

    checkpoints = list(tmp_path.rglob("*.ckpt"))
    assert compare.main(["prune", "kept", *place]) == 2
    assert "there is no terminal to ask; add --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert compare.main(["prune", "kept", *place]) == 1
    assert list(tmp_path.rglob("*.ckpt")) == checkpoints
    assert compare.main(["prune", "kept", *place, "--yes"]) == 0
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in checkpoints)
    assert not list(tmp_path.rglob("*.ckpt"))
    assert list((tmp_path / "kept" / "spiral_relu" / "seed_0").glob("events.out.*"))
    assert compare.main(["collect", "kept", *place]) == 0
    assert table in capsys.readouterr().out


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
    assert compare.main(["resume", "vary", "--runs_dir", str(tmp_path), "--seeds", "0", "1"]) == 0
    check_columns(num_seeds=2)
    for path in [folder / "results.csv", *folder.rglob(f"*/{board.HPARAMS}")]:
        path.unlink()
    assert compare.main(["collect", "vary", "--runs_dir", str(tmp_path)]) == 0
    check_columns(num_seeds=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "type the configs to compare"),
        ([GRU, "--seed", "1"], "--seed is not an option of compare.py; type --seeds"),
        ([GRU, "--trainer.max_epochs", "3"], "for train.py, type it at the end: -- --trainer.max_epochs 3"),
        (["collect", "x", "--jobs", "2"], "--jobs is not an option of compare.py collect"),
        ([GRU, "--jobs", "0"], "--jobs 0 must be at least 1"),
        (["resume", "x", "--jobs", "0"], "--jobs 0 must be at least 1"),
        ([GRU, "--name", "."], "must be the name of a folder"),
        ([GRU, "--resume"], "type compare.py resume NAME"),
        (["resume", "x", "--vary", "model.lr=1"], "--vary is not an option of compare.py resume; leave it out"),
        (["prune"], "the following arguments are required: NAME"),
        (["resume", "x"], "contains no comparison x; start one"),
        (["resume", "x", "--", "--model.lr=1"], "resume takes no flags for train.py; leave out --model.lr=1"),
        ([GRU, "--seeds", "x"], "argument --seeds: invalid int value: 'x'"),
        (["configs/mnist/shalow_mlp.yaml"], "there is no config configs/mnist/shalow_mlp.yaml; type configs/mnist/"),
        ([SMALL, "configs/plane/bumps.yaml"], "compare each task separately"),
        ([SMALL, "--vary", "model.hidden_size=8,9", "--match", "parameters"], "--match chooses --model.hidden_size"),
        ([SMALL, "--vary", "lr=0.1,0.2"], "type --vary model.lr="),
        ([SMALL, "--vary", "model.num_layer=1,2"], "model.num_layers"),
        ([SMALL, "--", "--trainer.max_epoch=2"], "trainer.max_epochs"),
        ([SMALL, "--", "--trainer.logger=false"], "sets trainer.logger for each run; leave it out"),
        ([SMALL, "--vary", "model.lr=0.1,-1"], "lr=-1"),
    ],
)
def test_wrong_input_is_refused_before_anything_runs(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    place = ["--runs_dir", str(tmp_path / "runs")]
    assert compare.main([*arguments[:split], *place, *arguments[split:]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_running_comparison_is_neither_pruned_nor_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--runs_dir", str(tmp_path)]
    typed = [SMALL, "--name", "live", "--", "-c", SMOKE, "--trainer.max_epochs=2000"]
    with start(tmp_path, *typed) as process:
        folder = tmp_path / "live" / "spiral_relu" / "seed_0"
        wait_for(folder / "checkpoints" / "last.ckpt", process)
        codes = [compare.main([*refused, *place]) for refused in (["prune", "live", "--yes"], ["resume", "live"])]
        process.kill()  # as a crash would
        process.communicate(timeout=120)  # returns when the child has ended too, as it writes to the same pipe
    assert codes == [2, 2]
    assert capsys.readouterr().err.count("is running; wait until it ends, or stop it\n") == 2
    assert (folder / "checkpoints" / "last.ckpt").exists()
    assert not (folder / results.FILE).exists(), "the run went on without its parent"
    assert compare.main(["prune", "live", *place, "--yes"]) == 0
    assert (folder / "checkpoints" / "last.ckpt").exists(), "the run can be resumed"


def test_failed_run_is_shown_and_runs_again_on_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, place = config_of("Raises", tmp_path), ["--runs_dir", str(tmp_path)]
    arguments = [config, *place, "--name", "f", "--vary", "model.lr=0.1,0.2"]
    assert compare.main([*arguments, *SMALL_FLAGS]) == 1
    assert columns(tmp_path / "f", "status", "model.lr") == [["failed", "0.1"], ["failed", "0.2"]]
    capsys.readouterr()
    assert compare.main(["collect", "f", *place]) == 1
    assert "lr=0.1, seed 0 failed: ZeroDivisionError: a bug in forward" in capsys.readouterr().out
    assert compare.main(["resume", "f", *place]) == 1
    assert "Restarting lr=0.1, seed 0, which failed" in capsys.readouterr().out


def test_diverged_runs_are_failed_rows(tmp_path: Path) -> None:
    wild = ["--", "-c", SMOKE, "--model.lr=1e30", "--model.optimizer=sgd"]
    place = ["--runs_dir", str(tmp_path), "--name", "wild"]
    assert compare.main(["configs/plane/bumps.yaml", "--seeds", "0", "1", *place, *wild]) == 1
    summary = (tmp_path / "wild" / "summary.md").read_text()
    assert summary.count("failed: step/loss is nan") + summary.count("failed: train/loss is") == 2


def test_existing_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    assert compare.main([SMALL, "--runs_dir", str(tmp_path), "--name", "taken", *SMALL_FLAGS]) == 2
    assert "taken exists; type compare.py resume taken, or another --name" in capsys.readouterr().err
    assert not list((tmp_path / "taken").iterdir())


def test_unnamed_comparisons_have_different_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "check", lambda made: None)
    made = plan.make([SMALL], [], [], [0])
    assert len({runs.create(made, None, tmp_path) for _ in range(3)}) == 3


def test_environment_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    described = environment()
    assert described["commit"] is None
    assert described["torch"]


def test_parent_process_does_not_load_torch() -> None:
    code = """
import sys
import compare, comparison.check
from engine.errors import InputError

def in_child(*arguments):
    raise InputError("the answer of a child process")

comparison.check.in_child = in_child
assert compare.main(["configs/mnist/shallow_mlp.yaml"]) == 2
assert not {"torch", "lightning", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
