"""Several processes train as one does, and a run that has lost one of them ends and can go on."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import train
from engine.cli import CLI, InputError
from engine.paths import PROJECT
from tests import two_processes
from tests.conftest import Fit, build
from tests.test_train import SHALLOW, curves

DDP = str(PROJECT / "configs" / "extras" / "ddp.yaml")
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]
GUARD = 120  # seconds: far more than anything here takes


def torchrun(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--master_addr", "127.0.0.1", *arguments]


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a command in the project, its output in a file."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=file, stderr=subprocess.STDOUT)


def log_dir(cli: CLI) -> Path:
    logger: Any = cli.trainer.logger
    return Path(logger.log_dir)


def furthest(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest absolute difference of two sets of tensors or numbers with the same names."""
    assert one.keys() == other.keys()
    return max(float((torch.as_tensor(one[name]) - torch.as_tensor(other[name])).abs().max()) for name in one)


def differences(name: str, cli: CLI, folder: Path) -> list[str]:
    """What sets the run of two processes apart from that of one, and should not."""
    first, second = (torch.load(folder / f"{name}.{rank}.pt", weights_only=True) for rank in (0, 1))
    parameters = dict(cli.model.named_parameters())
    own, of_first, of_second = (
        {name: weights[name].clone() for name in parameters}
        for weights in (cli.model.state_dict(), first["weights"], second["weights"])
    )
    found = []
    if furthest(of_first, of_second) > 0:
        found.append("the processes hold different weights")
    if first["validation"] != second["validation"]:
        found.append("the processes have different metrics")
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in cli.model.modules()):
        # other statistics, other weights: but what was validated is what the checkpoint holds
        cli.model.load_state_dict(first["weights"])
        (metrics,) = cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
        expected = {name: metrics[f"val/{name}"] for name in first["validation"][10]}
        if not furthest(first["validation"][10], expected) < 1e-5:
            found.append(f"{first['validation'][20]} was logged of weights that have {expected}")
    else:
        if not (far := furthest(own, of_first)) < 1e-10:
            found.append(f"weights differ by {far}")
        scores = [name for name in cli.result if name.startswith(("train_", "val_"))]
        if (
            not (far := furthest(*({name: row[name] for name in scores} for row in (cli.result, first["result"]))))
            < 1e-5
        ):
            found.append(f"metrics differ by {far}")
    (run,) = (folder / name).iterdir()
    events = [path.name.split(".")[-2] for path in run.glob("events.out.tfevents.*")]  # process ids
    if len(set(events)) != 1 or len(events) != len(list(log_dir(cli).glob("events.*"))):
        found.append(f"curves were written by processes {events}")
    if sorted(path.name for path in run.glob("checkpoints/*")) != ["best.ckpt", "last.ckpt"]:
        found.append("not one best and one last checkpoint")
    return found


