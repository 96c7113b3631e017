"""The stages, weights and outputs of any network, by name."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torchmetrics import Metric

MAGNITUDE, DIRECTION = (f".parametrizations.weight.original{number}" for number in range(2))  # of weight norm
NONLINEARITIES = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)  # elementwise
UNITS_LAST = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RNNBase, nn.MultiheadAttention)  # outputs `(B, T, U)`


def stages(module: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """The stages of a network by name: its children, without dropout, identities and metrics.

    Lists, and containers whose items all have children, are replaced by their items: `blocks.0`, `stages.1.0`.
    """
    found: dict[str, nn.Module] = {}
    for name, child in module.named_children():
        is_list = isinstance(child, nn.ModuleList | nn.ModuleDict)
        is_nested = isinstance(child, nn.Sequential) and all(list(item.children()) for item in child)
        if is_list or is_nested:
            found |= stages(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.Dropout | nn.Identity | Metric):
            found[prefix + name] = child
    return found


def evenly_spaced(names: Iterable[str], most: int) -> list[str]:
    """At most `most` of the names, always with the first and the last."""
    listed = list(names)
    chosen = np.linspace(0, len(listed) - 1, min(most, len(listed))).round().astype(int)
    return [listed[number] for number in chosen]


def weights(model: nn.Module, *inputs: Tensor) -> dict[str, nn.Parameter]:
    """The weight tensors (two or more dimensions) by the name of their layer, in the order of the forward pass.

    Weights of modules that are not called themselves, such as the output projection of attention, come last. Of a layer
    with weight norm, the directions are its weights. The inputs are the arguments of the forward pass.
    """
    owners = {name: module for name, module in model.named_modules() if list(module.parameters(recurse=False))}
    with recorded(owners) as called:
        model(*inputs)
    found = {}
    for owner in dict.fromkeys([*called, *owners]):
        for name, parameter in owners[owner].named_parameters(recurse=False):
            full_name = f"{owner}.{name}".strip(".").removesuffix(".weight").removesuffix(DIRECTION)
            if parameter.ndim >= 2 and not full_name.endswith(MAGNITUDE):
                found[full_name] = parameter
    return found


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Inside this context, the dictionary holds the last output of each module, in the order of their first calls.

    Of a tuple, such as the output of a recurrent layer, it holds the first tensor. Packed sequences are padded with
    zeros. Other outputs are left out.
    """
    outputs: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, PackedSequence):
            first, _ = pad_packed_sequence(first, batch_first=True)
        if isinstance(first, Tensor):
            outputs[name] = first

    with ExitStack() as handles:
        for name, module in modules.items():
            handles.enter_context(module.register_forward_hook(partial(record, name)))
        yield outputs


def by_unit(output: Tensor, layer: nn.Module, model: nn.Module) -> Tensor:
    """The output of a layer as `(B, U, P)`: its units or channels U, and their positions P (1 for a dense layer).

    Channels are the second dimension of `(B, C, H, W)`, and of `(B, C, T)` behind a 1-D convolution. Units are the last
    dimension of all other outputs, such as `(B, T, U)`. A layer with neither a convolution nor units of its own, such
    as a ReLU, follows the model.
    """
    owner = layer if any(isinstance(part, (nn.Conv1d, *UNITS_LAST)) for part in layer.modules()) else model
    if output.ndim == 3 and not any(isinstance(part, nn.Conv1d) for part in owner.modules()):
        output = output.transpose(1, 2)
    return output.flatten(2) if output.ndim > 2 else output[..., None]


def hide_padding(sequences: Tensor, *lengths: Tensor) -> Tensor:
    """Sequences `(B, T, D)` with NaN behind the end of each. Without lengths, they do not change."""
    if not lengths:
        return sequences
    is_padding = torch.arange(sequences.shape[1], device=sequences.device) >= lengths[0][:, None]
    return sequences.masked_fill(is_padding[..., None], torch.nan)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A float32 array on the CPU."""
    return tensor.detach().float().cpu().numpy()


def is_picture(inputs: Tensor) -> bool:
    """Whether a sample is an image `(C, H, W)`, or a sequence `(T, D)` with more than one value per time step."""
    return inputs.ndim > 2 and min(inputs.shape[-2:]) > 1


def to_pictures(inputs: Tensor) -> np.ndarray:
    """Inputs as pictures: `(N, H, W, 3)` with three channels, otherwise `(N, H, W)` with the mean over the channels.

    Time steps become rows, or columns if there are more of them than values per step. The first value is then at the
    bottom, as in a spectrogram. Inputs of one dimension become vertical stripes.
    """
    if not is_picture(inputs):
        stripes = to_numpy(inputs.flatten(1))[:, None]
        return stripes.repeat(min(stripes.shape[2], 28), axis=1)
    if inputs.ndim == 4:
        inputs = inputs.permute(0, 2, 3, 1) if inputs.shape[1] == 3 else inputs.mean(1)
    elif inputs.shape[1] > inputs.shape[2]:
        inputs = inputs.transpose(1, 2).flip(1)
    return to_numpy(inputs)
