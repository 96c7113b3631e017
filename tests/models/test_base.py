"""The base class of the models: schedules, optimizers, losses and options."""

import inspect
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import models
from models import (
    CNN1D,
    RNN,
    TCN,
    VGG,
    AlexNet,
    BaseModel,
    DeepMLP,
    FastCNN,
    LeNet,
    Linear,
    ResidualMLP,
    ResNet,
    ShallowMLP,
    Transformer,
)
from models.metrics import EpochMetrics, EpochSquaredError

MODELS = [getattr(models, name) for name in models.__all__ if name != "BaseModel"]
every_model = pytest.mark.parametrize("model_class", MODELS)


def smallest(model_class: type[BaseModel], **options: Any) -> BaseModel:
    """A model on the first input shape that it takes."""
    for input_shape in ([1, 28, 28], [28, 28]):
        try:
            return model_class(input_shape, 10, **options)
        except ValueError:
            continue
    raise AssertionError(f"{model_class.__name__} takes neither images nor sequences")


@pytest.mark.parametrize("warmup_ratio", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("total_steps", [20, 100, 1234])
def test_lr_factor_onecycle_equals_pytorch(total_steps: int, warmup_ratio: float) -> None:
    model = ShallowMLP([4], 2, lr=0.01, warmup_ratio=warmup_ratio)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps, pct_start=warmup_ratio)
    for step in range(total_steps):
        expected = reference.get_last_lr()[0]
        assert 0.01 * model.lr_factor(step, total_steps) == pytest.approx(expected, rel=1e-6), step
        optimizer.step()
        if step < total_steps - 1:
            reference.step()


def test_lr_factor_cosine_equals_pytorch_after_warmup() -> None:
    model = ShallowMLP([4], 2, lr=1.0, schedule="cosine", warmup_ratio=0.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=80)
    assert [model.lr_factor(step, 100) for step in range(20)] == pytest.approx([(n + 1) / 20 for n in range(20)])
    for step in range(20, 100):
        assert model.lr_factor(step, 100) == pytest.approx(reference.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        reference.step()


def test_lr_factor_constant_stays_after_warmup() -> None:
    model = ShallowMLP([4], 2, schedule="constant", warmup_ratio=0.1)
    factors = [model.lr_factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:] == [1.0] * 90


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_scheduler_sets_the_learning_rate_of_every_group(schedule: Any) -> None:
    model = ShallowMLP([4], 2, lr=0.01, schedule=schedule)
    optimizer = model.make_optimizer()
    scheduler = model.make_scheduler(optimizer, total_steps=10)
    for step in range(10):
        expected = 0.01 * model.lr_factor(step, 10)
        assert [group["lr"] for group in optimizer.param_groups] == [expected, expected]
        optimizer.step()
        scheduler.step()


@every_model
def test_weight_decay_applies_to_weights_and_not_to_biases(model_class: type[BaseModel]) -> None:
    model = smallest(model_class, weight_decay=0.5)
    decayed, kept = model.make_optimizer().param_groups
    assert decayed["weight_decay"] == 0.5
    assert kept["weight_decay"] == 0.0
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.RNNBase | nn.MultiheadAttention
    layers = [module for module in model.modules() if isinstance(module, kinds)]
    weights = {id(p) for layer in layers for name, p in layer.named_parameters() if "weight" in name}
    weights |= {id(p) for name, p in model.named_parameters() if name == "positions"}
    assert {id(p) for p in decayed["params"]} == weights
    assert len(kept["params"]) + len(weights) == len(list(model.parameters()))


def test_sgd_uses_nesterov_momentum() -> None:
    optimizer = ShallowMLP([4], 2, optimizer="sgd", lr=0.1, momentum=0.8).make_optimizer()
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["nesterov"]
    assert optimizer.defaults["momentum"] == 0.8


def test_label_smoothing_is_used_in_training_only() -> None:
    model = ShallowMLP([4], 3, label_smoothing=0.2)
    logits, targets = model(torch.randn(5, 4)), torch.tensor([0, 1, 2, 0, 1])
    smoothed, plain = model.train().loss(logits, targets), model.eval().loss(logits, targets)
    torch.testing.assert_close(smoothed, F.cross_entropy(logits, targets, label_smoothing=0.2))
    torch.testing.assert_close(plain, F.cross_entropy(logits, targets))


def test_tagging_ignores_steps_with_the_ignore_index() -> None:
    model = RNN([6, 3], 4, task="tagging", hidden_size=8)
    inputs, targets = torch.randn(2, 6, 3), torch.randint(4, (2, 6))
    targets[0, 3:] = -100
    logits = model(inputs)
    loss = model.loss(logits, targets)
    assert logits.shape == (2, 6, 4)
    kept = targets != -100
    torch.testing.assert_close(loss, F.cross_entropy(logits[kept], targets[kept]))
    epoch = EpochMetrics("tagging")
    epoch.add(loss, logits, targets)
    accuracy = epoch.metrics["acc"]
    assert accuracy.count == 9
    torch.testing.assert_close(accuracy.compute(), (logits.argmax(-1)[kept] == targets[kept]).float().mean())


def test_regression_uses_the_mean_squared_error_without_accuracy() -> None:
    model = RNN([6, 3], 2, task="regression", hidden_size=8)
    inputs, targets = torch.randn(5, 6, 3), torch.randn(5, 2)
    values = model(inputs)
    torch.testing.assert_close(model.loss(values, targets), ((values - targets) ** 2).mean())
    (metric,) = model.epoch_metrics["train_0"].metrics.values()
    assert type(metric) is EpochSquaredError


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("classification", torch.zeros(5, 1, dtype=torch.long)),
        ("classification", torch.zeros(4, dtype=torch.long)),
        ("tagging", torch.zeros(5, dtype=torch.long)),
        ("regression", torch.zeros(5)),  # PyTorch would broadcast it to (5, 5)
    ],
)
def test_targets_of_wrong_shape_are_refused(task: Any, targets: torch.Tensor) -> None:
    model = RNN([6, 3], 1 if task == "regression" else 4, task=task, hidden_size=8)
    with pytest.raises(ValueError, match=rf"targets of shape \({targets.shape[0]},"):
        model.loss(model(torch.randn(5, 6, 3)), targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0 must be between 0 and inf"),
        ({"warmup_ratio": 1.5}, "warmup_ratio=1.5 must be between 0 and 1"),
        ({"hidden_size": 0}, "hidden_size=0 must be 1 or more"),
        ({"activation": "elu"}, "activation='elu' must be one of relu, tanh"),
        ({"optimizer": "adam"}, "optimizer='adam' must be one of adamw, sgd"),
        ({"schedule": "linear"}, "schedule='linear' must be one of constant"),
        (
            {"task": "tagging"},
            r"ShallowMLP supports classification and regression, not task='tagging' \(input_shape=\[4\]\)",
        ),
    ],
)
def test_option_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShallowMLP([4], 2, **options)


