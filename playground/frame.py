"""What the page shows of a network at one moment, and how messages for the page are written."""

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


def encode(message: dict[str, Any]) -> bytes:
    """A message for the page: the length of its JSON in 4 bytes (little-endian), the JSON, and the arrays in it.

    In the JSON, an array of uint8 or float32 is replaced by its `dtype`, its `shape`, and its `offset` in bytes.
    """
    content = bytearray()

    def reference(values: np.ndarray) -> dict[str, Any]:
        offset = len(content)
        content.extend(values.tobytes())
        content.extend(bytes(-len(content) % 4))
        return {"dtype": values.dtype.str[1:], "shape": values.shape, "offset": offset}

    text = json.dumps(message, default=reference, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + content


def plane_grid(size: int) -> Tensor:
    """The points `(size * size, 2)` of the plane, row by row from the top left."""
    axis = REACH * ((torch.arange(size) + 0.5) / size * 2 - 1)
    return torch.cartesian_prod(-axis, axis).flip(1)


def to_bytes(values: Tensor, limit: float) -> np.ndarray:
    """Values from -limit to limit as bytes from 1 to 255. 128 is 0."""
    return to_numpy((values / limit).nan_to_num().clamp(-1, 1) * 127 + 128).round().astype(np.uint8)


def default_pictures(num_layers: int) -> list[int]:
    """The hidden layers with pictures, unless the page asks for others."""
    everything = list(range(num_layers))
    return everything if num_layers <= MAX_PICTURES else everything[:2] + everything[-2:]


def describe(network: Network, model: Any, pictures: list[int]) -> dict[str, Any]:
    """The weights, gradients and pictures of a network with the weights of `model`. `pictures` lists hidden layers."""
    linears = weight_layers(model)
    size = FINE_GRID if len(network.layers) <= MAX_PICTURES else GRID  # a deep network takes longer to compute
    with torch.no_grad():
        *hidden, output = outputs_by_layer(model, network.data.features_of(plane_grid(size)))
    step = size // GRID
    maps = {number: hidden[number].T.reshape(-1, size, size)[:, ::step, ::step] for number in pictures}
    ranges = {number: max(1.0, float(values.abs().nan_to_num().max())) for number, values in maps.items()}
    return {
        "layers": network.layers,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gradients": gradient_sizes(network, model),
        "weights": [to_numpy(linear.weight) for linear in linears],
        "biases": [to_numpy(linear.bias) for linear in linears],
        "maps": {number: to_bytes(values, ranges[number]) for number, values in maps.items()},
        "ranges": ranges,
        **output_map(output.view(size, size, -1), value_limit(network.data)),
    }


def gradient_sizes(network: Network, model: Any) -> list[float | None]:
    """The root mean square gradient of each layer's weights, for the loss of all training points."""
    inputs, targets = network.data.splits["train"]
    weights = [linear.weight for linear in weight_layers(model)]
    gradients = torch.autograd.grad(model.loss(model(inputs), targets), weights)
    return [finite(float(gradient.square().mean().sqrt())) for gradient in gradients]


def output_map(outputs: Tensor, limit: float) -> dict[str, np.ndarray]:
    """The picture of the output: a probability or value, or the class and its probability."""
    if outputs.shape[-1] == 1:  # regression, or the tanh of the rule original
        return {"output": to_bytes(outputs[..., 0], limit)}
    probabilities = outputs.softmax(-1)
    if outputs.shape[-1] == 2:
        return {"output": to_bytes(2 * probabilities[..., 1] - 1, limit)}
    confidence, classes = probabilities.max(-1)
    return {"output": classes.byte().numpy(), "confidence": (confidence.nan_to_num() * 255).byte().numpy()}


def value_limit(data: Plane) -> float:
    """The value with the strongest colour."""
    return float(data.splits["train"][1].abs().max()) or 1.0 if data.task == "regression" else 1.0


def finite(value: float) -> float | None:
    """The value, or None if it is NaN or infinite, which JSON does not have."""
    return value if math.isfinite(value) else None
