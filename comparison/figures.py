"""Figures of a comparison: learning curves, and the score against parameters, seconds and depth."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from callbacks.drawing import line_style, panels
from comparison.board import Curves, mean_and_deviation
from comparison.table import finished, label, main_score, scores
from engine.results import Row

X_LABELS = {"parameters": "parameters", "seconds": "seconds of training", "depth": "depth (hidden layers)"}


def draw(rows: list[Row], curves: dict[str, Curves]) -> dict[str, Figure]:
    """All figures, by name, from the rows of finished runs and the curves of each config."""
    runs = finished(rows)
    score = main_score(runs)
    figures = {f"{score}_against_{column}": draw_score(runs, column, score) for column in X_LABELS}
    if any(curves.values()):
        figures["learning_curves"] = draw_curves(curves, scores(runs)[0])
    return figures


def stacked(names: Iterable[str], num_plots: int = 1) -> tuple[Figure, list[Axes]]:
    """Plots one below the other, with room for a legend of these names below. TensorBoard shows 300 pixels of width."""
    names = list(names)
    legend_height = 0.23 * math.ceil(len(names) / legend_columns(names)) + 0.2
    return panels(4.0, 3.0 + legend_height / num_plots, rows=num_plots)


def legend_columns(names: list[str]) -> int:
    return max(1, 48 // (max(map(len, names)) + 6))


def add_legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", fontsize=10, ncols=legend_columns(names))


def format_score(axes: Axes, score: str) -> None:
    axes.set_ylabel(label(score))
    if score.endswith("acc"):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def draw_score(runs: pd.DataFrame, column: str, score: str) -> Figure:
    """Mean and standard deviation of the score against a column. Configs that differ in depth only form a line."""
    groups = runs.astype({column: float, score: float}).groupby("config", sort=False)
    points = pd.DataFrame(
        {"x": groups[column].mean(), "y": groups[score].mean(), "sd": groups[score].std().fillna(0.0)}
    )
    points = points.dropna()
    series = points.groupby([without_depth(config) for config in points.index], sort=False)
    figure, (axes,) = stacked([str(name) for name, _ in series] or [""])
    for number, (name, own) in enumerate(series):
        line, style = own.sort_values("x"), line_style(number, len(own))
        style |= {} if column == "depth" else {"linestyle": "none"}
        axes.errorbar(line.x, line.y, yerr=line.sd, label=name, capsize=3, **style)
    if len(points) and points.x.min() > 0 and points.x.max() > 8 * points.x.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x < 1e4 else f"{x:.0e}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif column == "depth":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(X_LABELS[column])
    format_score(axes, score)
    if len(points):
        add_legend(figure, axes)
    return figure


def without_depth(config: str) -> str:
    """The name of a config without its depth."""
    parts = [part for part in config.split(",") if not part.startswith(("num_layers=", "blocks_per_stage="))]
    return ",".join(parts) or "all"


def draw_curves(curves: dict[str, Curves], score: str) -> Figure:
    """Mean training loss and validation score per epoch, with a band of one standard deviation."""
    tags = {score.replace("_", "/"): score, "train/loss": "train_loss"}
    tags = {tag: column for tag, column in tags.items() if any(tag in own for own in curves.values())}
    figure, plots = stacked(curves, len(tags))
    for axes, (tag, column) in zip(plots, tags.items(), strict=True):
        for number, (config, own) in enumerate(curves.items()):
            if tag in own:
                mean, sd = mean_and_deviation(own[tag])
                style = line_style(number, len(mean))
                axes.plot(mean.index, mean, label=config, **style)
                axes.fill_between(mean.index, mean - sd, mean + sd, color=style["color"], alpha=0.2, linewidth=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        format_score(axes, column)
    plots[-1].set_xlabel("finished epochs")
    add_legend(figure, plots[-1])
    return figure
