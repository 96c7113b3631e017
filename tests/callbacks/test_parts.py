"""Stages, weights and outputs of any network."""

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.parts import by_unit, evenly_spaced, recorded, stages, to_pictures, weights
from engine.paths import PROJECT
from tests.callbacks.test_insight import hooks_of
from tests.conftest import build


def test_stages_of_nested_containers() -> None:
    resnet = build(PROJECT / "configs/mnist/resnet.yaml").model
    assert list(stages(resnet)) == ["stem", "stages.0.0", "stages.1.0", "stages.2.0", "head"]
    deep = build(PROJECT / "configs/depth/mnist_relu.yaml", "--model.num_layers=3").model
    assert list(stages(deep)) == ["blocks.0", "blocks.1", "blocks.2", "head"]
    residual = build(PROJECT / "configs/depth/mnist_residual.yaml", "--model.num_layers=1").model
    assert list(stages(residual)) == ["stem", "head"], "an empty container is not a stage"


def test_evenly_spaced_names_include_first_and_last() -> None:
    names = [str(number) for number in range(9)]
    assert evenly_spaced(names, 3) == ["0", "4", "8"]
    assert evenly_spaced(names, 20) == names


def test_weights_have_two_dimensions_or_more() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    assert list(weights(model, torch.zeros(4, 2))) == ["0", "2"]


class Backwards(nn.Module):
    """A network whose layers are defined in another order than they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)
        self.unused = nn.Linear(7, 7)
        self.blocks = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x).relu()
        return self.head(x)


def test_layers_are_in_the_order_of_the_forward_pass() -> None:
    model = Backwards()
    assert list(weights(model, torch.zeros(4, 2))) == ["blocks.0", "blocks.1", "head", "unused"]
    with recorded(stages(model)) as outputs:
        model(torch.zeros(4, 2))
    assert list(outputs) == ["blocks.0", "blocks.1", "head"]
    assert not hooks_of(model)


def test_recorded_holds_recurrent_states_and_removes_its_hooks() -> None:
    layer = nn.GRU(2, 3, batch_first=True)
    with recorded({"layer": layer}) as outputs:
        states, _ = layer(torch.randn(4, 5, 2))
    assert outputs["layer"] is states
    assert not hooks_of(layer)
    with pytest.raises(RuntimeError, match="input"), recorded({"layer": layer}):
        layer(torch.randn(4, 5, 1))
    assert not hooks_of(layer)


def test_by_unit_puts_units_second() -> None:
    plain, convolving = nn.Sequential(), nn.Sequential(nn.Conv1d(1, 3, 3), nn.ReLU())
    assert by_unit(torch.zeros(2, 3), nn.Linear(1, 3), plain).shape == (2, 3, 1)
    assert by_unit(torch.zeros(2, 3, 4, 5), nn.Conv2d(1, 3, 3), plain).shape == (2, 3, 20)
    steps_last, units_last = torch.zeros(2, 3, 7), torch.zeros(2, 7, 3)
    assert by_unit(steps_last, convolving, convolving).shape == (2, 3, 7)
    assert by_unit(steps_last, convolving[1], convolving).shape == (2, 3, 7), "a layer without units of its own"
    for layer in (nn.LSTM(1, 3), nn.Embedding(9, 3), nn.Linear(1, 3)):
        for model in (plain, convolving):
            assert by_unit(units_last, layer, model).shape == (2, 3, 7)


def test_pictures_of_images_and_sequences() -> None:
    colours = torch.rand(2, 3, 4, 5)
    assert np.array_equal(to_pictures(colours), colours.permute(0, 2, 3, 1))
    channels = torch.rand(2, 5, 4, 5)
    assert np.allclose(to_pictures(channels), channels.mean(1))
    rows = torch.rand(2, 4, 5)
    assert np.array_equal(to_pictures(rows), rows)
    steps = torch.rand(2, 40, 1)
    assert to_pictures(steps).shape == (2, 28, 40)
    assert np.array_equal(to_pictures(steps)[:, 7], steps[:, :, 0])
