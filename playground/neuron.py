"""Inside a neuron: forward and backward pass with numbers, for the batch of the next step."""

from typing import Any

import torch
from torch import Tensor, nn

from models.activations import ACTIVATIONS
from playground.frame import finite
from playground.network import Network, hidden_layers, output_activation, weight_layers


def explain_neuron(network: Network, layer: int, unit: int, sample: int) -> dict[str, Any]:
    """Every number in a neuron for one sample of the next batch, and what the next step will do to its weights.

    The forward pass does not use dropout. The gradients and the next weights belong to the whole batch.

    Args:
        network: The network.
        layer: Index of the hidden layer. The number of hidden layers stands for the output layer.
        unit: Index of the neuron in its layer.
        sample: Index of the sample in the batch. The last one stands for those after it.
    """
    inputs, targets = network.next_batch
    sample = min(sample, len(targets) - 1)
    one = slice(sample, sample + 1)
    model = network.at(None)
    hidden, final = hidden_layers(model), output_activation(model)
    is_head = layer == len(hidden)
    activation: Any = final if is_head else ACTIVATIONS[network.settings.activation][0]()
    scale = None if is_head else getattr(hidden[layer], "scale", None)

    x = nn.Sequential(*hidden[:layer])(inputs[one]).detach()
    sums = weight_layers(model)[layer](x).detach().requires_grad_()
    outputs = activation(sums)
    results = outputs if scale is None else x + scale * outputs
    predictions = results if is_head else final(model.head(nn.Sequential(*hidden[layer + 1 :])(results)))
    loss = model.loss(predictions, targets[one])
    arriving, deltas = torch.autograd.grad(loss, (outputs, sums), retain_graph=True)
    (slopes,) = torch.autograd.grad(outputs.sum(), sums)

    before = weight_layers(network.model)[layer]
    after: Any = weight_layers(network.after_next_step())[layer]
    numbers: dict[str, Tensor | None] = {
        "sum": sums[0, unit],
        "output": outputs[0, unit],
        "scale": scale,
        "skip": None if scale is None else x[0, unit],
        "result": results[0, unit],
        "arriving": arriving[0, unit],
        "slope": slopes[0, unit],
        "delta": deltas[0, unit],
        "loss": loss,
        "bias": before.bias[unit],
        "bias_gradient": after.bias.grad[unit],
        "bias_next": after.bias[unit],
    }
    columns = {
        "value": x[0],
        "weight": before.weight[unit],
        "product": x[0] * before.weight[unit],
        "gradient": after.weight.grad[unit],
        "next": after.weight[unit],
    }
    rows = torch.stack([*columns.values()], 1).tolist()
    sources = [f"layer {layer}, neuron {number + 1}" for number in range(len(rows))]
    names = sources if layer else network.settings.features
    index = (network.data.splits["train"][0] == inputs[sample]).all(1).nonzero()[0, 0]
    return {
        "sample": sample,
        "batch_size": len(targets),
        "point": [*network.data.points["train"][index].tolist(), float(targets[sample])],
        "inputs": [
            {"name": name, **dict(zip(columns, map(finite, row), strict=True))}
            for name, row in zip(names, rows, strict=True)
        ],
        "activation": next(name for name, (kind, _) in ACTIVATIONS.items() if type(activation) is kind),
        **{name: None if value is None else finite(float(value.detach())) for name, value in numbers.items()},
    }
