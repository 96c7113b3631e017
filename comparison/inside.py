"""Figures of the inside of several networks, from the numbers that the callbacks of insight.yaml save."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from callbacks import activation_stats, decision_boundary, gradient_flow, loss_surface
from callbacks.drawing import colour_scale, panels
from callbacks.insight import FOLDER
from comparison.figures import add_legend, stacked
from engine.results import Row

Numbers = dict[str, np.ndarray]


def draw(folder: Path, rows: list[Row]) -> dict[str, Figure]:
    """A figure, by name, of each callback that at least two configs ran with. It shows the first seed of a config.

    Args:
        folder: Folder of the comparison.
        rows: One per finished run.
    """
    figures = {}
    flows = read_numbers(folder, rows, "GradientFlow")
    if len(flows) > 1:
        figures["gradient_by_depth"], (axes,) = stacked(flows)
        gradient_flow.draw_norms(axes, {config: own["norms"] for config, own in flows.items()}, is_relative=True)
        add_legend(figures["gradient_by_depth"], axes)
    stats = read_numbers(folder, rows, "ActivationStats")
    if len(stats) > 1:
        figures["activations_by_depth"], (above, below) = stacked(stats, 2)
        signals = {config: (own["deviations"], own["inactive"]) for config, own in stats.items()}
        activation_stats.draw_signal(above, below, signals)
        add_legend(figures["activations_by_depth"], above)
    surfaces = read_numbers(folder, rows, "LossSurface")
    if len(surfaces) > 1:
        figures["loss_surfaces"] = side_by_side(
            surfaces, lambda axes, own: loss_surface.draw_surface(axes, own["losses"]), "loss of training samples"
        )
    fields = read_numbers(folder, rows, "DecisionBoundary")
    if len(fields) > 1:
        limit = max(own["limit"] for own in fields.values())
        fields = {config: own | {"limit": limit} for config, own in fields.items()}
        num_classes = max(int(own["num_classes"]) for own in fields.values())
        label = {0: "value", 2: "probability of class 1"}.get(num_classes)
        figures["decision_boundaries"] = side_by_side(fields, decision_boundary.draw_field, label)
    return figures


def read_numbers(folder: Path, rows: list[Row], callback: str) -> dict[str, Numbers]:
    """The numbers of a callback, from the first seed of each config that has them."""
    found: dict[str, Numbers] = {}
    for row in rows:
        path = folder / row["config"] / f"seed_{row['seed']}" / FOLDER / f"{callback}.npz"
        if row["config"] not in found and path.is_file():
            with np.load(path) as numbers:
                found[row["config"]] = dict(numbers)
    return found


def side_by_side(networks: dict[str, Numbers], draw_one: Callable[[Axes, Any], Any], label: str | None) -> Figure:
    """One panel per network, two in a row, with one scale of colours. Without a label, there is no colour bar."""
    figure, every_axes = panels(2.2, 2.3, -(-len(networks) // 2), 2, is_plot=False)
    for axes in every_axes[len(networks) :]:
        axes.set_axis_off()
    for axes, (config, own) in zip(every_axes, networks.items(), strict=False):
        drawn = draw_one(axes, own)
        axes.set_title("\n".join(textwrap.wrap(config.replace(",", ", "), 20)), fontsize=10)
        axes.set(xlabel="", ylabel="")
        axes.label_outer()
    if label is not None:
        colour_scale(figure, every_axes, drawn, label)
    return figure
