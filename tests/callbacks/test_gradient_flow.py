"""Gradient norms and update ratios."""

from pathlib import Path

import pytest
import torch

from engine.paths import PROJECT
from tests.callbacks.test_insight import arrays, events
from tests.conftest import SMOKE, Fit, build

CONFIG = PROJECT / "configs" / "plane" / "bumps.yaml"
ON = "--trainer.callbacks+=GradientFlow"


def linear_config(folder: Path) -> Path:
    """A linear network trained by SGD."""
    path = folder / "linear.yaml"
    path.write_text(
        "model:\n  class_path: Linear\n  init_args:\n    optimizer: sgd\n    momentum: 0.0\n    weight_decay: 0.0\n"
        "    schedule: constant\n    warmup_ratio: 0.0\n    lr: 0.05\n"
        "data:\n  class_path: Plane\n  init_args:\n    shape: bumps\n"
    )
    return path


@pytest.mark.parametrize("gradient_clip", [0.0, 1e-3])
def test_norm_and_update_ratio_of_a_linear_network(gradient_clip: float, fit: Fit, tmp_path: Path) -> None:
    path = linear_config(tmp_path)
    clip = f"--trainer.gradient_clip_val={gradient_clip}"
    cli = build(path, clip)
    inputs, targets = (part.double() for part in next(iter(cli.datamodule.train_dataloader())))
    weight, bias = cli.model.head.weight.detach().double(), cli.model.head.bias.detach().double()
    errors = inputs @ weight.T + bias - targets
    by_weight = 2 / len(inputs) * errors.T @ inputs  # of the mean squared error
    whole = torch.cat([by_weight.flatten(), 2 / len(inputs) * errors.sum(0)]).norm()
    scale = min(1.0, gradient_clip / float(whole)) if gradient_clip else 1.0

    fit(path, "-c", SMOKE, clip, ON, "--test_checkpoint=none")
    logged = events(tmp_path)
    norms, ratios = logged.Scalars("gradient_norm/head"), logged.Scalars("update_ratio/head")
    assert [event.step for event in norms] == [event.step for event in ratios] == [1, 5, 10, 15, 20]
    assert norms[0].value == pytest.approx(float(by_weight.norm()), rel=1e-4), "before clipping"
    assert ratios[0].value == pytest.approx(0.05 * scale * float(by_weight.norm() / weight.norm()), rel=1e-3)
    assert {event.value for event in logged.Scalars("gradient_flow/log10_first_over_last")} == {0.0}


def test_figure_shows_mean_norms_since_the_previous_figure(fit: Fit, tmp_path: Path) -> None:
    fit(CONFIG, "-c", SMOKE, "--trainer.max_epochs=2", ON, "--test_checkpoint=none")
    curve = {event.step: event.value for event in events(tmp_path).Scalars("gradient_norm/blocks.0.0")}
    steps_per_epoch = max(curve) // 2
    second = [value for step, value in curve.items() if step > steps_per_epoch]
    saved = arrays(tmp_path, "GradientFlow")
    assert list(saved["layers"]) == ["blocks.0.0", "blocks.1.0", "blocks.2.0", "head"]
    assert saved["norms"][0] == pytest.approx(sum(second) / len(second), rel=1e-4)


def log_ratio(config: str, fit: Fit, folder: Path) -> float:
    """log10 of the first layer's gradient norm divided by the head's, at the first step of 20 layers."""
    flags = ["-c", SMOKE, "--model.num_layers=20", "--model.hidden_size=32", "--test_checkpoint=none"]
    fit(config, *flags, ON, f"--trainer.logger.init_args.save_dir={folder}")
    return events(folder).Scalars("gradient_flow/log10_first_over_last")[0].value


def test_gradients_vanish_in_deep_sigmoid_networks_only(fit: Fit, tmp_path: Path) -> None:
    assert log_ratio("depth/mnist_sigmoid.yaml", fit, tmp_path / "sigmoid") < -8
    assert abs(log_ratio("depth/mnist_residual.yaml", fit, tmp_path / "residual")) < 1
    assert abs(log_ratio("depth/mnist_relu.yaml", fit, tmp_path / "relu")) < 2


def test_every_epoch_has_a_figure_if_log_every_n_steps_is_large(fit: Fit, tmp_path: Path) -> None:
    flags = ["-c", SMOKE, "--trainer.max_epochs=3", "--trainer.log_every_n_steps=1000", "--test_checkpoint=none"]
    fit(CONFIG, *flags, ON)
    logged = events(tmp_path)
    assert [image.step for image in logged.Images("gradient_flow/by_depth")] == [1, 2, 3]
    assert [event.step for event in logged.Scalars("gradient_norm/head")] == [1, 20, 40, 60]
