"""Figures of a comparison: learning curves, the score against parameters, seconds and depth, and insides."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from callbacks import activation_stats, decision_boundary, gradient_flow, loss_surface
from callbacks.drawing import colour_scale, line_style, line_styles, panels, plain_name, without_depth
from callbacks.insight import FOLDER
from comparison.curves import Curves, mean_and_deviation
from comparison.table import finished, label, main_score, scores
from engine.results import Row

X_LABELS = {"parameters": "parameters", "seconds": "seconds of training", "depth": "depth (hidden layers)"}
MOST_TICKS = 8  # depths that are marked on the x axis
Arrays = dict[str, np.ndarray]  # that a callback saves


def draw(rows: list[Row], curves: dict[str, Curves]) -> dict[str, Figure]:
    """All figures, by name, from the rows of finished runs and the curves of each config."""
    runs = finished(rows)
    score = main_score(runs)
    figures = {f"{score}_against_{column}": draw_score(runs, column, score) for column in X_LABELS}
    if any(curves.values()):
        figures["learning_curves"] = draw_curves(curves, scores(runs)[0])
    return figures


def stacked(title: str, names: Iterable[str], num_plots: int = 1) -> tuple[Figure, list[Axes]]:
    """Plots one below the other, with room for a legend of these names below. TensorBoard shows 300 pixels of width."""
    names = list(names)
    legend_height = 0.23 * math.ceil(len(names) / legend_columns(names)) + 0.2
    return panels(title, 4.0, 3.0 + legend_height / num_plots, rows=num_plots)


def legend_columns(names: list[str]) -> int:
    return max(1, 48 // (max(map(len, names)) + 6))


def add_legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", fontsize=10, ncols=legend_columns(names))


def format_score(axes: Axes, score: str) -> None:
    axes.set_ylabel(plain_score(score))
    if score.endswith("acc"):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def plain_score(score: str) -> str:
    return label(score).replace("acc", "accuracy").replace("val", "validation").replace("train ", "training ")


def draw_score(runs: pd.DataFrame, column: str, score: str) -> Figure:
    """Mean and standard deviation of the score against a column. Configs that differ in depth only form a line."""
    groups = runs.astype({column: float, score: float}).groupby("config", sort=False)
    points = groups.agg(x=(column, "mean"), y=(score, "mean"), sd=(score, "std")).fillna({"sd": 0.0}).dropna()
    series = points.groupby([without_depth(config) for config in points.index], sort=False)
    direction = "higher" if score.endswith("acc") else "lower"
    title = f"{plain_score(score).capitalize()} against {column}: {direction} is better"
    figure, (axes,) = stacked(title, [str(name) for name, _ in series] or [""])
    for number, (name, own) in enumerate(series):
        line, style = own.sort_values("x"), line_style(number, len(own))
        style |= {} if column == "depth" else {"linestyle": "none"}
        axes.errorbar(line.x, line.y, yerr=line.sd, label=plain_name(str(name)), capsize=3, **style)
    if len(points) and points.x.min() > 0 and points.x.max() > 8 * points.x.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x < 1000 else f"{x / 1000:,.0f} k"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if column == "depth" and points.x.nunique() <= MOST_TICKS:
        axes.set_xticks(points.x.unique(), [f"{x:g}" for x in points.x.unique()])
    axes.set_xlabel(X_LABELS[column])
    format_score(axes, score)
    if len(series) > 1:
        add_legend(figure, axes)
    return figure


def draw_curves(curves: dict[str, Curves], score: str) -> Figure:
    """Mean training loss and validation score per epoch, with a band of one standard deviation."""
    tags = {score.replace("_", "/"): score, "train/loss": "train_loss"}
    tags = {tag: column for tag, column in tags.items() if any(tag in own for own in curves.values())}
    title = "Learning curves: mean over the seeds, with a band of one standard deviation"
    figure, plots = stacked(title, curves, len(tags))
    lengths = {config: max(own.values(), key=len, default=()) for config, own in curves.items()}
    for axes, (tag, column) in zip(plots, tags.items(), strict=True):
        for (config, own), style in zip(curves.items(), line_styles(lengths), strict=True):
            if tag in own:
                mean, sd = mean_and_deviation(own[tag])
                axes.plot(mean.index, mean, label=plain_name(config), **style)
                axes.fill_between(mean.index, mean - sd, mean + sd, color=style["color"], alpha=0.2, linewidth=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        format_score(axes, column)
    plots[-1].set_xlabel("finished epochs")
    add_legend(figure, plots[-1])
    return figure


def draw_inside(runs: dict[str, list[Path]]) -> dict[str, Figure]:
    """A figure, by name, of each callback that at least two configs ran with. It shows the first seed of a config.

    Args:
        runs: Folders of the finished runs of each config.
    """
    figures = {}
    if flows := read_arrays(runs, "GradientFlow"):
        figures["gradient_by_depth"], (axes,) = stacked(gradient_flow.HEADLINE, flows)
        gradient_flow.draw_norms(axes, {config: own["norms"] for config, own in flows.items()})
        add_legend(figures["gradient_by_depth"], axes)
    if stats := read_arrays(runs, "ActivationStats"):
        figures["activations_by_depth"], plots = stacked(activation_stats.HEADLINE, stats, 2)
        activation_stats.draw_activations(plots, stats)
        add_legend(figures["activations_by_depth"], plots[0])
    if surfaces := read_arrays(runs, "LossSurface"):
        losses = {config: own["losses"] for config, own in surfaces.items()}
        figures["loss_surfaces"] = side_by_side(
            loss_surface.HEADLINE, losses, loss_surface.draw_surface, "loss of training samples"
        )
    if fields := read_arrays(runs, "DecisionBoundary"):
        limit = max(own["limit"] for own in fields.values())
        fields = {config: own | {"limit": limit} for config, own in fields.items()}
        num_classes = max(int(own["num_classes"]) for own in fields.values())
        name = {0: "value", 2: "probability of class 1"}.get(num_classes)
        figures["decision_boundaries"] = side_by_side(
            decision_boundary.HEADLINE, fields, decision_boundary.draw_field, name
        )
    return figures


def read_arrays(runs: dict[str, list[Path]], callback: str) -> dict[str, Arrays]:
    """The arrays that a callback saved, from the first run of each config. Empty with fewer than two."""
    paths = {config: own[0] / FOLDER / f"{callback}.npz" for config, own in runs.items()}
    found = {config: dict(np.load(path)) for config, path in paths.items() if path.is_file()}
    return found if len(found) > 1 else {}


def side_by_side(
    title: str, networks: Mapping[str, Any], draw_one: Callable[[Axes, Any], Any], label: str | None
) -> Figure:
    """One panel per network, two in a row, with one scale of colours. Without a label, there is no colour bar."""
    rows = -(-len(networks) // 2)
    figure, every_axes = panels(title, 2.2, 2.0 + 1.5 / rows, rows, 2, is_plot=False)
    for axes in every_axes[len(networks) :]:
        axes.set_axis_off()
    for axes, (config, own) in zip(every_axes, networks.items(), strict=False):
        drawn = draw_one(axes, own)
        axes.set_title("\n".join(textwrap.wrap(plain_name(config), 25)), fontsize=10)
        axes.label_outer()
    if label is not None:
        colour_scale(figure, every_axes, drawn, label, "bottom")
    return figure
