"""The parts of any network, and what they give."""

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.parts import by_unit, pictures, recorded, some, stages, weights
from engine.paths import PROJECT
from tests.callbacks.test_insight import hooks_of
from tests.conftest import build


def test_stages_are_what_the_input_passes_one_after_another() -> None:
    resnet = build(PROJECT / "configs/mnist/resnet.yaml").model
    assert list(stages(resnet)) == ["stem", "stages.0.0", "stages.1.0", "stages.2.0", "head"]
    deep = build(PROJECT / "configs/depth/mnist_relu.yaml", "--model.num_layers=3").model
    assert list(stages(deep)) == ["blocks.0", "blocks.1", "blocks.2", "head"]
    residual = build(PROJECT / "configs/depth/mnist_residual.yaml", "--model.num_layers=1").model
    assert list(stages(residual)) == ["stem", "head"], "a container of nothing is no stage"


def test_some_parts_are_the_first_and_the_last_and_those_between() -> None:
    parts = [str(number) for number in range(9)]
    assert some(parts, 3) == ["0", "4", "8"]
    assert some(parts, 20) == parts


def test_weights_are_those_with_two_dimensions() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    assert list(weights(model, torch.zeros(4, 2))) == ["0", "2"]


class Backwards(nn.Module):
    """Its parts are defined in another order than they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)
        self.unused = nn.Linear(7, 7)
        self.blocks = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x).relu()
        return self.head(x)


def test_layers_stand_in_the_order_in_which_samples_pass_them() -> None:
    model = Backwards()
    assert list(weights(model, torch.zeros(4, 2))) == ["blocks.0", "blocks.1", "head", "unused"]
    with recorded(stages(model)) as given:
        model(torch.zeros(4, 2))
    assert list(given) == ["blocks.0", "blocks.1", "head"]
    assert not hooks_of(model)


def test_recorded_gives_the_states_of_a_recurrent_layer_and_removes_its_hooks() -> None:
    layer = nn.GRU(2, 3, batch_first=True)
    with recorded({"layer": layer}) as given:
        states, _ = layer(torch.randn(4, 5, 2))
    assert given["layer"] is states
    assert not hooks_of(layer)
    with pytest.raises(RuntimeError, match="input"), recorded({"layer": layer}):
        layer(torch.randn(4, 5, 1))
    assert not hooks_of(layer)


def test_units_come_second_whatever_the_layer() -> None:
    assert by_unit(torch.zeros(2, 3), nn.Linear(1, 3)).shape == (2, 3, 1)
    assert by_unit(torch.zeros(2, 3, 4, 5), nn.Conv2d(1, 3, 3)).shape == (2, 3, 20)
    assert by_unit(torch.zeros(2, 3, 7), nn.Sequential(nn.Conv1d(1, 3, 3), nn.ReLU())).shape == (2, 3, 7)
    assert by_unit(torch.zeros(2, 7, 3), nn.LSTM(1, 3)).shape == (2, 3, 7)


def test_pictures_have_the_colours_of_their_inputs_and_vectors_are_stripes() -> None:
    colours = torch.rand(2, 3, 4, 5)
    assert np.array_equal(pictures(colours), colours.permute(0, 2, 3, 1))
    channels = torch.rand(2, 5, 4, 5)
    assert np.allclose(pictures(channels), channels.mean(1))
    rows = torch.rand(2, 4, 5)
    assert np.array_equal(pictures(rows), rows)
    steps = torch.rand(2, 40, 1)
    assert pictures(steps).shape == (2, 28, 40)
    assert np.array_equal(pictures(steps)[:, 7], steps[:, :, 0])
