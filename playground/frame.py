"""What the page shows of a network at one moment, as one binary message.

A message is the length of its header in 4 bytes (little-endian), the header as JSON, and the arrays one after another.
The header refers to an array by its index in `arrays`.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from callbacks.parts import to_numpy
from datamodules import Plane
from playground.network import Network, outputs_by_layer, weight_layers

REACH = 6.0  # the page shows the plane from -6 to 6
GRID = 50  # points of a neuron's picture along each axis
FINE_GRID = 100  # of the picture of the output
MAX_PICTURES = 8  # a network with more hidden layers shows the first two and the last two, until others are unfolded


class Arrays:
    """Collects the arrays of a message."""

    def __init__(self) -> None:
        self.headers: list[dict[str, Any]] = []
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, values: np.ndarray) -> int:
        """Adds an array of uint8 or float32. Returns its index."""
        dtype = "u1" if values.dtype == np.uint8 else "f4"
        content = values.tobytes()
        content += b"\0" * (-len(content) % 4)
        self.headers.append({"dtype": dtype, "shape": list(values.shape), "offset": self.size})
        self.parts.append(content)
        self.size += len(content)
        return len(self.headers) - 1

    def message(self, header: dict[str, Any]) -> bytes:
        """The message with this header."""
        text = json.dumps({**header, "arrays": self.headers}, allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        return b"".join([len(text).to_bytes(4, "little"), text, *self.parts])


def plane_grid(size: int) -> Tensor:
    """The points `(size * size, 2)` of the plane, row by row from the top left."""
    axis = REACH * ((torch.arange(size) + 0.5) / size * 2 - 1)
    rows, columns = torch.meshgrid(-axis, axis, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], dim=1)


def to_bytes(values: Tensor, limit: float) -> np.ndarray:
    """Values from -limit to limit as bytes from 1 to 255. 128 is 0."""
    return to_numpy((values / limit).nan_to_num().clamp(-1, 1) * 127 + 128).round().astype(np.uint8)


def default_pictures(num_layers: int) -> list[int]:
    """The hidden layers with pictures, unless the page asks for others."""
    everything = list(range(num_layers))
    return everything if num_layers <= MAX_PICTURES else everything[:2] + everything[-2:]


def describe(network: Network, model: Any, pictures: list[int], arrays: Arrays) -> dict[str, Any]:
    """The weights, gradients and pictures of a network.

    Args:
        network: The network.
        model: Its weights at the moment that is shown.
        pictures: The hidden layers that are shown as pictures.
        arrays: Takes the arrays.
    """
    linears = weight_layers(model)
    return {
        "layers": network.layers,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gradients": gradient_sizes(network, model),
        "weights": [arrays.add(to_numpy(linear.weight)) for linear in linears],
        "biases": [arrays.add(to_numpy(linear.bias)) for linear in linears],
        **draw_maps(network, model, pictures, arrays),
    }


def gradient_sizes(network: Network, model: Any) -> list[float | None]:
    """The root mean square gradient of each layer's weights, for the loss of all training points."""
    inputs, targets = network.data.splits["train"]
    weights = [linear.weight for linear in weight_layers(model)]
    gradients = torch.autograd.grad(network.loss(model(inputs), targets), weights)
    return [finite(float(gradient.square().mean().sqrt())) for gradient in gradients]


@torch.no_grad()
def draw_maps(network: Network, model: Any, pictures: list[int], arrays: Arrays) -> dict[str, Any]:
    """The outputs of the hidden layers and of the network for every point of the plane."""
    size = FINE_GRID if len(network.layers) <= MAX_PICTURES else GRID  # a deep network takes longer to compute
    outputs = outputs_by_layer(model, network.data.features_of(plane_grid(size)))
    maps, ranges = {}, {}
    for number in pictures:
        coarse = outputs[number].T.reshape(-1, size, size)[:, :: size // GRID, :: size // GRID]
        limit = max(1.0, float(coarse.abs().nan_to_num().max()))
        maps[number], ranges[number] = arrays.add(to_bytes(coarse, limit)), limit
    return {"maps": maps, "ranges": ranges, **output_map(network, outputs[-1].view(size, size, -1), arrays)}


def output_map(network: Network, outputs: Tensor, arrays: Arrays) -> dict[str, int]:
    """The picture of the output: a probability or value, or the class and its probability."""
    if outputs.shape[-1] == 1:  # regression, or the tanh of the rule original
        return {"output": arrays.add(to_bytes(outputs[..., 0], value_limit(network.data)))}
    probabilities = outputs.softmax(-1)
    if outputs.shape[-1] == 2:
        return {"output": arrays.add(to_bytes(2 * probabilities[..., 1] - 1, 1.0))}
    confidence, classes = probabilities.max(-1)
    as_bytes = (confidence.nan_to_num() * 255).byte().numpy()
    return {"output": arrays.add(classes.byte().numpy()), "confidence": arrays.add(as_bytes)}


def value_limit(data: Plane) -> float:
    """The value with the strongest colour."""
    if data.task == "classification":
        return 1.0
    return float(data.splits["train"][1].abs().max()) or 1.0


def finite(value: float) -> float | None:
    """The value, or None if it is NaN or infinite, which JSON does not have."""
    return value if math.isfinite(value) else None
