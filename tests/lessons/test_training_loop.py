"""The training loop of lesson 4 gives the same losses as `train.py fit`."""

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch

from engine.paths import CONFIGS, PROJECT
from tests.conftest import Fit, build, config_id
from tests.test_train import curves

NETWORKS = ["mnist/shallow_mlp", "mnist/lenet", "mnist/resnet"]


def loop_of_the_lesson() -> Any:
    cells = nbformat.read(PROJECT / "lessons" / "04_training_loop.ipynb", as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.source.startswith("def fit(")]
    names: dict[str, Any] = {"np": np, "torch": torch}
    exec(source, names)
    return names["fit"]


@pytest.mark.parametrize("path", [CONFIGS / f"{name}.yaml" for name in NETWORKS], ids=config_id)
def test_the_loop_of_lesson_4_gives_the_losses_of_fit(path: Path, fit: Fit, tmp_path: Path) -> None:
    cut = ["--data.batch_size=400", "--trainer.max_epochs=2"]
    fit(path, *cut, "--trainer.log_every_n_steps=1", "--test_checkpoint=none")
    by_hand = build(path, *cut)
    assert by_hand.trainer.gradient_clip_val is None
    losses, validation = loop_of_the_lesson()(by_hand.model, by_hand.datamodule, max_epochs=2)
    found = curves(tmp_path)
    assert [value for _, value in found["step/loss"]] == losses
    assert [value for _, value in found["val/loss"]] == pytest.approx([loss for loss, _ in validation], rel=1e-6)
