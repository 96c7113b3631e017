"""The path of training on the loss surface."""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from playground.frame import finite
from playground.network import Network

SIZE = 21  # points of the surface along each axis
MARGIN = 0.3  # around the path, as a fraction of its extent
MAX_POINTS = 250  # training points that the loss is computed for


@torch.no_grad()
def loss_surface(network: Network, path: list[Tensor]) -> dict[str, Any]:
    """The training loss on the plane in which the weights moved most, and the path of the weights on it.

    Source: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 7: the directions are the first two
    principal components of the differences between the recorded weights and the last ones.
    Differences: the components are not normalised by filter.

    Args:
        network: The network.
        path: All parameters of the recorded epochs, as vectors.

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
    x, y = (torch.linspace(start, end, SIZE) for start, end in ends)
    weights = path[-1] + torch.cartesian_prod(y, x).flip(1) @ directions[:2]  # (SIZE * SIZE, number of weights)

    model = network.at(None)
    parts = weights.split([parameter.numel() for parameter in model.parameters()], dim=1)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    parameters = {name: part.unflatten(1, shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    inputs, targets = (values[:MAX_POINTS] for values in network.data.splits["train"])
    loss_of = vmap(lambda chosen: model.loss(functional_call(model, chosen, (inputs,)), targets), chunk_size=SIZE)
    return {
        "size": SIZE,
        "axes": [[float(axis[0]), float(axis[-1])] for axis in (x, y)],
        "losses": [finite(loss) for loss in loss_of(parameters).tolist()],  # one by one takes seconds if it is deep
        "path": places.tolist(),
        "explained": (squares / squares.sum())[:2].nan_to_num().tolist(),
    }
