"""Convolutions over time: each looks at a few neighbouring steps, and pooling lets the next one look further.

Shapes: `(B, T, D)` to `(B, K)`; each layer halves the number of steps, rounded down.
Parameters: three layers of 32 channels on MNIST-1D (40 steps) have 8,042.
Source: the convolutional baseline of Greydanus & Kobak 2024 (MNIST-1D): three convolutions, one linear layer.
Differences: batch norm (Ioffe & Szegedy 2015), and halving by the maximum of two steps where theirs strides;
dropout before the linear layer.
"""

from typing import Any

from torch import Tensor, nn

from models.base import BaseModel


class CNN1D(BaseModel):
    """`num_layers` of convolution, batch norm, ReLU and pooling - dropout - output.

    Args:
        input_shape: `[T, D]`.
        num_outputs: classes, or target dimensions.
        width: channels of each layer.
        num_layers: convolutions, of which each halves the steps.
        kernel_size: neighbouring steps that a convolution sees; an odd number.
        dropout: share of the last layer's outputs set to 0 in training.
        training: options of `BaseModel`.

    Raises:
        ValueError: for inputs that are not sequences, or too short to be halved so often; for an even kernel size.
    """

    width_option = "width"

    def __init__(
        self,
        input_shape: list[int],
        num_outputs: int,
        width: int = 32,
        num_layers: int = 3,
        kernel_size: int = 3,
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
        if len(input_shape) != 2:
            raise ValueError(
                f"CNN1D takes sequences [T, D], not input_shape={list(input_shape)} (task={self.hparams['task']}); "
                "type --data MNIST1D --data.form steps"
            )
        num_steps, channels = input_shape
        if num_steps < 2**num_layers:
            raise ValueError(
                f"num_layers={num_layers} halves {num_steps} steps to none; type a smaller --model.num_layers"
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} has no middle; type --model.kernel_size {kernel_size + 1}")
        self.blocks = nn.Sequential()
        for _ in range(num_layers):
            self.blocks.append(
                nn.Sequential(
                    nn.Conv1d(channels, width, kernel_size, padding=kernel_size // 2, bias=False),
                    nn.BatchNorm1d(width),
                    nn.ReLU(),
                    nn.MaxPool1d(2),
                )
            )
            channels = width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * (num_steps // 2**num_layers), num_outputs)

    @property
    def depth(self) -> int:
        return len(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x.transpose(1, 2))  # (B, T, D) -> (B, D, T) -> (B, width, T')
        return self.head(self.dropout(x.flatten(1)))  # (B, K)
