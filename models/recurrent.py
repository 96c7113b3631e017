"""Recurrent network. It reads a sequence step by step and keeps a state of fixed size.

Shapes: `(B, T, D)`, or tokens `(B, T)`, to `(B, K)` from the last step, or to `(B, T, K)` from every step (tagging).
Parameters: on the 28 rows of MNIST, an LSTM of 128 has 82,186, a GRU 61,962 and a tanh network 21,514.
Source: tanh: Elman 1990. LSTM: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. GRU: Cho et al.
2014. Forget-gate bias of 1: Jozefowicz et al. 2015. Orthogonal recurrent weights: Saxe et al. 2014. Chrono
initialisation: Tallec & Ollivier 2018, section 2. ReLU cell that starts as the identity: Le et al. 2015, section 2.
Differences: PyTorch's cells have two bias vectors per gate, where one would be enough. PyTorch's GRU applies the reset
gate after the recurrent weights, Cho et al. before them. With ReLU, the head keeps PyTorch's initial weights; Le et al.
draw all but the recurrent weights with a standard deviation of 0.001.
"""

import functools
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.base import BaseModel

CELLS: dict[str, Any] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": functools.partial(nn.RNN, nonlinearity="relu"),
}
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}  # PyTorch's order: input, forget, cell, output; reset, update, new


class RNN(BaseModel):
    """`num_layers` recurrent layers, dropout and an output layer. Tokens are embedded first.

    Args:
        input_shape: `[T, D]`, or `[T]` for tokens.
        num_outputs: Number of classes, or of target dimensions.
        cell: Recurrent unit: `lstm`, `gru`, `tanh`, or `relu`, whose recurrent weights start as the identity.
        hidden_size: Units per layer and direction.
        num_layers: Number of stacked recurrent layers.
        bidirectional: Adds layers that read backwards. `depth` does not count them.
        dropout: Fraction of units set to 0 in training, after every layer.
        chrono: Initialises the gates for memories of 1 to T steps, where T is the sequence length. Only for `lstm` and
            `gru`.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not sequences, or `chrono` is set and the cell has no gates.
    """

    tasks = ("classification", "tagging", "regression")
    takes = ("sequences", "tokens")
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
        if chrono and cell not in ("lstm", "gru"):
            raise ValueError(f"chrono=True needs gates, which cell={cell!r} does not have; use cell=lstm or cell=gru")
        num_tokens = self.hparams["num_tokens"]
        self.stem = nn.Embedding(num_tokens, hidden_size) if num_tokens else nn.Identity()
        self.layers = CELLS[cell](
            hidden_size if num_tokens else input_shape[1],
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,  # PyTorch applies it between layers only
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (2 if bidirectional else 1), num_outputs)
        for name, parameter in self.layers.named_parameters():
            self.initialise(name, parameter.detach())

    def initialise(self, name: str, parameter: Tensor) -> None:
        """Sets the initial values of one of PyTorch's parameters, which holds all gates of a layer."""
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
                gates[1].uniform_(1, longest).log_()  # forget gate of an LSTM, update gate of a GRU
                if cell == "lstm":
                    gates[0].copy_(-gates[1])  # input gate
        elif name.startswith("bias") and cell == "lstm":
            gates[1].fill_(1.0 if name.startswith("bias_ih") else 0.0)

    @property
    def depth(self) -> int:
        return int(self.hparams["num_layers"])

    @property
    def is_causal(self) -> bool:
        """Whether no output depends on a later step."""
        return not self.hparams["bidirectional"]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        x = self.stem(x)  # (B, T, D)
        if lengths is not None:  # each sequence then ends at its own last step
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        # (B, T, directions * hidden_size) and (layers * directions, B, hidden_size)
        states, last = self.layers(x if lengths is None else packed)
        if self.task == "tagging":
            if lengths is not None:
                states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
            return self.head(self.dropout(states))  # (B, T, K)
        last = last[0] if self.hparams["cell"] == "lstm" else last  # an LSTM also returns its memory cells
        # a backward layer ends at the first step, so `states[:, -1]` would be wrong
        ends = last[-2:] if self.hparams["bidirectional"] else last[-1:]
        return self.head(self.dropout(torch.cat(tuple(ends), dim=-1)))  # (B, K)
