"""What needs a GPU; the same runs on a CPU are in the other files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from datamodules import MNIST
from engine.paths import PROJECT
from tests.callbacks.test_insight import INSIGHT
from tests.conftest import CONFIGS, ONE_OF_EACH, SMOKE, Fit, config_id

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")


@pytest.mark.parametrize("path", CONFIGS, ids=config_id)
def test_a_gpu_needs_no_other_command_and_agrees_with_the_cpu(path: Path, fit: Fit) -> None:
    flags = ["-c", SMOKE, "--data.batch_size=100"]
    on_gpu = fit(path, *flags, "--trainer.accelerator=auto")
    on_cpu = fit(path, *flags)
    assert on_gpu.datamodule.splits["train"][0].is_cuda, "the data lives where the training is"
    if on_cpu.model.hparams.get("dropout", 0.0) == 0.0:  # the two draw different units
        assert on_gpu.result["val_loss"] == pytest.approx(on_cpu.result["val_loss"], rel=0.05)


@pytest.mark.parametrize("path", CONFIGS, ids=config_id)
def test_bf16_trains(path: Path, fit: Fit) -> None:
    gpu = str(PROJECT / "configs" / "extras" / "gpu.yaml")
    few = ["--data.batch_size=100", "--trainer.max_epochs=10"]  # data sets of hundreds have no batch of 1,024
    cli = fit(path, "-c", gpu, *few, "--trainer.accelerator=cuda")
    first, *_, last = (row["loss"] for row in cli.history.validation.values())
    assert last < first


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=config_id)
def test_looking_inside_changes_nothing_on_a_gpu_either(path: Path, fit: Fit) -> None:
    flags = [
        "-c",
        SMOKE,
        "-c",
        str(PROJECT / "configs" / "extras" / "deterministic.yaml"),
        "--trainer.accelerator=cuda",
    ]
    without, looked_at = fit(path, *flags), fit(path, *flags, "-c", INSIGHT)
    assert looked_at.result["val_loss"] == without.result["val_loss"]


def test_deterministic_gives_the_same_bits(fit: Fit) -> None:
    extra = str(PROJECT / "configs" / "extras" / "deterministic.yaml")
    first, second = (fit("mnist/resnet.yaml", "-c", SMOKE, "-c", extra, "--trainer.accelerator=cuda") for _ in range(2))
    assert first.result["train_loss"] == second.result["train_loss"]
    assert first.result["test_loss"] == second.result["test_loss"]


def test_images_are_moved_where_they_are_as_on_the_cpu() -> None:
    data = MNIST(shift=2, rotation=10, scale=0.1)
    images, draws = torch.randn(5, 1, 28, 28), torch.rand(5, data.num_draws)
    moved = data.augment(images.cuda(), draws.cuda())
    assert moved.is_cuda
    torch.testing.assert_close(moved.cpu(), data.augment(images, draws), atol=1e-4, rtol=0)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA GPUs on this machine")
def test_two_gpus_train_as_one(tmp_path: Path) -> None:
    command = [sys.executable, "train.py", "fit", "-c", "configs/mnist/shallow_mlp.yaml", "-c", SMOKE]
    losses = []
    for devices in (1, 2):
        flags = ["--data.source=subset", "--data.batch_size=100", "--trainer.accelerator=cuda"]
        place = f"--trainer.logger.init_args.save_dir={tmp_path / str(devices)}"
        subprocess.run([*command, *flags, place, f"--trainer.devices={devices}"], cwd=PROJECT, check=True)
        (result,) = (tmp_path / str(devices)).rglob("result.json")
        losses.append(json.loads(result.read_text())["val_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
