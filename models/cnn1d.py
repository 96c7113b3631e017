"""A 1D convolutional network: each layer halves the number of time steps.

Shapes: `(B, T, D)` to `(B, K)`. Half the number of steps is rounded down.
Parameters: three layers of 32 channels on MNIST-1D (40 steps) have 8,042.
Source: the convolutional baseline of Greydanus & Kobak 2024 (MNIST-1D), `ConvBase` in their repository
greydanus/mnist1d: three convolutions and a linear layer.
Differences: batch norm (Ioffe & Szegedy 2015). Max pooling instead of strides. 32 channels instead of 25, and kernels
of 3 instead of 5, 3 and 3. Optional dropout before the linear layer.
"""

from typing import Any

from torch import Tensor, nn

from models.base import BaseModel


class CNN1D(BaseModel):
    """`num_layers` blocks of convolution, batch norm, ReLU and max pooling, then dropout and an output layer.

    Args:
        input_shape: `[T, D]`.
        num_outputs: Number of classes, or of target dimensions.
        width: Channels per layer.
        num_layers: Number of convolutions.
        kernel_size: Time steps per kernel. An odd number.
        dropout: Fraction of the last layer's outputs set to 0 in training.
        training: Options of `BaseModel`.

    Raises:
        ValueError: If the inputs are not sequences or too short, the kernel size is even, or the task is tagging.
    """

    takes = ("sequences",)
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
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd; use kernel_size={kernel_size + 1}")
        num_steps, channels_in = input_shape
        if num_steps < 2**num_layers:
            raise ValueError(
                f"num_layers={num_layers} needs at least {2**num_layers} time steps, not {num_steps}; use fewer layers"
            )
        self.blocks = nn.Sequential()
        for _ in range(num_layers):
            self.blocks.append(
                nn.Sequential(
                    nn.Conv1d(channels_in, width, kernel_size, padding=kernel_size // 2, bias=False),
                    nn.BatchNorm1d(width),
                    nn.ReLU(),
                    nn.MaxPool1d(2),
                )
            )
            channels_in = width
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * (num_steps // 2**num_layers), num_outputs)

    @property
    def depth(self) -> int:
        return len(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x.transpose(1, 2))  # (B, T, D) -> (B, D, T) -> (B, width, T')
        return self.head(self.dropout(x.flatten(1)))  # (B, K)
