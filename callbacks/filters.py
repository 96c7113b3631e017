"""The weights of the first layer, as the pictures that they look for."""

from __future__ import annotations

import math
from itertools import islice

import lightning as L
import numpy as np
from torch import Tensor

from callbacks.drawing import SIGNED, colour_scale, columns_for, enlarged, in_colour, mosaic, panels, show, symmetric
from callbacks.insight import Insight
from callbacks.parts import array, is_picture, lacks_weights, pictures, weights

MOST_UNITS = 64


class Filters(Insight):
    """Draws the first 64 units of the first layer under `filters/<layer>`.

    The weights of a neuron that is connected to a whole picture are drawn as a picture, and so is the kernel of a
    convolution. Kernels of three channels are drawn in colour. Weights of one dimension, such as those of a neuron that
    reads a row of a picture, are drawn as a row of a heat map. Orange is positive, blue is negative. All units
    share one scale.
    """

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        if list(model.hparams["input_shape"]) == [2]:
            return "inputs of 2 numbers are no picture; DecisionBoundary draws them"
        return lacks_weights(model)

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        ((name, weight),) = islice(weights(model, self.samples(trainer, 2)[0]).items(), 1)
        units = as_seen(weight[:MOST_UNITS], list(model.hparams["input_shape"]))
        figure, (axes,) = panels(4.8, 4.2, is_plot=False)
        number = f"units 1 to {len(units)} of {len(weight)}"
        if units.ndim == 4:
            show(axes, in_colour(mosaic(enlarged(units), columns_for(len(units)))), symmetric(units), SIGNED)
            axes.set_xlabel(f"{number}, each colour from its lowest to its highest weight")
            self.draw(trainer, f"filters/{name}", figure)
            return
        if units.ndim == 3:
            drawn = show(axes, mosaic(enlarged(units), columns_for(len(units))), symmetric(units), SIGNED)
            axes.set_xlabel(number)
        else:
            drawn = show(axes, units, symmetric(units), SIGNED)
            axes.set_aspect("auto")
            axes.set_xlabel(f"{units.shape[1]} inputs")
            axes.set_ylabel(number)
        colour_scale(figure, axes, drawn, "weight")
        self.draw(trainer, f"filters/{name}", figure)


def as_seen(weight: Tensor, input_shape: list[int]) -> np.ndarray:
    """The weights of U units as pictures `(U, H, W)`, in colour `(U, H, W, 3)`, or else as rows `(U, inputs)`.

    Args:
        weight: `(U, inputs)` of neurons, `(U, C, H, W)` of a convolution, or of any other shape.
        input_shape: of the network's samples.
    """
    if weight.ndim == 2 and weight.shape[1] == math.prod(input_shape):
        weight = weight.view(-1, *input_shape)  # each sees a whole sample
    return pictures(weight) if weight.ndim == 4 or is_picture(weight) else array(weight.flatten(1))
