"""The weights of the first layer, as pictures."""

import math

import lightning as L
import numpy as np
from torch import Tensor

from callbacks.drawing import SIGNED, colour_scale, enlarged, in_colour, mosaic, panels, show, symmetric
from callbacks.insight import Insight
from callbacks.parts import is_picture, to_numpy, to_pictures, weights

MOST_UNITS = 64


class Filters(Insight):
    """Draws the weights of the first 64 units of the first layer, under `filters/<layer>`.

    Each unit is a picture if it is connected to a whole image, or if it is a convolution kernel. Kernels with three
    channels are drawn in colour. Other weights, such as those of a recurrent layer, are the rows of a heat map. Orange
    is positive, blue is negative, and all units share one scale.

    If a unit is connected to a whole sequence with more steps than values per step, its row shows the weights of the
    first value at all steps, then the second value at all steps, and so on.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        return "the first layer has a vector per token, which is no filter" if self.has_tokens else None

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, _, *lengths = self.samples(trainer, 2)
        name, weight = next(iter(weights(model, inputs, *lengths).items()))
        units = weight_pictures(weight[:MOST_UNITS], list(model.hparams["input_shape"]))
        picture = units if units.ndim == 2 else mosaic(enlarged(units))
        title = f"Weights of {len(units)} of {len(weight)} units of layer {name}"
        figure, (axes,) = panels(title, 4.8, 4.1, is_plot=False)
        drawn = show(axes, in_colour(picture) if picture.ndim == 3 else picture, symmetric(units), SIGNED)
        if units.ndim == 2:
            axes.set(aspect="auto", xlabel=f"{units.shape[1]} inputs, from left to right", ylabel="one line per unit")
        if picture.ndim == 3:
            axes.set_xlabel("red, green, blue: from the lowest to the highest weight")
        else:
            colour_scale(figure, axes, drawn, "weight")
        self.draw(f"filters/{name}", figure)


def weight_pictures(weight: Tensor, input_shape: list[int]) -> np.ndarray:
    """The weights `(U, ...)` of U units as pictures `(U, H, W)` or `(U, H, W, 3)`, or as rows `(U, inputs)`."""
    if weight.ndim == 2 and weight.shape[1] == math.prod(input_shape):
        weight = weight.view(-1, *input_shape)
        if weight.ndim == 3 and weight.shape[1] > weight.shape[2]:  # a long sequence
            return to_numpy(weight.transpose(1, 2).flatten(1))
    elif weight.ndim == 3 and is_picture(weight):  # kernels over time, with the first value at the bottom
        return to_numpy(weight.flip(1))
    return to_pictures(weight) if weight.ndim == 4 or is_picture(weight) else to_numpy(weight.flatten(1))
