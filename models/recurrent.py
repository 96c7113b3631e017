"""A recurrent network: reads a sequence step by step into a state of fixed size.

Shapes: `(B, T, D)` to `(B, K)` from the last step, or to `(B, T, K)` from every step (tagging).
Parameters: an LSTM of 128 on the 28 rows of MNIST has 82,186, a GRU 61,962, a tanh network 21,514.
Source: Elman 1990 (tanh), Hochreiter & Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU);
forget-gate bias of 1: Gers et al. 2000, Jozefowicz et al. 2015; orthogonal weights: Saxe et al. 2014.
Differences: PyTorch's cells have two bias vectors a gate, of which one would do.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.base import BaseModel

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}


class RNN(BaseModel):
    """`num_layers` recurrent layers - dropout - output.

    Args:
        input_shape: `[T, D]`.
        num_outputs: classes, or target dimensions.
        cell: `lstm`, `gru` or `tanh`.
        hidden_size: units of each layer and direction.
        num_layers: recurrent layers on top of each other.
        bidirectional: a second set of layers reads backwards; `depth` counts both as one.
        dropout: share of units set to 0 in training, after every layer.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not sequences.
    """

    tasks = ("classification", "tagging", "regression")
    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        cell: Literal["lstm", "gru", "tanh"] = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 2:
            raise ValueError(
                f"RNN takes sequences [T, D], not input_shape={list(input_shape)} "
                f"(task={self.hparams['task']}); type --data SequenceMNIST"
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
        for name, parameter in self.layers.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.split(hidden_size):
                    nn.init.orthogonal_(gate)
            if cell == "lstm" and name.startswith("bias"):  # gates in PyTorch's order: input, forget, cell, output
                forget = parameter.detach()[hidden_size : 2 * hidden_size]
                forget.fill_(1.0 if name.startswith("bias_ih") else 0.0)

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
