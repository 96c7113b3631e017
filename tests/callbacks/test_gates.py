"""The gates of recurrent layers, computed step by step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.gates import gates_and_state, gates_figure
from models import RNN
from tests.callbacks.sequences import LENGTHS, TEXT, Letters, Unequal, inspect


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"bidirectional": True}, {"num_layers": 2}])
def test_gates_and_states_are_those_of_pytorch(options: dict[str, Any]) -> None:
    """Every step is compared with PyTorch's layer after this step, and with the equations of its documentation."""
    torch.manual_seed(0)
    inputs = 2 * torch.randn(9, 3)
    lstm, gru = nn.LSTM(3, 5, **options), nn.GRU(3, 5, **options)
    cells, states = torch.zeros(10, 5), torch.zeros(10, 5)
    with torch.no_grad():
        for end in range(1, 10):
            cells[end] = lstm(inputs[:end])[1][1][0]
            states[end] = gru(inputs[:end])[1][0]
        before, after = cells[:-1], cells[1:]
        wrote, kept, _, tanh = (torch.from_numpy(values) for values in gates_and_state(lstm, inputs).values())
        torch.testing.assert_close(tanh, after.tanh())
        new = (after - kept * before) / wrote
        assert (new.abs() <= 1.0001).all(), "the rest of the cell state is a tanh"
        reset, kept, found = (torch.from_numpy(values) for values in gates_and_state(gru, inputs).values())
        torch.testing.assert_close(found, states[1:])
        input_weights, state_weights, *biases = (weights[10:] for weights in gru.all_weights[0])
        from_inputs = inputs @ input_weights.T + sum(biases[:1])
        from_states = states[:-1] @ state_weights.T + sum(biases[1:])
        new = (from_inputs + reset * from_states).tanh()
        torch.testing.assert_close((1 - kept) * new + kept * states[:-1], states[1:])


def test_gates_have_their_names() -> None:
    """PyTorch stacks the gates of a layer in one matrix. A large bias opens one of them."""
    for cell, order in (("LSTM", ["input", "forget", None, "output"]), ("GRU", ["reset", "update", None])):
        for number, name in enumerate(order):
            layer = getattr(nn, cell)(3, 5)
            with torch.no_grad():
                layer.bias_ih_l0.fill_(-20).view(len(order), 5)[number] = 20
                gates = gates_and_state(layer, torch.randn(4, 3))
            is_open = [key.split()[0] for key, values in gates.items() if "gate" in key and values.min() > 0.9]
            assert is_open == ([name] if name else [])


def test_units_are_sorted_by_how_long_they_remember() -> None:
    random = np.random.default_rng(0)
    names = ("input gate", "forget gate", "output gate", "tanh of the cell state")
    values = {name: random.uniform(size=(20, 50)) for name in names}
    values["forget gate"][:, :10] = 0.5  # these units do not change
    figure = gates_figure(values, [])
    drawn = [axes.images[0].get_array() for axes in figure.axes[:4]]
    assert all(one is not None and one.shape == (32, 20) for one in drawn)
    forget = np.asarray(drawn[1])
    assert (np.diff(forget.mean(1)) <= 0).all(), "those that remember longest are at the top"
    assert forget.std(1).min() > 0
    rows = [next(unit for unit in range(50) if (values["forget gate"][:, unit] == row).all()) for row in forget]
    assert np.array_equal(np.asarray(drawn[0]), values["input gate"][:, rows].T), "all gates show the same units"


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_of_a_text_have_its_characters(cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = RNN([41], 256, task="tagging", num_tokens=256, cell=cell, hidden_size=4, num_layers=2)
    figure = inspect(tmp_path, monkeypatch, model, Letters(41), "Gates")["gates/layers"]
    assert len([axes for axes in figure.axes if axes.images]) == (4 if cell == "lstm" else 3)
    labels = "".join(label.get_text() for label in figure.axes[0].get_xticklabels())
    assert labels == TEXT[:40].decode().replace(" ", "␣").replace("\n", "⏎")


def test_gates_end_where_the_sequence_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = RNN([12, 6], 3, hidden_size=4), Unequal()
    figure = inspect(tmp_path, monkeypatch, model, data, "Gates")["gates/layers"]
    _, _, lengths = data.splits["val"]
    picture = figure.axes[0].images[0].get_array()
    assert picture is not None
    assert picture.shape == (4, int(lengths[0]))
    assert picture.shape[1] < max(LENGTHS)
