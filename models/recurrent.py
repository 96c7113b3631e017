"""A recurrent network: reads a sequence step by step into a state of fixed size.

Shapes: `(B, T, D)` to `(B, K)` from the last step, or to `(B, T, K)` from every step (tagging).
Parameters: an LSTM of 128 on the 28 rows of MNIST has 82,186, a GRU 61,962, a tanh network 21,514.
Source: Elman 1990 (tanh), Hochreiter & Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU);
forget-gate bias of 1: Gers et al. 2000, Jozefowicz et al. 2015; orthogonal weights: Saxe et al. 2014; gates that
start with memories of every length: Tallec & Ollivier 2018, section 2; ReLU cell that starts as the identity: Le et
al. 2015, section 2.
Differences: PyTorch's cells have two bias vectors a gate, of which one would do; its GRU resets after the recurrent
weights, that of Cho et al. before them; the LSTM of 1997 had no forget gate (Gers et al. 2000);
with ReLU the head too keeps PyTorch's initial weights, where Le et al. draw all but the recurrent ones with a deviation
of 0.001.
"""

import functools
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel

CELLS: dict[str, Any] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": functools.partial(nn.RNN, nonlinearity="relu"),
}
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}  # in PyTorch's order: input, forget, ... and reset, update, ...


class RNN(BaseModel):
    """`num_layers` recurrent layers - dropout - output.

    Args:
        input_shape: `[T, D]`.
        num_outputs: classes, or target dimensions.
        cell: `lstm`, `gru`, `tanh`, or `relu`, which starts by keeping its state as it is.
        hidden_size: units of each layer and direction.
        num_layers: recurrent layers on top of each other.
        bidirectional: a second set of layers reads backwards; `depth` counts both as one.
        dropout: share of units set to 0 in training, after every layer.
        chrono: gates that start out with memories of 1 to T steps, T the length of the sequences.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not sequences, and `chrono` for a cell without gates.
    """

    tasks = ("classification", "tagging", "regression")
    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        cell: Literal["lstm", "gru", "tanh", "relu"] = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        chrono: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 2:
            raise ValueError(
                f"RNN takes sequences [T, D], not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data SequenceMNIST, or --data.form steps for MNIST1D"
            )
        self.layers = CELLS[cell](
            input_shape[1],
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,  # PyTorch's acts between layers only
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (2 if bidirectional else 1), num_outputs)
        if chrono and cell not in ("lstm", "gru"):
            raise ValueError(f"chrono=True needs gates, which cell={cell!r} has not; type --model.cell lstm or gru")
        for name, parameter in self.layers.named_parameters():
            self.initialise(name, parameter.detach())

    def initialise(self, name: str, parameter: Tensor) -> None:
        """Draws the initial values of one of PyTorch's parameters, all gates of a layer in one."""
        cell, gates = self.hparams["cell"], parameter.chunk(GATES[self.hparams["cell"]])
        if cell == "relu":
            if name.startswith("weight_hh"):
                nn.init.eye_(parameter)
            elif name.startswith("weight_ih"):
                nn.init.normal_(parameter, std=0.001)
            else:
                nn.init.zeros_(parameter)
        elif name.startswith("weight_hh"):
            for gate in gates:
                nn.init.orthogonal_(gate)
        elif name.startswith("bias") and self.hparams["chrono"]:
            nn.init.zeros_(parameter)
            if name.startswith("bias_ih"):
                longest = max(2, self.hparams["input_shape"][0] - 1)
                gates[1].uniform_(1, longest).log_()  # an LSTM's forget gate, a GRU's update gate
                if cell == "lstm":
                    gates[0].copy_(-gates[1])  # its input gate
        elif name.startswith("bias") and cell == "lstm":
            gates[1].fill_(1.0 if name.startswith("bias_ih") else 0.0)

    @property
    def depth(self) -> int:
        return int(self.hparams["num_layers"])

    def forward(self, x: Tensor) -> Tensor:
        states, last = self.layers(x)  # (B, T, directions * hidden_size); (layers * directions, B, hidden_size)
        if self.hparams["task"] == "tagging":
            return self.head(self.dropout(states))  # (B, T, K)
        last = last[0] if self.hparams["cell"] == "lstm" else last  # an LSTM returns its memory cells too
        # a backward layer has read everything at the first step, so `states[:, -1]` would not do
        ends = last[-2:] if self.hparams["bidirectional"] else last[-1:]
        return self.head(self.dropout(torch.cat(tuple(ends), dim=-1)))  # (B, K)
