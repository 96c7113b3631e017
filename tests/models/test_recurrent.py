from typing import Literal

import pytest
import torch
from torch import Tensor

from models import RNN

Cell = Literal["lstm", "gru", "tanh", "relu"]


def by_hand(model: RNN, x: Tensor) -> Tensor:
    """The states `(B, T, H)` of one layer, from the equations of its cell."""
    weights = dict(model.layers.named_parameters())
    hidden = model.hparams["hidden_size"]
    h = c = torch.zeros(len(x), hidden)
    states = []
    for x_t in x.unbind(1):
        from_input = (x_t @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]).split(hidden, dim=1)
        from_state = (h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]).split(hidden, dim=1)
        gates = [a + b for a, b in zip(from_input, from_state, strict=True)]
        match model.hparams["cell"]:
            case "lstm":
                input_gate, forget_gate, candidate, output_gate = gates
                c = forget_gate.sigmoid() * c + input_gate.sigmoid() * candidate.tanh()
                h = output_gate.sigmoid() * c.tanh()
            case "gru":
                reset, update = gates[0].sigmoid(), gates[1].sigmoid()
                candidate = (from_input[2] + reset * from_state[2]).tanh()
                h = (1 - update) * candidate + update * h
            case "tanh":
                h = gates[0].tanh()
            case "relu":
                h = gates[0].relu()
        states.append(h)
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
def test_states_equal_the_equations_of_the_cell(cell: Cell) -> None:
    x = torch.randn(3, 7, 5)
    model = RNN([7, 5], 4, cell=cell, hidden_size=6)
    tagger = RNN([7, 5], 4, cell=cell, hidden_size=6, task="tagging")
    tagger.load_state_dict(model.state_dict())
    states = by_hand(model, x)
    torch.testing.assert_close(model(x), model.head(states[:, -1]))
    torch.testing.assert_close(tagger(x), model.head(states))


@pytest.mark.parametrize(("cell", "parameters"), [("lstm", 82_186), ("gru", 61_962), ("tanh", 21_514)])
def test_parameter_counts(cell: Cell, parameters: int) -> None:
    assert sum(p.numel() for p in RNN([28, 28], 10, cell=cell).parameters()) == parameters


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_initial_recurrent_weights_of_each_gate_are_orthogonal(cell: Cell) -> None:
    model = RNN([7, 5], 4, cell=cell, hidden_size=6, num_layers=2, bidirectional=True)
    recurrent = [p for name, p in model.layers.named_parameters() if name.startswith("weight_hh")]
    assert len(recurrent) == 4
    for gate in (gate for parameter in recurrent for gate in parameter.split(6)):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6))


def test_initial_forget_gate_bias_is_one() -> None:
    layers = RNN([7, 5], 4, hidden_size=6, num_layers=2, bidirectional=True).layers
    biases = dict(layers.named_parameters())
    for end in ("l0", "l1", "l0_reverse", "l1_reverse"):
        bias = biases[f"bias_ih_{end}"] + biases[f"bias_hh_{end}"]  # a gate adds both
        assert torch.equal(bias[6:12], torch.ones(6))


def test_bidirectional_output_uses_both_ends() -> None:
    model = RNN([7, 5], 4, hidden_size=6, bidirectional=True)
    x = torch.randn(3, 7, 5)
    states, _ = model.layers(x)  # (B, T, forwards and backwards)
    torch.testing.assert_close(model(x), model.head(torch.cat([states[:, -1, :6], states[:, 0, 6:]], dim=1)))


def test_output_depends_on_the_order_of_the_steps() -> None:
    model = RNN([7, 5], 4, hidden_size=6)
    x = torch.randn(3, 7, 5)
    assert not torch.allclose(model(x), model(x.flip(1)), atol=1e-3)


def test_dropout_is_applied_with_a_single_layer() -> None:
    model = RNN([7, 5], 4, hidden_size=6, dropout=0.5)
    x = torch.randn(3, 7, 5)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_initial_relu_cell_keeps_its_state() -> None:
    model = RNN([7, 5], 4, cell="relu", hidden_size=6)
    states, _ = model.layers(torch.zeros(1, 7, 5), torch.arange(6.0).view(1, 1, 6))
    assert torch.equal(states[0], torch.arange(6.0).expand(7, 6))
    assert RNN([7, 50], 4, cell="relu", hidden_size=100).layers.weight_ih_l0.std().item() == pytest.approx(
        0.001, rel=0.1
    )


@pytest.mark.parametrize(("cell", "gate", "sign"), [("lstm", 1, 1), ("lstm", 0, -1), ("gru", 1, 1)])
def test_chrono_biases_give_memories_of_1_to_t_steps(cell: Cell, gate: int, sign: int) -> None:
    torch.manual_seed(0)
    layers = RNN([100, 5], 4, cell=cell, hidden_size=1000, chrono=True).layers
    bias = dict(layers.named_parameters())["bias_ih_l0"] + dict(layers.named_parameters())["bias_hh_l0"]
    spans = (sign * bias.detach().split(1000)[gate]).exp()  # uniform from 1 to T - 1
    assert 1 <= spans.min() < 2
    assert 98 < spans.max() <= 99
    assert spans.mean().item() == pytest.approx(50, abs=4)
    first, second, *others = bias.detach().split(1000)
    assert not torch.stack(others).any(), "the other gates start at 0"
    expected = -second if cell == "lstm" else torch.zeros(1000)
    assert torch.equal(first, expected), "opposite of the forget gate in an LSTM; 0 in a GRU"


def test_chrono_without_gates_is_refused() -> None:
    with pytest.raises(ValueError, match="chrono=True needs gates, which cell='tanh' does not have"):
        RNN([7, 5], 4, cell="tanh", chrono=True)
