from typing import Literal

import pytest
import torch
from torch import nn

from models import DeepMLP


def test_parameter_counts() -> None:
    assert sum(p.numel() for p in DeepMLP([1, 28, 28], 10).parameters()) == 335_114
    assert sum(p.numel() for p in DeepMLP([1, 28, 28], 10, batch_norm=True).parameters()) == 335_114 + 3 * 512


def test_each_hidden_layer_has_its_own_size() -> None:
    model = DeepMLP([2], 3, hidden_size=[4, 2], num_layers=2)
    assert [(layer.in_features, layer.out_features) for layer in model.modules() if isinstance(layer, nn.Linear)] == [
        (2, 4),
        (4, 2),
        (2, 3),
    ]
    assert model(torch.randn(5, 2)).shape == (5, 3)


def test_sizes_for_another_number_of_layers_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"hidden_size=\[4, 2\] has 2 numbers for num_layers=3; use one number for each"
    ):
        DeepMLP([2], 3, hidden_size=[4, 2], num_layers=3)
    with pytest.raises(ValueError, match=r"hidden_size=\[4, 0\] must be 1 or more"):
        DeepMLP([2], 3, hidden_size=[4, 0], num_layers=2)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_initial_weights_preserve_the_variance_over_50_layers(activation: Literal["relu", "linear"]) -> None:
    torch.manual_seed(0)
    model = DeepMLP([256], 10, hidden_size=256, num_layers=50, activation=activation)
    x = torch.randn(512, 256)
    ratio = (model.blocks(x).square().mean() / x.square().mean()).item()
    assert 0.1 < ratio < 10  # PyTorch's own initial weights give 0.0007


def test_batch_norm_prevents_the_vanishing_gradient_of_sigmoid_layers() -> None:
    torch.manual_seed(0)
    plain = DeepMLP([64], 10, hidden_size=64, num_layers=30, activation="sigmoid")
    normed = DeepMLP([64], 10, hidden_size=64, num_layers=30, activation="sigmoid", batch_norm=True)
    inputs, targets = torch.randn(128, 64), torch.randint(10, (128,))
    norms = {}
    for name, model in {"plain": plain, "normed": normed}.items():
        model.loss(model(inputs), targets).backward()
        norms[name] = model.get_parameter("blocks.0.0.weight").grad.norm().item()  # type: ignore[union-attr]
    assert norms["plain"] < 1e-12  # each of 30 sigmoid layers reduces a gradient to a quarter or less
    assert norms["normed"] > 1e6 * norms["plain"]


@pytest.mark.parametrize("option", ["dropout", "noise"])
def test_dropout_and_noise_act_in_training_only(option: str) -> None:
    model = DeepMLP([8], 3, **{option: 0.5})  # type: ignore[arg-type]
    x = torch.randn(4, 8)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_noise_is_added_to_input_and_pre_activations() -> None:
    torch.manual_seed(0)
    model = DeepMLP([1], 1, hidden_size=100_000, num_layers=1, activation="linear", noise=0.5)
    x = torch.ones(1, 1)
    noise = model.blocks[0][0]  # type: ignore[index]
    noisy_input, pre_activation_noise = noise(x.expand(100_000, 1)), model.blocks(x) - model.eval().blocks(x)
    assert noisy_input.std().item() == pytest.approx(0.5, rel=0.02)
    assert pre_activation_noise.std().item() == pytest.approx(0.5, rel=0.02)
