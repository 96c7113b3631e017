"""The path of training on the loss surface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import vector_to_parameters

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
        ValueError: If fewer than 3 epochs are recorded, or the weights are not finite.
    """
    steps = torch.stack(path) - path[-1]
    if len(path) < 3 or not steps.isfinite().all():
        raise ValueError(f"{len(path)} recorded epochs do not make a path; train for 3 epochs, with a finite loss")
    _, sizes, directions = torch.linalg.svd(steps, full_matrices=False)
    squares = (sizes / sizes[0]).square()  # NaN if no weight has changed
    places = steps @ directions[:2].T  # (N, 2)
    low, high = places.amin(0), places.amax(0)
    margin = MARGIN * (high - low).max().clamp(min=1e-6)
    ends = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    axes = [torch.linspace(start, end, SIZE) for start, end in ends]
    inputs, targets = (values[:MAX_POINTS] for values in network.data.splits["train"])
    model = network.at(None)
    losses = []
    for second in axes[1]:
        for first in axes[0]:
            vector_to_parameters(path[-1] + first * directions[0] + second * directions[1], model.parameters())
            losses.append(finite(float(network.loss(model(inputs), targets))))
    return {
        "size": SIZE,
        "axes": [[float(axis[0]), float(axis[-1])] for axis in axes],
        "losses": losses,
        "path": places.tolist(),
        "explained": (squares / squares.sum())[:2].nan_to_num().tolist(),
    }
