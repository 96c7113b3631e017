"""The gates of recurrent layers, computed step by step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.gates import gates_figure, gru_gates, lstm_gates
from models import RNN
from tests.callbacks.sequences import LENGTHS, TEXT, Letters, Unequal, inspect


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"bidirectional": True}])
def test_states_are_those_of_pytorch(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    inputs = 2 * torch.randn(9, 3)
    lstm, gru = nn.LSTM(3, 5, batch_first=True, **options), nn.GRU(3, 5, batch_first=True, **options)
    with torch.no_grad():
        states, (_, cells) = lstm(inputs[None])
        found = lstm_gates(lstm, inputs)
        torch.testing.assert_close(found["state"], states[0, :, :5])
        torch.testing.assert_close(found["cell state"][-1], cells[0, 0])
        states, _ = gru(inputs[None])
        torch.testing.assert_close(gru_gates(gru, inputs)["state"], states[0, :, :5])


def test_gates_have_their_names() -> None:
    """PyTorch stacks the gates of a layer in one matrix. A large bias opens one of them."""
    for cell, order in (("LSTM", ["input", "forget", None, "output"]), ("GRU", ["reset", "update", None])):
        for number, name in enumerate(order):
            layer = getattr(nn, cell)(3, 5)
            with torch.no_grad():
                layer.bias_ih_l0.fill_(-100).view(len(order), 5)[number] = 100
                gates = (lstm_gates if cell == "LSTM" else gru_gates)(layer, torch.randn(4, 3))
            is_open = [key.removesuffix(" gate") for key, value in gates.items() if "gate" in key and value.min() > 0.9]
            assert is_open == ([name] if name else [])


def test_units_are_sorted_by_how_long_they_remember() -> None:
    random = np.random.default_rng(0)
    names = ("input gate", "forget gate", "output gate", "cell state", "state")
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
    _, targets, lengths = data.splits["val"]
    picture = figure.axes[0].images[0].get_array()
    assert picture is not None
    assert picture.shape == (4, int(lengths[(targets == 0).nonzero()[0, 0]]))
    assert picture.shape[1] < max(LENGTHS)
