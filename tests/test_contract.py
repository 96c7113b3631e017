"""Tests of every config, and so of every model and every data module. New configs are found by themselves."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import models
from engine.cli import CLI, main
from models import BaseModel
from tests.conftest import CONFIGS, ONE_OF_EACH, SMOKE, Fit, build, config_id, config_param


def built_configs(paths: Sequence[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("built", paths, ids=config_id, indirect=True)


every_config = built_configs(CONFIGS)
every_moving_config = built_configs([config_param("move", path) for path in CONFIGS])
every_learning_config = built_configs([config_param("learn", path) for path in CONFIGS])

Batch = tuple[Tensor, ...]  # inputs, targets, and the lengths of unequal sequences
DEFAULT_SEED = 0  # of configs/defaults.yaml


def first_batch(cli: CLI, batch_size: int = 16) -> Batch:
    samples = cli.datamodule.splits["train"]
    chosen = torch.linspace(0, len(samples[0]) - 1, batch_size).long()  # the subset is sorted by class
    return tuple(values[chosen] for values in samples)


def outputs_of(model: BaseModel, batch: Batch) -> Tensor:
    inputs, _, *lengths = batch
    return model(inputs, *lengths)


def train_on(model: BaseModel, batch: Batch, steps: int, until: float = 0.0) -> Tensor:
    """The last loss of some steps on one batch with the model's own optimizer, without its schedule.

    Stops when the loss is below `until`.
    """
    optimizer = model.make_optimizer()
    model.train()
    for _ in range(steps):
        loss = model.loss(outputs_of(model, batch), batch[1])
        if loss < until:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.detach()


class Built(NamedTuple):
    path: Path
    cli: CLI


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest) -> Built:
    """Built once for all tests of a config. A test that trains the model copies it first."""
    return Built(request.param, build(request.param))


@every_config
def test_logits_are_finite_and_of_the_right_shape(built: Built) -> None:
    cli = built.cli
    inputs, targets, *lengths = first_batch(cli)
    before = inputs.clone()
    outputs = cli.model.eval()(inputs, *lengths)
    expected = targets.shape if cli.datamodule.task == "regression" else (*targets.shape, cli.datamodule.num_outputs)
    assert outputs.shape == expected
    assert outputs.dtype == torch.float32
    assert outputs.isfinite().all()
    assert (outputs != 0).all(), "zeros among the outputs: is there a ReLU behind the head?"
    if cli.datamodule.task != "regression":
        for logits in (outputs, outputs.exp()):
            assert not logits.sum(-1).allclose(torch.ones(())), "probabilities: is there a softmax behind the head?"
    assert torch.equal(inputs, before), "forward changed its input"


@every_config
def test_initial_loss_is_that_of_a_constant_output(built: Built) -> None:
    cli = built.cli
    inputs, targets, *lengths = first_batch(cli, 256)
    model = copy.deepcopy(cli.model).train()
    outputs = model(inputs, *lengths)
    loss = model.eval().loss(outputs, targets)  # without label smoothing
    if cli.datamodule.task == "regression":
        assert loss.item() == pytest.approx(targets.square().mean().item(), abs=0.6)
    else:
        assert loss.item() == pytest.approx(math.log(cli.datamodule.num_outputs), abs=0.6)


@every_moving_config
def test_every_parameter_moves_within_three_steps(built: Built) -> None:
    model = copy.deepcopy(built.cli.model)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train_on(model, first_batch(built.cli), steps=3)
    still = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert not still
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@every_learning_config
def test_model_overfits_one_batch(built: Built) -> None:
    hparams = built.cli.model.hparams
    random = [name for name in ("label_smoothing", "dropout", "noise") if hparams.get(name)]
    cli = build(built.path, *(f"--model.{name}=0" for name in random)) if random else built.cli
    model, batch = copy.deepcopy(cli.model), first_batch(cli)
    first = model.loss(outputs_of(model, batch), batch[1])
    enough = 0.05 * first.item()
    assert train_on(model, batch, 150, until=enough) < enough


@every_config
def test_output_does_not_depend_on_the_other_samples(built: Built) -> None:
    inputs, _, *lengths = first_batch(built.cli)
    model = built.cli.model.eval()
    with torch.no_grad():
        expected = model(inputs[:4], *(values[:4] for values in lengths))
        others = inputs[4:].flip(0) if built.cli.datamodule.num_tokens else 3 * inputs[4:].flip(0)
        actual = model(torch.cat([inputs[:4], others]), *lengths)[:4]
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@built_configs(ONE_OF_EACH)
def test_initial_weights_depend_only_on_the_seed(built: Built) -> None:
    def weights(seed: int) -> dict[str, Any]:
        return build(built.path, f"--seed_everything={seed}").model.state_dict()

    first, again, other = built.cli.model.state_dict(), weights(DEFAULT_SEED), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def fit_briefly(path: Path, fit: Fit, tmp_path: Path, *flags: str) -> CLI:
    # without AVX-512, a CPU takes a hundred times as long for a convolution in bf16
    small = ["--data.batch_size=16"] if path.parent.name == "gpu" else []
    cli = fit(path, "-c", SMOKE, "--trainer.limit_train_batches=2", *small, *flags)
    assert cli.result["train_loss"] > 0
    assert next(tmp_path.rglob("best.ckpt")).parents[2].name == path.stem
    return cli


@pytest.mark.parametrize("path", [path for path in CONFIGS if path not in ONE_OF_EACH], ids=config_id)
def test_config_trains_in_a_run_of_its_name(path: Path, fit: Fit, tmp_path: Path) -> None:
    fit_briefly(path, fit, tmp_path, "--test_checkpoint=none", "--trainer.limit_val_batches=1")


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=config_id)
def test_config_trains_and_its_checkpoint_can_be_tested_and_loaded(path: Path, fit: Fit, tmp_path: Path) -> None:
    cli = fit_briefly(path, fit, tmp_path)
    checkpoint = next(tmp_path.rglob("best.ckpt"))
    again = main(["test", f"--ckpt_path={checkpoint}", "-c", SMOKE, "--trainer.accelerator=cpu"])
    assert float(again.trainer.callback_metrics["test/loss"]) == pytest.approx(cli.result["test_loss"])

    loaded = getattr(models, type(cli.model).__name__).load_from_checkpoint(checkpoint, weights_only=True)
    batch = first_batch(cli)
    with torch.no_grad():
        assert torch.equal(outputs_of(loaded.eval(), batch), outputs_of(cli.model.eval(), batch))