def test_two_processes_equal_one_for_every_model(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    command = torchrun("--master_port", free_port(), "--nproc_per_node", "2", "--module", "tests.two_processes")
    process = start([*command, str(folders[1])], tmp_path / "log")
    alone = list(two_processes.fits(folders[0]))  # at the same time
    code = process.wait(GUARD)
    printed = (tmp_path / "log").read_text()
    assert code == 0, printed
    assert "Warning" not in printed
    assert printed.count("parameters, on ") == len(alone), "one process tells"
    assert not {name: found for name, cli in alone if (found := differences(name, cli, folders[1]))}


def test_two_processes_with_uneven_shares_equal_one(fit: Fit, tmp_path: Path) -> None:
    flags = ["--data.val_size=501", "--trainer.max_epochs=2", "--test_checkpoint=last"]
    place = f"--trainer.logger.init_args.save_dir={tmp_path / 'two'}"
    command = [sys.executable, "train.py", "fit", "-c", f"configs/{SHALLOW}", "--data.source=subset", place, *TWO]
    process = start([*command, "--trainer.accelerator=cpu", *flags], tmp_path / "log")
    one = fit(SHALLOW, *flags)
    assert process.wait(GUARD) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text().count("\ntest ") == 1
    found, expected = curves(tmp_path / "two"), curves(log_dir(one))
    assert found.pop("run/seconds")
    assert expected.pop("run/seconds")
    assert found.keys() == expected.keys()
    for tag, points in expected.items():
        assert [x for x, _ in found[tag]] == [x for x, _ in points], tag
        assert [y for _, y in found[tag]] == pytest.approx([y for _, y in points], abs=1e-5), tag


def test_run_ends_and_can_be_resumed_after_a_process_is_lost(tmp_path: Path) -> None:
    node = ["--nnodes", "2", "--nproc_per_node", "1", "--master_port", free_port()]
    fit = ["train.py", "fit", "-c", f"configs/{SHALLOW}", "-c", DDP, "--data.source=subset", "--trainer.num_nodes=2"]
    fit += ["--trainer.accelerator=cpu", "--trainer.max_epochs=100000", "--model.schedule=constant"]
    fit += [f"--trainer.logger.init_args.save_dir={tmp_path}"]
    logs = tmp_path / "0.log", tmp_path / "1.log"
    nodes = [start(torchrun(*node, "--node_rank", str(rank), *fit), logs[rank]) for rank in (0, 1)]
    workers: list[int] = []
    last = tmp_path / "shallow_mlp" / "version_0" / "checkpoints" / "last.ckpt"
    try:
        end = time.monotonic() + GUARD
        while not last.exists() and time.monotonic() < end and nodes[0].poll() is None:
            time.sleep(0.1)
        assert last.exists(), logs[0].read_text()
        # torchrun gives its process a session of its own, which outlives it
        children = [subprocess.run(["pgrep", "-P", str(one.pid)], capture_output=True, check=True) for one in nodes]
        workers = [int(child.stdout) for child in children]
        for killed in (nodes[1].pid, workers[1]):
            os.kill(killed, signal.SIGKILL)
        assert nodes[0].wait(GUARD) == 1
    finally:
        for pid in (*workers, *(one.pid for one in nodes if one.poll() is None)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for one in nodes:
            one.wait()
    printed = logs[0].read_text()
    (line,) = [line for line in printed.splitlines() if line.startswith("train.py: ")]
    assert line.startswith("train.py: another process of this run ended or stopped responding (")
    assert line.endswith(f"to resume: python train.py fit --ckpt_path {last}")
    epoch = torch.load(last, weights_only=True)["epoch"] + 1
    place = f"--trainer.logger.init_args.save_dir={tmp_path / 'on'}"
    cli = train.main(["fit", "--ckpt_path", str(last), f"--trainer.max_epochs={epoch + 2}", place])
    assert cli.trainer.world_size == 1
    assert cli.trainer.current_epoch == epoch + 2
    assert list(cli.history.validation) == [15 * (epoch + 1), 15 * (epoch + 2)]


def test_processes_that_would_train_one_by_one_are_refused(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}  # as torchrun sets them with --nproc_per_node 2
    ranks = dict.fromkeys(("RANK", "LOCAL_RANK", "GROUP_RANK"), "0")
    for name, value in {**sizes, **ranks, "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"You set `devices=1` .* does not match the world size \(2\)"):
        fit(SHALLOW)


def test_the_samples_of_every_device_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(PROJECT / "configs" / SHALLOW, "--data.val_size=20").datamodule
    monkeypatch.setattr(data, "rank_and_world_size", lambda: (1, 4))
    with pytest.raises(ValueError, match="4 devices cannot share the 2 samples of the val split"):
        data.val_dataloader()
    data.batch_size = 254
    with pytest.raises(ValueError, match=r"batch_size=254 cannot be shared among 4 devices; use batch_size=252"):
        data.train_dataloader()


def test_predict_takes_one_device(fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
    last = next(tmp_path.rglob("last.ckpt"))
    with pytest.raises(ValueError, match=r"predict takes one device, not 2; type --trainer.devices 1"):
        train.main(["predict", "--ckpt_path", str(last), *TWO, "--trainer.accelerator=cpu"])


def test_the_extra_gives_up_sooner_than_pytorch() -> None:
    strategy: Any = build(PROJECT / "configs" / SHALLOW, "-c", DDP).trainer.strategy
    assert strategy._timeout.total_seconds() == 300
