"""The gates of a recurrent layer, step by step."""

from typing import Any

import lightning as L
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from callbacks.drawing import HEIGHT, SIGNED, colour_scale, label_steps, panels, show
from callbacks.insight import Insight
from callbacks.parts import to_numpy

MOST_UNITS = 32
HEADLINE = "A unit remembers while its forget gate or update gate is bright. Look for steps where it closes"


class Gates(Insight):
    """Draws the gates of the first LSTM or GRU layer for one validation sample, under `gates/<layer>`.

    Columns are time steps, with the first 40 characters of a text below. Rows are the 32 units whose forget gate (LSTM)
    or update gate (GRU) changes most, sorted by its mean: the units at the top remember longest. A gate is 0 (dark) to
    1 (bright). Below the gates is the state that they control: the tanh of the cell state of an LSTM, or the state of a
    GRU. Only the forward direction is drawn. It starts with a state of zeros.

    Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks", section 4.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        self.layers = [(name, one) for name, one in model.named_modules() if isinstance(one, nn.LSTM | nn.GRU)]
        return None if self.layers else f"{type(model).__name__} has no nn.LSTM or nn.GRU"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _, *lengths = self.samples(trainer, 1)
        name, layer = self.layers[0]
        received: list[Any] = []
        with layer.register_forward_pre_hook(lambda _, args: received.append(args[0])):
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        sequence = received[0].data if isinstance(received[0], PackedSequence) else received[0]
        sequence = sequence.reshape(-1, layer.input_size)[: len(labels) or None]  # (T, D)
        self.draw(f"gates/{name}", gates_figure(gates_and_state(layer, sequence), labels))


def gates_and_state(layer: nn.LSTM | nn.GRU, inputs: Tensor) -> dict[str, np.ndarray]:
    """The gates of the first layer for one sequence `(T, D)`, and last the state that they control, all `(T, H)`.

    The name of a gate says what happens where it is bright.
    """
    first = type(layer)(layer.input_size, layer.hidden_size, bias=layer.bias).to(inputs)
    first.load_state_dict(layer.state_dict(), strict=False)  # without other layers and the backward direction
    states, _ = first(inputs)
    before = F.pad(states, (0, 0, 1, 0))[:-1]
    input_weights, state_weights, *biases = first.all_weights[0]
    sums = inputs @ input_weights.T + before @ state_weights.T + sum(biases)
    gates = [to_numpy(gate) for gate in sums.sigmoid().split(layer.hidden_size, dim=1)]
    if isinstance(layer, nn.GRU):
        return {
            "reset gate: the old state is used for new values": gates[0],
            "update gate: the old state is kept": gates[1],
            "state": to_numpy(states),
        }
    return {
        "input gate: new values are written": gates[0],
        "forget gate: the cell state is kept": gates[1],
        "output gate: the cell state is passed on": gates[3],
        "tanh of the cell state": to_numpy(states) / gates[3],
    }


def gates_figure(values: dict[str, np.ndarray], labels: list[str]) -> Figure:
    """Draws what `gates_and_state` gives, with the character of each step if there are labels."""
    figure, every_axes = panels(HEADLINE, 4.8, 1.8, rows=len(values), is_plot=False)
    remembering = list(values.values())[1]
    units = remembering.std(0).argsort()[::-1][:MOST_UNITS]  # those that change most
    units = units[remembering[:, units].mean(0).argsort()[::-1]]
    for axes, (name, one) in zip(every_axes, values.items(), strict=True):
        is_gate = axes is not every_axes[-1]
        scale, colours = (Normalize(0, 1), HEIGHT) if is_gate else (Normalize(-1, 1), SIGNED)
        colour_scale(figure, axes, show(axes, one[:, units].T, scale, colours), "")
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_aspect("auto")
        axes.set_ylabel(f"{len(units)} of {remembering.shape[1]} units", fontsize=9)
        label_steps(axes.xaxis, labels)
    every_axes[-1].set_xlabel("time step", fontsize=10)
    return figure
