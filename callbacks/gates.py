"""The gates of a recurrent layer, step by step."""

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from callbacks.drawing import (
    HEIGHT,
    SIGNED,
    colour_scale,
    headline,
    label_steps,
    panels,
    show,
)
from callbacks.insight import Insight
from callbacks.parts import to_numpy

MOST_UNITS = 32
MEANINGS = {  # of a bright gate
    "input gate": "new values are written",
    "forget gate": "the cell state is kept",
    "output gate": "the cell state is passed on",
    "reset gate": "the old state is used for new values",
    "update gate": "the old state is kept",
}


class Gates(Insight):
    """Draws the gates of the first LSTM or GRU layer for one validation sample, under `gates/<layer>`.

    Columns are time steps, with the first 40 characters of a text below. Rows are the 32 units whose forget gate (LSTM)
    or update gate (GRU) changes most, sorted by its mean: the units at the top remember longest. A gate is 0 (dark) to
    1 (bright). Below the gates is the state that they control: the tanh of the cell state of an LSTM, or the state of a
    GRU. Only the forward direction is drawn. It starts with a state of zeros.

    Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks", section 4.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        return None if gated_layers(model) else f"{type(model).__name__} has no nn.LSTM or nn.GRU"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _, lengths = self.samples_of_different_classes(trainer, most=1)
        name, layer = next(iter(gated_layers(model).items()))
        received: list[Any] = []
        with layer.register_forward_pre_hook(lambda _, args: received.append(args[0])):
            model(inputs, *lengths)
        labels = self.step_labels(inputs, *lengths)
        sequence = received[0].data if isinstance(received[0], PackedSequence) else received[0]
        sequence = sequence.reshape(-1, layer.input_size)[: len(labels) or None]  # (T, D)
        values = lstm_gates(layer, sequence) if isinstance(layer, nn.LSTM) else gru_gates(layer, sequence)
        self.draw(f"gates/{name}", gates_figure({key: to_numpy(one) for key, one in values.items()}, labels))


def gated_layers(model: nn.Module) -> dict[str, nn.LSTM | nn.GRU]:
    """The LSTM and GRU layers of a network, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.LSTM | nn.GRU)}


def lstm_gates(layer: nn.LSTM, inputs: Tensor) -> dict[str, Tensor]:
    """The gates and states of the first layer of an LSTM, all `(T, H)`, for one sequence `(T, D)`."""
    from_inputs, from_state = transforms(layer)
    state = cell = inputs.new_zeros(layer.hidden_size)
    steps = []
    for step in from_inputs(inputs):  # (4 H,)
        input_gate, forget_gate, new, output_gate = (step + from_state(state)).chunk(4)
        input_gate, forget_gate, output_gate = input_gate.sigmoid(), forget_gate.sigmoid(), output_gate.sigmoid()
        cell = forget_gate * cell + input_gate * new.tanh()
        state = output_gate * cell.tanh()
        steps.append((input_gate, forget_gate, output_gate, cell, state))
    names = ("input gate", "forget gate", "output gate", "cell state", "state")
    return {name: torch.stack(values) for name, values in zip(names, zip(*steps, strict=True), strict=True)}


def gru_gates(layer: nn.GRU, inputs: Tensor) -> dict[str, Tensor]:
    """The gates and states of the first layer of a GRU, all `(T, H)`, for one sequence `(T, D)`."""
    from_inputs, from_state = transforms(layer)
    state = inputs.new_zeros(layer.hidden_size)
    steps = []
    for step in from_inputs(inputs):  # (3 H,)
        reset_input, update_input, new_input = step.chunk(3)
        reset_state, update_state, new_state = from_state(state).chunk(3)
        reset_gate, update_gate = (reset_input + reset_state).sigmoid(), (update_input + update_state).sigmoid()
        new = (new_input + reset_gate * new_state).tanh()
        state = (1 - update_gate) * new + update_gate * state
        steps.append((reset_gate, update_gate, state))
    names = ("reset gate", "update gate", "state")
    return {name: torch.stack(values) for name, values in zip(names, zip(*steps, strict=True), strict=True)}


def transforms(layer: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The linear transforms of the input and of the previous state, each for all gates at once."""
    biases = (layer.bias_ih_l0, layer.bias_hh_l0) if layer.bias else (None, None)
    return (
        partial(F.linear, weight=layer.weight_ih_l0, bias=biases[0]),
        partial(F.linear, weight=layer.weight_hh_l0, bias=biases[1]),
    )


def gates_figure(values: dict[str, np.ndarray], labels: list[str]) -> Figure:
    """The gates of an LSTM or a GRU, and the state that they control.

    Args:
        values: What `lstm_gates` or `gru_gates` gives, as arrays `(T, H)`.
        labels: The character of each step, or none.
    """
    sorting, state_name = ("forget gate", "cell state") if "forget gate" in values else ("update gate", "state")
    gate = values[sorting]
    units = gate.std(0).argsort()[::-1][:MOST_UNITS]  # those that change most
    units = units[gate[:, units].mean(0).argsort()[::-1]]
    gates = [name for name in values if name in MEANINGS]
    figure, every_axes = panels(4.8, 1.8, rows=len(gates) + 1, is_plot=False)
    where = f"units whose {sorting} closes at spaces or line ends" if labels else f"steps where many {sorting}s close"
    headline(figure, f"A bright {sorting} means that a unit remembers. Look for {where}")
    for name, axes in zip(gates, every_axes, strict=False):
        drawn = show(axes, values[name][:, units].T, Normalize(0, 1), HEIGHT)
        axes.set_title(f"{name}, bright: {MEANINGS[name]}", fontsize=10, loc="left")
        colour_scale(figure, axes, drawn, "")
    is_cell = state_name == "cell state"
    state = np.tanh(values[state_name]) if is_cell else values[state_name]  # an LSTM passes on the tanh
    drawn = show(every_axes[-1], state[:, units].T, Normalize(-1, 1), SIGNED)
    every_axes[-1].set_title(f"tanh of the {state_name}" if is_cell else state_name, fontsize=10, loc="left")
    colour_scale(figure, every_axes[-1], drawn, "")
    for axes in every_axes:
        axes.set_aspect("auto")
        axes.set_ylabel(f"{len(units)} of {gate.shape[1]} units", fontsize=9)
        label_steps(axes.xaxis, labels)
    every_axes[-1].set_xlabel("time step", fontsize=10)
    return figure
