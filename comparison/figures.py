"""The figures of a comparison: learning curves, and accuracy against parameters, seconds and depth."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from callbacks.drawing import COLOURS, MARKS, STYLE, name_marks
from comparison.table import Score, by_config, judged_by, scores, values_of
from engine.results import Row

mpl.use("Agg")  # files only: there may be no display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_NAMED = 12  # points that get their name beside them
AXES = {
    "parameters": "parameters",
    "seconds": "seconds of training",
    "depth": "depth (hidden layers)",
}
Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # tag: epochs (E,), values (R, E) of R runs


def draw(rows: list[Row], curves: dict[str, Curves]) -> dict[str, Figure]:
    """Every figure, by name.

    Args:
        rows: one a run.
        curves: of each config, the finished runs' curves over the epochs that all of them have.
    """
    score = judged_by(rows)
    with plt.rc_context(STYLE):
        found = {f"{score.column}_against_{column}": against(rows, column, score) for column in AXES}
        if curves:
            found["learning_curves"] = learning_curves(curves, scores(rows)[0])
    return found


def series(config: str) -> str:
    """The name of a config without its depth: what is joined by a line where depth is varied."""
    parts = [part for part in config.split(",") if not part.startswith(("num_layers=", "blocks_per_stage="))]
    return ",".join(parts) or "all"


def against(rows: list[Row], column: str, score: Score) -> Figure:
    """Mean and standard deviation of the score over the seeds of each config, against one of its costs."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    groups: dict[str, list[tuple[float, float, float, str]]] = {}
    for config, runs in by_config(rows).items():
        xs = values_of(runs, column)
        ys = [score.scale * value for value in values_of(runs, score.column) if math.isfinite(value)]
        if xs and ys:
            deviation = statistics.stdev(ys) if len(ys) > 1 else 0.0
            groups.setdefault(series(config), []).append((statistics.mean(xs), statistics.mean(ys), deviation, config))
    num_points = sum(map(len, groups.values()))
    named: dict[str, tuple[float, float]] = {}
    for number, (name, points) in enumerate(groups.items()):
        x, y, deviations, configs = zip(*sorted(points), strict=True)
        marked: dict[str, Any] = {"color": COLOURS[number % 7], "marker": MARKS[number % 7], "capsize": 3}
        is_line = len(points) > 1 and column == "depth"
        axes.errorbar(x, y, yerr=deviations, linestyle="-" if is_line else "none", label=name, **marked)
        if num_points <= MOST_NAMED and not is_line:
            named |= dict(zip(configs, zip(x, y, strict=True), strict=True))
    if num_points > MOST_NAMED or any(len(points) > 1 for points in groups.values()):
        legend(axes, len(groups))
    values = [point[0] for points in groups.values() for point in points]
    if values and min(values) > 0 and max(values) > 8 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(
            mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value:.0e}")
        )
    elif column == "depth":
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes.margins(x=0.2)
    axes.set_xlabel(AXES[column])
    axes.set_ylabel(f"{score.label}, {score.unit.strip() or 'mean squared error'}, mean ± sd over seeds")
    name_marks(figure, axes, named, fontsize=9)
    return figure


def learning_curves(curves: dict[str, Curves], score: Score) -> Figure:
    """The mean over seeds of training loss and validation score, epoch by epoch, with a band of one deviation."""
    tags = {
        "train/loss": ("train loss", 1.0),
        score.column.replace("_", "/"): (f"{score.label},{score.unit}", score.scale),
    }
    tags = {tag: shown for tag, shown in tags.items() if any(tag in own for own in curves.values())}
    figure, panels = plt.subplots(1, len(tags), figsize=(5.5 * len(tags), 4.4), layout="constrained", squeeze=False)
    for axes, (tag, (label, scale)) in zip(panels[0], tags.items(), strict=True):
        for number, (config, own) in enumerate(curves.items()):
            if tag in own:
                epochs, values = own[tag]
                mean, deviation = scale * values.mean(0), scale * spread(values)
                colour, style = COLOURS[number % 7], ["-", "--", ":", "-."][number // 7 % 4]
                mark = "o" if len(epochs) == 1 else ""  # one epoch is no line
                axes.plot(epochs, mean, color=colour, linestyle=style, marker=mark, label=config)
                axes.fill_between(epochs, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.set_xlabel("finished epochs")
        axes.set_ylabel(f"{label.rstrip(',')}, mean ± sd over seeds")
    legend(panels[0, -1], len(curves))
    return figure


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation over runs, `(R, E)` to `(E,)`; 0 of a single one."""
    return values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])


def legend(axes: Axes, num_names: int) -> None:
    """Inside if it is small, else beside the figure."""
    if num_names <= 6:
        axes.legend(fontsize=9)
    else:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))


def save(figures: dict[str, Figure], folder: Path) -> None:
    """Writes each as a PNG, under the last part of its tag."""
    folder.mkdir(exist_ok=True)
    for tag, figure in figures.items():
        figure.savefig(folder / f"{tag.rpartition('/')[2]}.png", dpi=120)
