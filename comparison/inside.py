"""What goes on inside several networks, in one figure: from the numbers that the callbacks of insight.yaml keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from callbacks import activation_stats, decision_boundary, gradient_flow, loss_surface
from callbacks.drawing import colour_scale, panels
from callbacks.insight import FOLDER
from comparison.table import by_config
from engine.results import Row

Numbers = dict[str, np.ndarray]
MOST_COLUMNS = 3


def draw(folder: Path, rows: list[Row]) -> dict[str, Figure]:
    """The figures of those callbacks that at least two configs ran with, by name; each shows a config's first seed.

    Args:
        folder: of the comparison.
        rows: one a run.
    """
    figures = {}
    flows = {config: own["norms"] for config, own in kept(folder, rows, "GradientFlow").items()}
    if len(flows) > 1:
        figures["gradient_by_depth"], (axes, names) = with_names(1, flows)
        gradient_flow.draw_norms(axes, flows, is_relative=True)
        name_lines(names, axes)
    stats = kept(folder, rows, "ActivationStats")
    if len(stats) > 1:
        signals = {config: (own["deviations"], own["inactive"]) for config, own in stats.items()}
        figures["activations_by_depth"], (left, right, names) = with_names(2, stats)
        activation_stats.draw_signal(left, right, signals)
        name_lines(names, left)
    surfaces = kept(folder, rows, "LossSurface")
    if len(surfaces) > 1:
        figures["loss_surfaces"] = side_by_side(
            surfaces, lambda axes, own: loss_surface.draw_surface(axes, own["losses"]), "loss of training samples"
        )
    fields = kept(folder, rows, "DecisionBoundary")
    if len(fields) > 1:
        highest = max(own["limit"] for own in fields.values())
        fields = {config: own | {"limit": highest} for config, own in fields.items()}
        most = max(int(own["num_classes"]) for own in fields.values())
        label = {0: "value", 2: "probability of class 1"}.get(most)
        figures["decision_boundaries"] = side_by_side(fields, decision_boundary.draw_field, label)
    return figures


def kept(folder: Path, rows: list[Row], callback: str) -> dict[str, Numbers]:
    """The numbers of the first seed of each config that finished with this callback."""
    found: dict[str, Numbers] = {}
    for config, runs in by_config(rows).items():
        for row in runs:
            path = folder / config / f"seed_{row['seed']}" / FOLDER / f"{callback}.npz"
            if config not in found and row["status"] == "finished" and path.is_file():
                with np.load(path) as numbers:
                    found[config] = dict(numbers)
    return found


def with_names(plots: int, names: Iterable[str]) -> tuple[Figure, list[Axes]]:
    """Plots side by side, and at their right axes in which the names of the lines have room."""
    widths = [4.2] * plots + [0.8 + 0.08 * max(map(len, names))]
    figure, every_axes = panels(sum(widths) / len(widths), 3.4, columns=len(widths), width_ratios=widths)
    every_axes[-1].set_axis_off()
    return figure, every_axes


def name_lines(names: Axes, axes: Axes) -> None:
    legend = names.legend(*axes.get_legend_handles_labels(), loc="center left", fontsize=9, borderaxespad=0)
    legend.set_in_layout(False)  # it has its room


def side_by_side(networks: dict[str, Numbers], draw_one: Callable[[Axes, Any], Any], label: str | None) -> Figure:
    """A panel a network, on one scale; without a label nothing says which."""
    columns = min(len(networks), MOST_COLUMNS)
    figure, every_axes = panels(3.6, 3.4, -(-len(networks) // columns), columns, is_plot=False)
    for axes in every_axes[len(networks) :]:
        axes.set_axis_off()
    for axes, (config, own) in zip(every_axes, networks.items(), strict=False):
        drawn = draw_one(axes, own)
        axes.set_title(config, fontsize=10)
        axes.label_outer()
    if label is not None:
        colour_scale(figure, every_axes, drawn, label)
    return figure
