"""What a network says of every point in the plane, while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.lines import Line2D
from PIL import Image

from callbacks.drawing import COLOURS, SIGNED, colour_scale, panels, symmetric
from callbacks.insight import Insight, data_of
from callbacks.parts import array

NUM_POINTS = 100  # of the grid along each axis
MARGIN = 1.1  # the grid goes this much further than the points
MILLISECONDS = 400  # a picture of the animation


class DecisionBoundary(Insight):
    """Draws what a network of two inputs says of every point of the plane, under `decision_boundary/plane`.

    Of two classes the colour is the probability of the second and the line is where both are equally likely, of more
    classes the colour is the most likely one, of regression it is the value. Discs train, crosses test. When training
    ends all pictures become `insight/decision_boundary.gif` of the run.
    """

    num_intervals = 9  # with the look before training as many pictures as the slider keeps

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        shape, num_outputs = list(model.hparams["input_shape"]), model.hparams["num_outputs"]
        if shape != [2]:
            return f"it draws inputs of 2 numbers, not input_shape={shape}"
        has_colours = model.hparams["task"] == "regression" or num_outputs <= len(COLOURS)
        return None if has_colours else f"it has colours for {len(COLOURS)} classes, not {num_outputs}"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.frames: list[Image.Image] = []
        super().on_train_start(trainer, pl_module)

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        datamodule = data_of(trainer)
        seen = {name: datamodule.splits[name] for name in ("train", "test")}
        reach = MARGIN * max(float(inputs.abs().max()) for inputs, _ in seen.values())
        num_classes = 0 if datamodule.task == "regression" else datamodule.num_outputs
        limit = symmetric(array(seen["train"][1])).vmax  # of the heights
        numbers = {"values": field(model, reach), "reach": np.array(reach)}
        numbers |= {"num_classes": np.array(num_classes), "limit": np.array(limit)}
        for name, (inputs, targets) in seen.items():
            numbers |= {name: array(inputs), f"{name}_targets": array(targets).reshape(len(targets), -1)[:, 0]}
        figure, (axes,) = panels(4.8, 4.2, is_plot=False)
        drawn = draw_field(axes, numbers)
        axes.set_title(f"finished epochs: {self.epoch}")
        if num_classes <= 2:
            colour_scale(figure, axes, drawn, "value" if num_classes == 0 else "probability of class 1")
        self.frames.append(Image.fromarray(self.draw(trainer, "decision_boundary/plane", figure)))
        self.keep(trainer, **numbers)

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        first, *others = self.frames
        durations = [*[MILLISECONDS] * len(others), 4 * MILLISECONDS]
        path = self.folder(trainer) / "decision_boundary.gif"
        first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def field(model: L.LightningModule, reach: float) -> np.ndarray:
    """What the model gives on a grid over the square from -reach to reach, `(G, G)`, the second input upwards.

    Of two classes the probability of the second, of more the most likely class, of regression the first value.
    """
    axis = torch.linspace(-reach, reach, NUM_POINTS, device=model.device)
    grid = torch.cartesian_prod(axis, axis).flip(1)  # (G * G, 2), row by row
    outputs = model(grid.to(next(model.parameters()).dtype)).float()
    if model.hparams["task"] == "regression":
        values = outputs[:, 0]
    else:
        values = outputs.softmax(-1)[:, 1] if outputs.shape[1] == 2 else outputs.argmax(-1)
    return array(values.view(NUM_POINTS, NUM_POINTS))


def draw_field(axes: Axes, numbers: Mapping[str, np.ndarray]) -> ScalarMappable:
    """A picture of the field with its points.

    Args:
        numbers: as `DecisionBoundary` keeps them.
    """
    reach, num_classes = float(numbers["reach"]), int(numbers["num_classes"])
    colours: Colormap = SIGNED
    if num_classes == 0:
        norm = Normalize(-float(numbers["limit"]), float(numbers["limit"]))
    elif num_classes == 2:
        norm = Normalize(0, 1)
    else:
        colours, norm = ListedColormap(COLOURS[:num_classes]), Normalize(-0.5, num_classes - 0.5)
    drawn = axes.imshow(
        numbers["values"], cmap=colours, norm=norm, extent=(-reach, reach, -reach, reach), origin="lower", alpha=0.6
    )
    if num_classes == 2:
        axis = np.linspace(-reach, reach, NUM_POINTS)
        axes.contour(axis, axis, numbers["values"], levels=[0.5], colors="black", linewidths=1.5)
    for name, marked in (("train", {"edgecolors": "white", "linewidths": 0.4}), ("test", {"marker": "x"})):
        style: Any = {"cmap": colours, "norm": norm, "s": 16, **marked}
        axes.scatter(numbers[name][:, 0], numbers[name][:, 1], c=numbers[f"{name}_targets"], **style)
    marks = [Line2D([], [], color="black", marker=mark, linestyle="", markersize=4) for mark in "ox"]
    axes.set_xlabel("first input")
    axes.set_ylabel("second input")
    axes.legend(marks, ["train", "test"], fontsize=9, loc="upper right")
    return drawn