@pytest.mark.parametrize(
    ("model_class", "input_shape"),
    [(ResNet, [28, 28]), (RNN, [1, 28, 28]), (CNN1D, [40]), (VGG, [28, 28]), (TCN, [40]), (Transformer, [4])],
)
def test_unsupported_input_shape_is_refused(model_class: type[BaseModel], input_shape: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"{model_class.__name__} takes .* not input_shape=\[") as error:
        model_class(input_shape, 10)
    assert str(input_shape) in str(error.value)
    assert "classification" in str(error.value)


def weight_layers(model: nn.Module) -> int:
    """Number of layers with weights on the longest path from input to head, counted from the modules."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and name != "head" and "shortcut" not in name:
            count += 1
        if isinstance(module, nn.RNNBase):
            count += module.num_layers
        if isinstance(module, nn.MultiheadAttention):
            count += 1  # for the values; the output projection is a module of its own
    return count


@pytest.mark.parametrize(
    "model",
    [
        ShallowMLP([4], 2),
        Linear([4], 2),
        DeepMLP([4], 2, num_layers=1),
        ResidualMLP([4], 2, num_layers=1),
        ResidualMLP([4], 2, num_layers=9),
        CNN1D([40, 1], 10, num_layers=5),
        DeepMLP([4], 2, num_layers=7, batch_norm=True),
        ResNet([1, 28, 28], 10),
        ResNet([3, 32, 32], 10, blocks_per_stage=3),
        FastCNN([1, 28, 28], 10),
        RNN([28, 28], 10),
        RNN([28, 28], 10, num_layers=3, bidirectional=True),
        *(ResNet([3, 32, 32], 10, block=block, blocks_per_stage=2, num_stages=4) for block in ("bottleneck", "plain")),
        LeNet([1, 28, 28], 10),
        AlexNet([1, 28, 28], 10, width=2),
        *(VGG([1, 28, 28], 10, configuration, width=2) for configuration in ("A", "B", "D", "E")),
        TCN([9, 2], 10, num_blocks=3),
        Transformer([28, 28], 10, num_layers=2),
    ],
)
def test_depth_counts_weight_layers_without_the_head(model: BaseModel) -> None:
    assert model.depth == weight_layers(model)


@every_model
def test_width_option_adds_parameters(model_class: type[BaseModel]) -> None:
    option, model = model_class.width_option, smallest(model_class)
    if option is None:
        assert model.depth == 0, "a model with hidden layers has a width"
        return
    assert option in inspect.signature(model_class).parameters
    wider = smallest(model_class, **{option: 2 * model.hparams[option]})
    assert sum(p.numel() for p in wider.parameters()) > sum(p.numel() for p in model.parameters())
    assert wider.depth == model.depth


@every_model
def test_hyperparameters_are_plain_values(model_class: type[BaseModel]) -> None:
    hparams = smallest(model_class, lr=0.123).hparams
    assert hparams["lr"] == 0.123
    assert all(isinstance(value, str | int | float | bool | list | None) for value in hparams.values()), hparams
