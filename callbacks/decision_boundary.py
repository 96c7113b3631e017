"""The output of a network for every point of the plane, with an animation."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from PIL import Image
from torch import Tensor

from callbacks.drawing import COLOURS, SIGNED, colour_scale, panels, symmetric
from callbacks.insight import Insight
from callbacks.parts import to_numpy

NUM_POINTS = 100  # of the grid along each axis
MARGIN = 1.1  # size of the grid, relative to the largest coordinate of a sample
MILLISECONDS = 400  # per frame of the animation
HEADLINE = "Prediction for every point of the plane. Discs are training samples, crosses are test samples"


class DecisionBoundary(Insight):
    """Draws the output of a network for every point of the plane, under `decision_boundary/plane`.

    It needs the `points` of the data, `(N, 2)`, and `features_of`, which makes inputs of the network of them.

    The colour is the probability of class 1 for two classes, the most likely class for more classes, and the value for
    regression. With two classes, a line shows where both are equally likely. Discs are training samples, crosses are
    test samples. After training, `insight/decision_boundary.gif` in the folder of the run shows all pictures.
    """

    num_intervals = 9  # with the picture before training, as many as TensorBoard's slider keeps

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        return None if hasattr(self.data, "features_of") else "the samples are not points of a plane"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.frames: list[Image.Image] = []
        super().on_train_start(trainer, pl_module)

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        points = {name: to_numpy(self.data.points[name]) for name in ("train", "test")}
        targets = {f"{name}_targets": to_numpy(self.data.splits[name][1]).reshape(len(points[name])) for name in points}
        reach = MARGIN * max(float(np.abs(one).max()) for one in points.values())
        num_classes = 0 if self.data.task == "regression" else self.data.num_outputs
        arrays = {
            "values": plane_outputs(model, reach, self.data.features_of),
            "reach": np.array(reach),
            "num_classes": np.array(num_classes),
            "limit": np.array(symmetric(targets["train_targets"]).vmax),
            **points,
            **targets,
        }
        figure, (axes,) = panels(f"{HEADLINE} (finished epochs: {self.epoch})", 4.8, 4.2, is_plot=False)
        drawn = draw_field(axes, arrays)
        if num_classes <= 2:
            colour_scale(figure, axes, drawn, "value" if num_classes == 0 else "probability of class 1")
        self.frames.append(Image.fromarray(self.draw("decision_boundary/plane", figure)))
        self.save_arrays(**arrays)

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        first, *others = self.frames
        durations = [*[MILLISECONDS] * len(others), 4 * MILLISECONDS]
        path = self.folder() / "decision_boundary.gif"
        first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def plane_outputs(model: L.LightningModule, reach: float, features_of: Callable[[Tensor], Tensor]) -> np.ndarray:
    """The outputs `(G, G)` on a grid from -reach to reach; the second coordinate is the first axis.

    The outputs are the probability of class 1 for two classes, the most likely class for more, and the value for
    regression. `features_of` makes inputs `(N, F)` of points `(N, 2)`.
    """
    axis = torch.linspace(-reach, reach, NUM_POINTS, device=model.device)
    grid = torch.cartesian_prod(axis, axis).flip(1)  # (G * G, 2), row by row
    outputs = model(features_of(grid).to(next(model.parameters()).dtype)).float()
    if model.hparams["task"] == "regression":
        values = outputs[:, 0]
    else:
        values = outputs.softmax(-1)[:, 1] if outputs.shape[1] == 2 else outputs.argmax(-1)
    return to_numpy(values.view(NUM_POINTS, NUM_POINTS))


def draw_field(axes: Axes, arrays: Mapping[str, np.ndarray]) -> ScalarMappable:
    """Draws the arrays that `DecisionBoundary` saves: the outputs on the plane, and the samples."""
    reach, num_classes = float(arrays["reach"]), int(arrays["num_classes"])
    colours: Colormap = SIGNED
    if num_classes == 0:
        norm = Normalize(-float(arrays["limit"]), float(arrays["limit"]))
    elif num_classes == 2:
        norm = Normalize(0, 1)
    else:
        listed = [COLOURS[number % len(COLOURS)] for number in range(num_classes)]
        colours, norm = ListedColormap(listed), Normalize(-0.5, num_classes - 0.5)
    extent = (-reach, reach, -reach, reach)
    drawn = axes.imshow(arrays["values"], cmap=colours, norm=norm, extent=extent, origin="lower", alpha=0.6)
    if num_classes == 2:
        axis = np.linspace(-reach, reach, NUM_POINTS)
        axes.contour(axis, axis, arrays["values"], levels=[0.5], colors="black", linewidths=1.5)
    for name, marker in (("train", {"edgecolors": "white", "linewidths": 0.4}), ("test", {"marker": "x"})):
        style: Any = {"cmap": colours, "norm": norm, "s": 16, **marker}
        axes.scatter(arrays[name][:, 0], arrays[name][:, 1], c=arrays[f"{name}_targets"], **style)
    axes.set(xlabel="x", ylabel="y")
    return drawn
