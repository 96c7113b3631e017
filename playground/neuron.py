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

    The forward pass is without dropout. Gradients and next values of the weights are those of the whole batch.

    Args:
        network: The network.
        layer: Index of the hidden layer. The number of hidden layers stands for the output layer.
        unit: Index of the neuron in its layer.
        sample: Index of the sample in the batch.
    """
    inputs, targets = network.next_batch
    sample = min(sample, len(targets) - 1)
    chosen = inputs[sample : sample + 1]
    passed = Pass(network, layer, chosen, targets[sample : sample + 1])
    after = weight_layers(network.after_next_step())[layer]
    before = weight_layers(network.model)[layer]
    columns = zip(
        names_of_inputs(network, layer),
        passed.x[0].tolist(),
        before.weight[unit].tolist(),
        after.weight.grad[unit].tolist(),  # type: ignore[index]
        after.weight[unit].tolist(),
        strict=True,
    )
    keys = ("name", "value", "weight", "gradient", "next")
    rows: list[dict[str, Any]] = [dict(zip(keys, column, strict=True)) for column in columns]
    for row in rows:
        row["product"] = row["value"] * row["weight"]
    index = (network.data.splits["train"][0] == chosen).all(1).nonzero()[0]
    point = network.data.points["train"][index][0].tolist()
    numbers = {
        "bias": before.bias[unit],
        "bias_gradient": after.bias.grad[unit],  # type: ignore[index]
        "bias_next": after.bias[unit],
        **passed.numbers(unit),
        "loss": passed.loss,
    }
    return {
        "sample": sample,
        "batch_size": len(targets),
        "point": [*point, float(targets[sample])],
        "inputs": [{name: finite(value) if name != "name" else value for name, value in row.items()} for row in rows],
        "activation": passed.activation_name,
        **{name: None if value is None else finite(float(value.detach())) for name, value in numbers.items()},
    }


class Pass:
    """The forward and backward pass of one sample, with the sum and output of one layer.

    Attributes:
        x: Inputs of the layer `(1, D)`.
        sums: Weighted sums `(1, U)`, before the activation function.
        outputs: Outputs of the activation function `(1, U)`.
        arriving: Gradient of the loss with respect to the outputs `(1, U)`.
        deltas: Gradient of the loss with respect to the sums `(1, U)`.
        slopes: Derivative of the activation function at the sums `(1, U)`.
        results: What the next layer gets `(1, U)`: the outputs, or the input plus the scaled outputs.
    """

    def __init__(self, network: Network, layer: int, inputs: Tensor, targets: Tensor) -> None:
        model = network.at(None)
        hidden = hidden_layers(model)
        x = inputs
        for earlier in hidden[:layer]:
            x = earlier(x)
        self.x = x.detach()
        final = getattr(model, "output_activation", nn.Identity())
        is_head = layer == len(hidden)
        parts = [] if is_head else [part for part in hidden[layer].modules() if isinstance(part, ACTIVATION_TYPES)]
        activation = parts[0] if parts else final
        self.activation_name = next(name for name, (kind, _) in ACTIVATIONS.items() if type(activation) is kind)
        self.scale = None if is_head else getattr(hidden[layer], "scale", None)
        self.sums = weight_layers(model)[layer](self.x).detach().requires_grad_()
        self.outputs = activation(self.sums)
        self.results = self.outputs if self.scale is None else self.x + self.scale * self.outputs
        y = self.results
        for later in hidden[layer + 1 :]:
            y = later(y)
        self.loss = network.loss(y if is_head else final(model.head(y)), targets)
        self.arriving, self.deltas = torch.autograd.grad(self.loss, (self.outputs, self.sums), retain_graph=True)
        (self.slopes,) = torch.autograd.grad(self.outputs.sum(), self.sums)

    def numbers(self, unit: int) -> dict[str, Tensor | None]:
        """The numbers of one neuron."""
        return {
            "sum": self.sums[0, unit],
            "output": self.outputs[0, unit],
            "scale": self.scale,
            "skip": None if self.scale is None else self.x[0, unit],
            "result": self.results[0, unit],
            "arriving": self.arriving[0, unit],
            "slope": self.slopes[0, unit],
            "delta": self.deltas[0, unit],
        }


def names_of_inputs(network: Network, layer: int) -> list[str]:
    if layer == 0:
        return list(network.settings.features)
    return [f"layer {layer}, neuron {unit + 1}" for unit in range(network.layers[layer - 1])]
