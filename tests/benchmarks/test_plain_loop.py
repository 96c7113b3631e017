"""The answer to "what does Lightning do for me?": nothing to the losses."""

from pathlib import Path

import pytest
import yaml

from benchmarks import plain_loop
from engine.checkpoints import AUGMENTATION
from engine.paths import CONFIGS
from tests.conftest import Fit, build, config_id
from tests.test_train import curves

NETWORKS = ["mnist/shallow_mlp", "mnist/resnet", "sequence/lstm", "memory/adding_gru", "plane/bumps"]


@pytest.mark.parametrize("path", [CONFIGS / f"{name}.yaml" for name in NETWORKS], ids=config_id)
def test_plain_loop_gives_the_same_losses_as_fit(path: Path, fit: Fit, tmp_path: Path) -> None:
    cut = ["--data.batch_size=400", "--trainer.max_epochs=2"]
    options = yaml.safe_load(path.read_text())["data"].get("init_args", {})
    cut += [f"--data.{name}=0" for name in AUGMENTATION & set(options)]  # the plain loop does not augment
    fit(path, *cut, "--trainer.log_every_n_steps=1", "--test_checkpoint=none")
    by_hand = build(path, *cut)
    clip = by_hand.trainer.gradient_clip_val
    losses, validation = plain_loop.fit(by_hand.model, by_hand.datamodule, max_epochs=2, gradient_clip_val=clip)
    found = curves(tmp_path)
    assert [value for _, value in found["step/loss"]] == losses
    assert [value for _, value in found["val/loss"]] == [means["loss"] for means in validation]
