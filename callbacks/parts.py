"""The parts of any network, by name, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torchmetrics import Metric

NONLINEARITIES = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)  # value by value


def stages(module: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """The parts of a network by name: its children.

    A container of parts that have parts themselves is opened: `blocks.0`, `stages.1.0`; so is a list, which is never
    called itself. Dropout is left out: it does nothing in evaluation. So are metrics.
    """
    found: dict[str, nn.Module] = {}
    for name, child in module.named_children():
        is_list = isinstance(child, nn.ModuleList | nn.ModuleDict)
        is_nested = isinstance(child, nn.Sequential) and all(list(part.children()) for part in child)
        if is_list or is_nested:
            found |= stages(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.Dropout | Metric):
            found[prefix + name] = child
    return found


def some(names: Iterable[str], most: int) -> list[str]:
    """Every so many of the names, the first and the last always."""
    listed = list(names)
    chosen = np.linspace(0, len(listed) - 1, min(most, len(listed))).round().astype(int)
    return [listed[number] for number in chosen]


def weights(model: nn.Module, inputs: Tensor) -> dict[str, nn.Parameter]:
    """The weight tensors by the name of their layer, in the order in which samples pass them.

    Biases and norm scales are left out; what is used without a call of its own, as inside attention, comes last.
    """
    owners = {
        name: module
        for name, module in model.named_modules()
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))
    }
    called: list[str] = []
    with hooked((module, partial(lambda name, *_: called.append(name), name)) for name, module in owners.items()):
        model(inputs)
    found = {}
    for owner in dict.fromkeys([*called, *owners]):
        for name, parameter in owners[owner].named_parameters(recurse=False):
            if parameter.ndim >= 2:
                found[f"{owner}.{name}".strip(".").removesuffix(".weight")] = parameter
    return found


def lacks_weights(model: nn.Module) -> str | None:
    """The reason not to look at weights where there are none."""
    return None if any(one.ndim >= 2 for one in model.parameters()) else "the network has no weights"


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """While it is open, each function is called with (module, inputs, output) after its module was."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """While it is open, what each module has given last, in the order of their first calls.

    Of several tensors, as of a recurrent layer, it is the first; what gives none is left out.
    """
    given: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            given[name] = first

    with hooked((module, partial(record, name)) for name, module in modules.items()):
        yield given


def by_unit(given: Tensor, model: nn.Module) -> Tensor:
    """What a part gave as `(B, U, P)`: units, or channels, and the P positions at which each responds.

    Channels come second, as in `(B, C, H, W)` and, in a network with convolutions over time, `(B, C, T)`; else units
    come last, as in `(B, T, U)`.
    """
    if given.ndim == 3 and not any(isinstance(module, nn.Conv1d) for module in model.modules()):
        given = given.transpose(1, 2)
    return given.flatten(2) if given.ndim > 2 else given[..., None]


def array(tensor: Tensor) -> np.ndarray:
    """As numpy, for drawing."""
    return tensor.detach().float().cpu().numpy()


def is_picture(inputs: Tensor) -> bool:
    """Whether a sample is `(C, H, W)`, or `(T, D)` with more than one number a step."""
    return inputs.ndim > 2 and min(inputs.shape[-2:]) > 1


def pictures(inputs: Tensor) -> np.ndarray:
    """Inputs as pictures: `(N, H, W, 3)` of three channels, else `(N, H, W)`.

    Of another number of channels, it is their mean. Time steps are rows. Other inputs are drawn as stripes.
    """
    if not is_picture(inputs):
        stripes = array(inputs.flatten(1))[:, None]
        return stripes.repeat(min(stripes.shape[2], 28), axis=1)
    if inputs.ndim == 4:
        inputs = inputs.permute(0, 2, 3, 1) if inputs.shape[1] == 3 else inputs.mean(1)
    return array(inputs)
