"""Inside a neuron: forward and backward pass with numbers, for the batch of the next step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.activations import ACTIVATIONS
from playground.frame import finite
from playground.network import Network, hidden_layers, weight_layers

ACTIVATION_TYPES = tuple(kind for kind, _ in ACTIVATIONS.values())


def explain_neuron(network: Network, layer: int, unit: int, sample: int) -> dict[str, Any]:
    """Every number in a neuron for one sample of the next batch, and what the next step will do to its weights.

    The forward pass does not use dropout. The gradients and the next weights belong to the whole batch.

    Args:
        network: The network.
        layer: Index of the hidden layer. The number of hidden layers stands for the output layer.
        unit: Index of the neuron in its layer.
        sample: Index of the sample in the batch.
    """
    inputs, targets = network.next_batch
    sample = min(sample, len(targets) - 1)
    chosen = slice(sample, sample + 1)
    x, activation, numbers = run_passes(network, layer, unit, inputs[chosen], targets[chosen])
    before = weight_layers(network.model)[layer]
    after: Any = weight_layers(network.after_next_step())[layer]
    columns = {
        "value": x,
        "weight": before.weight[unit],
        "product": x * before.weight[unit],
        "gradient": after.weight.grad[unit],
        "next": after.weight[unit],
    }
    rows = [dict(zip(columns, map(finite, row), strict=True)) for row in torch.stack([*columns.values()], 1).tolist()]
    names = names_of_inputs(network, layer)
    numbers |= {"bias": before.bias[unit], "bias_gradient": after.bias.grad[unit], "bias_next": after.bias[unit]}
    index = (network.data.splits["train"][0] == inputs[sample]).all(1).nonzero()[0, 0]
    return {
        "sample": sample,
        "batch_size": len(targets),
        "point": [*network.data.points["train"][index].tolist(), float(targets[sample])],
        "inputs": [{"name": name, **row} for name, row in zip(names, rows, strict=True)],
        "activation": activation,
        **{name: None if value is None else finite(float(value.detach())) for name, value in numbers.items()},
    }


def run_passes(
    network: Network, layer: int, unit: int, inputs: Tensor, targets: Tensor
) -> tuple[Tensor, str, dict[str, Tensor | None]]:
    """The forward and backward pass of one sample.

    Args:
        network: The network.
        layer: As in `explain_neuron`.
        unit: As in `explain_neuron`.
        inputs: The features of the sample `(1, F)`.
        targets: Its target `(1,)` or `(1, 1)`.

    Returns:
        The inputs `(D,)` of the layer, the name of its activation function, and the numbers of the neuron.
    """
    model = network.at(None)
    hidden = hidden_layers(model)
    final = getattr(model, "output_activation", nn.Identity())
    x = nn.Sequential(*hidden[:layer])(inputs).detach()
    is_head = layer == len(hidden)
    parts = [] if is_head else [part for part in hidden[layer].modules() if isinstance(part, ACTIVATION_TYPES)]
    activation = parts[0] if parts else final
    scale = None if is_head else getattr(hidden[layer], "scale", None)
    sums = weight_layers(model)[layer](x).detach().requires_grad_()
    outputs = activation(sums)
    results = outputs if scale is None else x + scale * outputs
    y = nn.Sequential(*hidden[layer + 1 :])(results)
    loss = network.loss(y if is_head else final(model.head(y)), targets)
    arriving, deltas = torch.autograd.grad(loss, (outputs, sums), retain_graph=True)
    (slopes,) = torch.autograd.grad(outputs.sum(), sums)
    numbers = {
        "sum": sums[0, unit],
        "output": outputs[0, unit],
        "scale": scale,
        "skip": None if scale is None else x[0, unit],
        "result": results[0, unit],
        "arriving": arriving[0, unit],
        "slope": slopes[0, unit],
        "delta": deltas[0, unit],
        "loss": loss,
    }
    return x[0], next(name for name, (kind, _) in ACTIVATIONS.items() if type(activation) is kind), numbers


def names_of_inputs(network: Network, layer: int) -> list[str]:
    if layer == 0:
        return list(network.settings.features)
    return [f"layer {layer}, neuron {unit + 1}" for unit in range(network.layers[layer - 1])]
