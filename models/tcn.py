"""Temporal convolutional network. The dilation of its causal convolutions doubles from block to block.

Shapes: `(B, T, D)`, or tokens `(B, T)`, to `(B, K)` from the last step, or to `(B, T, K)` from every step (tagging).
Parameters: 8 blocks of 25 channels with kernels of 7 have 66,910. An output depends on 3,061 steps.
Source: Bai, Kolter & Koltun 2018, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
Sequence Modeling", section 3 and figure 1. Weight norm: Salimans & Kingma 2016.
Differences: PyTorch's initial weights. The authors' code draws smaller ones, but weight norm overwrites them everywhere
except in the 1x1 shortcuts. Dropout acts on single values, not on whole channels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from models.base import BaseModel


class CausalConvolution(nn.Sequential):
    """Causal convolution, ReLU, dropout. A step depends on itself and on `kernel_size - 1` earlier steps.

    `(B, size_in, T)` to `(B, size_out, T)`.
    """

    def __init__(self, size_in: int, size_out: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__(
            nn.ConstantPad1d(((kernel_size - 1) * dilation, 0), 0.0),  # left padding only: no step sees a later one
            weight_norm(nn.Conv1d(size_in, size_out, kernel_size, dilation=dilation)),
            nn.ReLU(),
            nn.Dropout(dropout),
        )


class ResidualBlock(nn.Module):
    """Two causal convolutions added to the input: `(B, size_in, T)` to `(B, size_out, T)`."""

    def __init__(self, size_in: int, size_out: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            CausalConvolution(size_in, size_out, kernel_size, dilation, dropout),
            CausalConvolution(size_out, size_out, kernel_size, dilation, dropout),
        )
        self.shortcut = nn.Conv1d(size_in, size_out, 1) if size_in != size_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return (self.layers(x) + self.shortcut(x)).relu()


class TCN(BaseModel):
    """`num_blocks` residual blocks with dilations 1, 2, 4, ..., and an output layer. Tokens are embedded first.

    Args:
        input_shape: `[T, D]`, or `[T]` for tokens.
        num_outputs: Number of classes, or of target dimensions.
        hidden_size: Channels per block.
        num_blocks: Number of residual blocks, with two convolutions each.
        kernel_size: Time steps per kernel.
        dropout: Fraction of values set to 0 in training, after each convolution.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not sequences.
    """

    tasks = ("classification", "tagging", "regression")
    takes = ("sequences", "tokens")
    width_option = "hidden_size"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        hidden_size: int = 25,
        num_blocks: int = 8,
        kernel_size: int = 7,
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        num_tokens = self.hparams["num_tokens"]
        self.stem = nn.Embedding(num_tokens, hidden_size) if num_tokens else nn.Identity()
        sizes = [hidden_size if num_tokens else input_shape[1]] + [hidden_size] * num_blocks
        self.blocks = nn.Sequential(
            *(ResidualBlock(sizes[n], hidden_size, kernel_size, 2**n, dropout) for n in range(num_blocks))
        )
        self.head = nn.Linear(hidden_size, num_outputs)

    @property
    def depth(self) -> int:
        return 2 * len(self.blocks)

    @property
    def receptive_field(self) -> int:
        """Number of time steps that an output depends on."""
        return 1 + 2 * (self.hparams["kernel_size"] - 1) * (2 ** len(self.blocks) - 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        x = self.stem(x)  # (B, T, D)
        x = self.blocks(x.transpose(1, 2)).transpose(1, 2)  # (B, T, hidden_size)
        if self.task == "tagging":
            return self.head(x)  # (B, T, K)
        # no step depends on the padding behind it
        last = x[:, -1] if lengths is None else x[torch.arange(len(x), device=x.device), lengths - 1]
        return self.head(last)  # (B, K)
