"""A run that is stopped from outside: it says how to resume, and a job of SLURM finds its own checkpoint only."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch

import train
from engine.paths import PROJECT
from tests.conftest import Fit

SHALLOW = "mnist/shallow_mlp.yaml"


class Preempt(L.Callback):
    """Does at step 6 what SLURM does to a job that it takes the machine from, as often as it is told."""

    times = 0

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == 6 and Preempt.times > 0:
            Preempt.times -= 1
            os.kill(os.getpid(), signal.SIGUSR1)
            raise InterruptedError("the job is killed")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to answer")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_stopped_run_names_its_checkpoint_and_has_an_exit_code(stop: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "train.py", "fit", "-c", f"configs/{SHALLOW}", "--data.source=subset"]
    flags = ["--trainer.max_epochs=100000", f"--trainer.logger.init_args.save_dir={tmp_path}"]
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
    with subprocess.Popen([*command, *flags], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, previous)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch  2"):  # the checkpoint of the first epoch is saved
                process.send_signal(stop)
                break
        rest = process.stdout.read()
    assert process.returncode == 128 + stop
    (path,) = re.findall(r"Stopped\. To resume: python train\.py fit --ckpt_path (.*)", rest)
    steps = torch.load(path, weights_only=True)["global_step"]
    resumed = train.main(["fit", "--ckpt_path", path, f"--trainer.max_steps={steps + 1}", flags[-1]])
    assert resumed.trainer.global_step == steps + 1


@pytest.mark.skipif(sys.platform == "win32", reason="SLURM does not run on Windows")
def test_requeued_job_resumes_and_another_job_does_not(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    first_steps: list[int] = []
    monkeypatch.setattr(
        "models.ShallowMLP.on_train_start", lambda model: first_steps.append(model.trainer.global_step), raising=False
    )
    flags = ["--trainer.max_epochs=2", "--data.batch_size=1000", f"--trainer.callbacks+={__name__}.Preempt"]
    monkeypatch.setattr(Preempt, "times", 1)
    with pytest.raises(InterruptedError):
        fit(SHALLOW, *flags)
    (saved,) = (tmp_path / "runs").rglob("hpc_ckpt_1.ckpt")
    assert saved.parent.parent.name == "slurm"

    monkeypatch.setenv("SLURM_JOB_ID", "8")
    fit(SHALLOW, *flags)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    fit(SHALLOW, *flags, "--model.lr=0.1")  # another run of the same job
    resumed = fit(SHALLOW, *flags)
    assert first_steps == [0, 0, 0, 6]
    assert not saved.exists(), "it would be tested instead of the best checkpoint"
    tested = train.main(["test", f"--ckpt_path={resumed.checkpoint}"])
    assert resumed.result["test_acc"] == pytest.approx(float(tested.trainer.callback_metrics["test/acc"]))


def test_max_time_is_counted_for_each_run(fit: Fit, tmp_path: Path) -> None:
    fit(SHALLOW, "--trainer.max_epochs=1", "--trainer.max_time=00:01:00:00")
    path = next(tmp_path.rglob("last.ckpt"))
    saved = torch.load(path, weights_only=True)
    saved["callbacks"]["Timer"]["time_elapsed"]["train"] = 1e6  # seconds
    torch.save(saved, path)
    resumed = fit(SHALLOW, f"--ckpt_path={path}", "--trainer.max_epochs=2", "--trainer.max_time=00:01:00:00")
    assert resumed.trainer.global_step == 2 * saved["global_step"]
