"""The inputs and the samples with the strongest response of every unit."""

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from callbacks.drawing import SIGNED, enlarged, mosaic, panels, show, show_samples, symmetric
from callbacks.insight import Insight
from callbacks.parts import NONLINEARITIES, by_unit, evenly_spaced, hide_padding, recorded, stages, to_pictures

NUM_UNITS = 10
NUM_SAMPLES = 9
MOST_SAMPLES = 1000
MOST_STAGES = 4
MOST_ELONGATED = 4  # width of a picture, relative to its height
NUM_STEPS = 25  # of gradient ascent
STEP = 0.25  # length of a step, relative to the norm of the input
SEED = 0  # of the random starting points


class Features(Insight):
    """Draws what the units of a stage respond to most, under `features/<stage>`, after training.

    For the first ten units of at most four stages: on the left an input found by gradient ascent from noise, on the
    right the nine of 1,000 validation samples with the strongest response. The found inputs have the mean norm of the
    samples. An input without a gradient is grey.

    The response of a channel or recurrent unit is its mean over positions, without the padding of unequal sequences.
    For dense layers, it is the value before the activation function, because an inactive unit has no gradient after it.

    Source: Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network", section 3.2.
    """

    num_intervals = 0

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        shape = list(model.hparams["input_shape"])
        _, height, width, *_ = to_pictures(torch.zeros(1, *shape)).shape
        is_picture = not self.has_tokens and not hasattr(self.data, "features_of") and width <= MOST_ELONGATED * height
        return None if is_picture else f"samples of shape {shape} are not small pictures"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        samples, _, *lengths = self.samples(trainer, MOST_SAMPLES)
        hidden = hide_padding(samples, *lengths)
        parts = {name: part for name, part in stages(model).items() if list(part.parameters())}
        with recorded(parts) as outputs:
            model(samples, *lengths)
        for name in evenly_spaced(outputs, MOST_STAGES):
            layer = layer_before_activation(parts[name]) if outputs[name].ndim == 2 else parts[name]
            with recorded({"layer": layer}) as recording:
                model(samples, *lengths)
            units = by_unit(recording["layer"], layer, model)[:, :NUM_UNITS]  # (B, U, P)
            responses = hide_padding(units.transpose(1, 2), *lengths).nanmean(1)  # (B, U)
            strongest = responses.topk(min(NUM_SAMPLES, len(samples)), dim=0).indices  # (S, U)
            found = ascend(model, layer, responses.shape[1], hidden.nan_to_num())  # padding adds nothing to the norm
            titles = [f"unit {number + 1}" for number in range(len(found))]
            if name == "head" and self.data.task != "regression":
                titles = [f"class {label}" for label in self.class_names()[: len(found)]]
            self.draw_units(name, titles, to_pictures(found), to_pictures(hidden[strongest.T.flatten()]))

    def draw_units(self, stage: str, titles: list[str], found: np.ndarray, samples: np.ndarray) -> None:
        """Draws a row per unit: its title, the found input, and its samples. All samples are in one array, by unit."""
        found, samples = enlarged(found), enlarged(samples)
        columns, (height, width) = len(samples) // len(found), found.shape[1:3]
        title = f"What each unit of {stage} responds to most"
        figure, axes = panels(title, 2.5, 4.9, columns=2, is_plot=False, width_ratios=[1, columns])
        if found.ndim == 4:
            show_samples(axes[0], found, 1)
        else:
            show(axes[0], mosaic(found, 1), symmetric(found), SIGNED)
        show_samples(axes[1], samples, columns, is_ink=self.data.is_ink)
        for one, text in zip(axes, ("synthetic", f"the {columns} samples with the strongest response"), strict=True):
            one.set_title(text, fontsize=10)
            one.set_aspect("auto" if width > 2 * height else "equal")
        axes[0].set_yticks((np.arange(len(found)) + 0.5) * (height + 1) - 1, titles)
        axes[0].tick_params(length=0)
        self.draw(f"features/{stage}", figure)


def layer_before_activation(stage: nn.Module) -> nn.Module:
    """The last layer before the final activation function of a stage, or the stage itself if it does not end in one."""
    layers = [layer for layer in stage.children() if not isinstance(layer, nn.Dropout)]
    ends_in_activation = isinstance(stage, nn.Sequential) and isinstance(layers[-1], NONLINEARITIES)
    return layers[-2] if ends_in_activation else stage


def ascend(model: nn.Module, layer: nn.Module, num_units: int, samples: Tensor) -> Tensor:
    """The inputs `(U, *input_shape)` with the strongest response of the first U units of a layer.

    They have the mean norm of the samples. Inputs without a gradient are NaN.
    """
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(num_units, *samples.shape[1:], generator=generator).to(samples)
    norm = samples.flatten(1).norm(dim=1).mean()
    inputs = with_norm(noise, norm)
    # cuDNN's recurrent layers have no gradient in evaluation mode
    with recorded({"layer": layer}) as outputs, torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for _ in range(NUM_STEPS):
            inputs = inputs.detach().requires_grad_()
            model(inputs)
            responses = by_unit(outputs["layer"], layer, model).mean(-1).diagonal()
            (gradient,) = torch.autograd.grad(responses.sum(), inputs, allow_unused=True, materialize_grads=True)
            inputs = with_norm(inputs + STEP * with_norm(gradient, norm), norm)
    has_gradient = gradient.flatten(1).any(dim=1)
    return torch.where(has_gradient.view(-1, *[1] * (inputs.ndim - 1)), inputs.detach(), torch.nan)


def with_norm(inputs: Tensor, norm: Tensor) -> Tensor:
    """Each input scaled to this norm. Zeros stay zeros."""
    smallest = torch.finfo(inputs.dtype).tiny  # gradients may be far below the usual 1e-12
    return norm * F.normalize(inputs.flatten(1), eps=smallest).view_as(inputs)
