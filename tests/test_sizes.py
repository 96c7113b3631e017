"""Sizes against counts made by hand, for each family of models."""

from typing import Any

import pytest
import torch

import models
from engine import sizes
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

# multiplications by hand; a multiplication and its addition are 2 operations
BY_HAND: list[tuple[BaseModel, int]] = [
    (Linear([1, 28, 28], 10), 784 * 10),
    (ShallowMLP([1, 28, 28], 10), 784 * 128 + 128 * 10),
    (DeepMLP([784], 10, hidden_size=50, num_layers=4), 784 * 50 + 3 * 50 * 50 + 50 * 10),
    (ResidualMLP([784], 10, hidden_size=50, num_layers=4), 784 * 50 + 3 * 50 * 50 + 50 * 10),
    # 40, 20 and 10 steps, 3 neighbours, 32 channels; then 5 steps of 32 to 10 classes
    (CNN1D([40, 1], 10), 40 * 3 * 1 * 32 + 20 * 3 * 32 * 32 + 10 * 3 * 32 * 32 + 5 * 32 * 10),
    # a gate multiplies 28 inputs and 128 states, at each of 28 rows
    (RNN([28, 28], 10, cell="tanh"), 28 * 1 * 128 * (28 + 128) + 128 * 10),
    (RNN([28, 28], 10, cell="gru"), 28 * 3 * 128 * (28 + 128) + 128 * 10),
    (RNN([28, 28], 10, cell="lstm"), 28 * 4 * 128 * (28 + 128) + 128 * 10),
    # 24x24 places of 5x5 pixels; after pooling 8x8, of which 6x6 and then 4x4 have all their neighbours
    (FastCNN([1, 28, 28], 10), 24 * 24 * 25 * 16 + 6 * 6 * 9 * 16 * 32 + 4 * 4 * 9 * 32 * 64 + 4 * 4 * 64 * 10),
    (
        ResNet([1, 28, 28], 10),
        14 * 14 * 9 * (1 * 16 + 16 * 16 + 16 * 16)  # stem and first stage
        + 7 * 7 * (9 * (16 * 32 + 32 * 32) + 16 * 32)  # second stage, with its shortcut
        + 4 * 4 * (9 * (32 * 64 + 64 * 64) + 32 * 64)
        + 64 * 10,
    ),
    # 28x28 places of 5x5 pixels, then 10x10; two hidden layers
    (LeNet([1, 28, 28], 10), 784 * 25 * 6 + 100 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10),
    (
        AlexNet([1, 28, 28], 10, width=4),
        28 * 28 * 25 * 4
        + 13 * 13 * 25 * 4 * 12
        + 6 * 6 * 9 * (12 * 24 + 24 * 16 + 16 * 16)  # the rest after pooling
        + 4 * 16 * 256
        + 256 * 256
        + 256 * 10,
    ),
    (
        VGG([1, 28, 28], 10, width=4),
        9 * (28 * 28 * 4 + 14 * 14 * 4 * 8 + 7 * 7 * (8 * 16 + 16 * 16) + 3 * 3 * (16 * 32 + 32 * 32) + 2 * 32 * 32)
        + 32 * 256
        + 256 * 256
        + 256 * 10,
    ),
    # 9 steps, 2 blocks of two convolutions of 3 steps, the first with a shortcut; only the last step answers
    (TCN([9, 5], 10, hidden_size=8, num_blocks=2, kernel_size=3), 9 * (3 * (5 * 8 + 3 * 8 * 8) + 5 * 8) + 8 * 10),
    # rows; a layer's queries, keys, values and output, its two products of steps with steps, and its two layers
    (
        Transformer([28, 28], 10, num_layers=2),
        28 * 28 * 64 + 2 * (28 * 4 * 64 * 64 + 2 * 28 * 28 * 64 + 28 * 2 * 4 * 64 * 64) + 64 * 10,
    ),
]


@pytest.mark.parametrize(("model", "multiplications"), BY_HAND, ids=lambda value: type(value).__name__)
def test_flops_equal_a_count_by_hand(model: BaseModel, multiplications: int) -> None:
    assert sizes.flops(model) == 2 * multiplications


def test_every_model_has_a_count_by_hand() -> None:
    assert {type(model).__name__ for model, _ in BY_HAND} == set(models.__all__) - {"BaseModel"}


# one more of the width is a quarter more parameters where it sets the size of every layer
COARSE = {"AlexNet": 0.3, "LeNet": 0.15, "Transformer": 0.1, "VGG": 0.2}
WIDE = [(model, COARSE.get(type(model).__name__, 0.05)) for model, _ in BY_HAND if model.width_option]


@pytest.mark.parametrize(("model", "tolerance"), WIDE, ids=lambda value: type(value).__name__)
def test_the_matched_width_is_the_nearest_of_all(model: BaseModel, tolerance: float) -> None:
    option = str(model.width_option)

    def off(width: int) -> int:
        return abs(sizes.num_parameters(sizes.on_meta(model, **{option: width})) - 101_770)

    width = sizes.matched_width(model, 101_770)
    assert width is not None
    near = range(max(1, width - 3), width + 4)
    spread = range(1, 2 * width + 2, max(1, width // 8))
    assert off(width) == min(off(other) for other in (*near, *spread))
    assert off(width) < tolerance * 101_770


def test_matching_replaces_a_list_of_widths_by_one_width() -> None:
    width = sizes.matched_width(DeepMLP([2], 2, hidden_size=[4, 2], num_layers=2), 3 * 10 + 11 * 10 + 11 * 2)
    assert width == 10


def test_without_a_width_there_is_nothing_to_match() -> None:
    assert sizes.matched_width(Linear([784], 10), 101_770) is None


@pytest.mark.parametrize("model", [model for model, _ in BY_HAND], ids=lambda model: type(model).__name__)
def test_counting_draws_nothing_from_the_generator_and_leaves_the_model_as_it_is(model: BaseModel) -> None:
    before: dict[str, Any] = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    sizes.flops(model)
    sizes.matched_width(model, 5000)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class NeedsNumbers(ShallowMLP):
    """Looks at a value of its weights while it is built."""

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.largest = self.hidden.weight.max().item()


def test_a_model_that_cannot_be_counted_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert sizes.flops(NeedsNumbers([4], 2)) is None
    assert "The operations of NeedsNumbers are not counted" in capsys.readouterr().err
