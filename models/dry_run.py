"""Infers the output shape of layers with one forward pass."""

from collections.abc import Sequence

import torch
from torch import nn


def output_shape(layers: nn.Module, input_shape: Sequence[int]) -> list[int]:
    """Returns the shape of one sample after the layers, without the batch dimension.

    Args:
        layers: They run in evaluation mode, so that batch norm keeps its statistics, and return to training mode.
        input_shape: Shape of one sample.

    Raises:
        ValueError: If the sample is too small for the layers.
    """
    layers.eval()
    try:
        with torch.no_grad():
            return list(layers(torch.zeros(1, *input_shape)).shape[1:])
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"input_shape={list(input_shape)} is too small for this network: {reason}") from error
    finally:
        layers.train()
