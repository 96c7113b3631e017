"""What the side panels show: the inside of a neuron, and the path of training on the loss surface."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from callbacks.parts import to_numpy
from models.activations import ACTIVATIONS
from playground.frame import finite
from playground.network import Network, hidden_layers, weight_layers

COLUMNS = ("value", "weight", "product", "gradient", "next")  # numbers of each input of a neuron
SIDE = 21  # points of the surface along each axis
MARGIN = 0.3  # around the path, as a fraction of its extent
MAX_POINTS = 250  # training points that the loss is computed for


def explain_neuron(network: Network, layer: int, unit: int, sample: int) -> dict[str, Any]:
    """Every number in a neuron for one sample of the next batch, and what the next step will do to its weights.

    The forward pass does not use dropout. The gradients and the next weights belong to the whole batch. The layer after
    the hidden ones is the output layer. If the batch has fewer samples, its last one is explained.
    """
    inputs, targets = network.next_batch
    sample = min(sample, len(targets) - 1)
    one = slice(sample, sample + 1)
    model = network.at(None)
    hidden, final = hidden_layers(model), getattr(model, "output_activation", nn.Identity())
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
    weight = before.weight[unit]
    rows = torch.stack([x[0], weight, x[0] * weight, after.weight.grad[unit], after.weight[unit]], 1).tolist()
    neurons = [f"layer {layer}, neuron {number + 1}" for number in range(len(rows))]
    names = neurons if layer else network.settings.features
    index = (network.data.splits["train"][0] == inputs[sample]).all(1).nonzero()[0, 0]
    return {
        "sample": sample,
        "batch_size": len(targets),
        "point": [*network.data.points["train"][index].tolist(), float(targets[sample])],
        "inputs": [
            {"name": name, **dict(zip(COLUMNS, map(finite, row), strict=True))}
            for name, row in zip(names, rows, strict=True)
        ],
        "activation": next(name for name, (kind, _) in ACTIVATIONS.items() if type(activation) is kind),
        **{name: None if value is None else finite(float(value.detach())) for name, value in numbers.items()},
    }


@torch.no_grad()
def loss_surface(network: Network, path: list[Tensor]) -> dict[str, Any]:
    """The training loss on the plane in which the weights moved most, and the `path` of recorded weights on it.

    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7: the directions are the first two
    principal components of the differences between the recorded weights and the last ones.
    Differences: the components are not normalised by filter.

    Raises:
        ValueError: If there are fewer than 2 epochs, or the weights are not finite.
    """
    steps = torch.stack(path) - path[-1]
    if len(path) < 3:
        raise ValueError(f"a path on the loss surface needs 2 epochs, not {len(path) - 1}; train first")
    if not steps.isfinite().all():
        raise ValueError("the weights are not finite numbers, so there is no loss surface; use a lower learning rate")
    _, sizes, directions = torch.linalg.svd(steps, full_matrices=False)
    squares = (sizes / sizes[0]).square()  # NaN if no weight has changed
    places = steps @ directions[:2].T  # (N, 2)
    low, high = places.amin(0), places.amax(0)
    margin = MARGIN * (high - low).max().clamp(min=1e-6)
    ends = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    x, y = (torch.linspace(start, end, SIDE) for start, end in ends)
    weights = path[-1] + torch.cartesian_prod(y, x).flip(1) @ directions[:2]  # (SIDE * SIDE, number of weights)

    model = network.at(None)
    parts = weights.split([parameter.numel() for parameter in model.parameters()], dim=1)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    parameters = {name: part.unflatten(1, shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    inputs, targets = (values[:MAX_POINTS] for values in network.data.splits["train"])
    loss_of = vmap(lambda chosen: model.loss(functional_call(model, chosen, (inputs,)), targets), chunk_size=SIDE)
    return {
        "axes": [[float(axis[0]), float(axis[-1])] for axis in (x, y)],
        "losses": to_numpy(loss_of(parameters)).reshape(SIDE, SIDE),  # one by one takes seconds for a deep network
        "path": places.tolist(),
        "explained": (squares / squares.sum())[:2].nan_to_num().tolist(),
    }
