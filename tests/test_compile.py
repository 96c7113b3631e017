"""`compile` changes the speed of a step and nothing else; where it cannot, it says so."""

import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch

from arguments import PROJECT
from tests.conftest import SMOKE, Fit
from tests.test_train import SHALLOW, curves

ON = "--model.compile=true"


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        (SHALLOW, ["--model.gradient_clip=0.1"]),
        ("mnist/deep_mlp.yaml", ["--model.hidden_size=32", "--model.num_layers=1"]),  # with batch norm and dropout
    ],
)
def test_compiled_training_is_that_of_the_eager_path(config: str, flags: list[str], fit: Fit, tmp_path: Path) -> None:
    # AdamW divides a gradient by its size, and so turns a difference in the last digit into one in the first
    flags = ["-c", SMOKE, "--model.optimizer=sgd", "--model.lr=0.01", "--data.steps_per_execution=7", *flags]
    eager = fit(config, *flags, f"--trainer.logger.init_args.save_dir={tmp_path / 'eager'}")
    compiled = fit(config, *flags, ON, f"--trainer.logger.init_args.save_dir={tmp_path / 'compiled'}")
    assert compiled.model.backward_pass != compiled.model.gradients, "it did compile"
    for name, weights in eager.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[name], weights, rtol=1e-3, atol=1e-4)
    expected, found = curves(tmp_path / "eager"), curves(tmp_path / "compiled")
    assert found.keys() == expected.keys()
    for tag in found.keys() - {"run/seconds"}:
        assert [x for x, _ in found[tag]] == [x for x, _ in expected[tag]]
        assert [y for _, y in found[tag]] == pytest.approx([y for _, y in expected[tag]], rel=1e-3, abs=1e-3)


def test_what_cannot_be_compiled_is_trained_without(fit: Fit, caplog: pytest.LogCaptureFixture) -> None:
    flags = ["-c", SMOKE, "--model.hidden_size=8"]
    eager, compiled = (fit("sequence/lstm.yaml", *flags, *option) for option in ([], [ON]))
    assert "compile=true: PyTorch cannot compile RNN" in caplog.text
    assert "going on without" in caplog.text
    assert compiled.result["train_loss"] == eager.result["train_loss"]
    assert compiled.result["val_loss"] == eager.result["val_loss"]


def test_without_a_compiler_it_trains_too(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    compiled, eager = (fit(SHALLOW, "-c", SMOKE, "--model.hidden_size=17", *option) for option in ([ON], []))
    assert "going on without" in caplog.text
    assert compiled.result["val_loss"] == eager.result["val_loss"]


def test_several_devices_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "train.py", "fit", "-c", f"configs/{SHALLOW}", "-c", SMOKE, ON, "--data.source=subset"]
    flags = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.logger=false"]
    flags.append(f"--checkpoint.dirpath={tmp_path}")
    done = subprocess.run([*command, *flags], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "compile=true is for one device, not for 2; type --model.compile false" in done.stderr
    assert "Traceback" not in done.stderr


class Before(L.Callback):
    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: torch.Tensor) -> None: ...


def test_a_hook_that_would_not_be_called_is_refused(fit: Fit) -> None:
    with pytest.raises(ValueError, match=r"Before\.on_before_backward would not be called"):
        fit(SHALLOW, "-c", SMOKE, f"--trainer.callbacks+={__name__}.Before")
