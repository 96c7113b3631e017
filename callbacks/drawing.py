"""One style for every figure: legible at TensorBoard's size, and in colours that colour-blind readers tell apart."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

# Okabe and Ito's colours, and a mark for each, for grey paper
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKS = ["o", "s", "^", "D", "v", "P", "X"]
STYLE: Any = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
HEIGHT = "viridis"  # of values from low to high
SIGNED: Colormap = LinearSegmentedColormap.from_list("signed", [COLOURS[0], "white", COLOURS[1]])  # white is 0
PLACES = {  # of a name beside its mark, in points, and which end of the name is there; the first is preferred
    (6, 4): "left",
    (6, -12): "left",
    (0, 8): "center",
    (0, -17): "center",
    (-6, 4): "right",
    (-6, -12): "right",
}


def panels(
    width: float, height: float, rows: int = 1, columns: int = 1, is_plot: bool = True, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row.

    Args:
        width: of a panel, in inches of 100 pixels; TensorBoard shows a card of about 4 of them.
        height: the same.
        rows: of panels.
        columns: of panels.
        is_plot: whether it has a grid and two spines; pictures have neither.
        options: of `Figure.subplots`.
    """
    with mpl.rc_context(STYLE if is_plot else {**STYLE, "axes.grid": False}):
        layout: Any = "constrained" if is_plot else "compressed"  # pictures keep their shape
        figure = Figure(figsize=(width * columns, height * rows), dpi=100, layout=layout)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def line_style(number: int, num_points: int) -> dict[str, Any]:
    """Of one line among others: a colour and a mark, and from the eighth line on another stroke."""
    stroke = ["-", "--", ":", "-."][number // 7 % 4]
    mark = MARKS[number % 7] if num_points <= 12 else ""
    return {"color": COLOURS[number % 7], "linestyle": stroke, "marker": mark, "linewidth": 2}


def name_marks(figure: Figure, axes: Axes, marks: dict[str, tuple[float, float]], **options: Any) -> None:
    """Writes each name beside its mark, where it covers the fewest lines, marks and names.

    Args:
        figure: of the axes, whose limits and scales are set already.
        axes: that have the marks, and all else that is drawn.
        marks: x and y of each name.
        options: of the text.
    """
    figure.draw_without_rendering()  # sets the layout that places depend on
    lines = [line.get_transform().transform_path(line.get_path()) for line in axes.lines]
    for bars in axes.collections:
        lines += [bars.get_transform().transform_path(path) for path in bars.get_paths()]
    taken: list[Bbox] = []

    def covered(text: Annotation) -> int:
        place = text.get_window_extent().padded(5)  # a mark reaches so far around its point
        crossed = [path.intersects_bbox(place, filled=False) or place.count_contains(path.vertices) for path in lines]
        is_inside = axes.bbox.count_contains(place.corners()) == 4
        return (not is_inside) + place.count_overlaps(taken) + sum(map(bool, crossed))

    for name, mark in marks.items():
        texts = [
            axes.annotate(name, mark, offset, textcoords="offset points", ha=side, **options)
            for offset, side in PLACES.items()
        ]
        best = min(texts, key=covered)
        taken.append(best.get_window_extent())
        for text in texts:
            if text is not best:
                text.remove()


def logarithmic(axes: Axes, low: float, high: float) -> None:
    """A logarithmic y axis from low to high, with plain numbers: typeset powers take half the time of a figure."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def depth_axis(axes: Axes, label: str, is_relative: bool) -> None:
    """Layers on the x axis: by number, or from input to head, where networks of several depths share it."""
    if is_relative:
        axes.set_xticks([0, 0.5, 1], ["input", "half way", "head"])
    else:
        axes.set_xlabel(f"{label}, from input to head")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def colour_scale(figure: Figure, axes: Axes | list[Axes], drawn: ScalarMappable, label: str) -> None:
    """Says beside the axes which colour means what."""
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, format="{x:g}")
    bar.minorticks_off()


def mosaic(pictures: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Pictures `(N, H, W)` or `(N, H, W, C)` as one, with `columns` per row and NaN between them."""
    num_pictures, height, width = pictures.shape[:3]
    rows = math.ceil(num_pictures / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *pictures.shape[3:]), np.nan)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def enlarged(pictures: np.ndarray) -> np.ndarray:
    """Small pictures `(N, H, W)` or `(N, H, W, C)` with more pixels, so that the gap between them is thin."""
    factor = max(1, 12 // max(pictures.shape[1:3]))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def show(axes: Axes, picture: np.ndarray, norm: Normalize, colours: str | Colormap) -> ScalarMappable:
    """Draws a picture `(H, W)` without interpolation and without ticks; NaN is grey where white means 0, else white."""
    axes.set_facecolor("0.8" if colours is SIGNED else "white")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes.imshow(picture, cmap=colours, norm=norm, interpolation="nearest")


def show_samples(axes: Axes, samples: np.ndarray, columns: int, gap: int = 1, is_ink: bool = False) -> None:
    """Draws samples side by side: `(N, H, W, 3)` in colour, `(N, H, W)` in grey. Samples that are NaN are left out.

    Args:
        axes: To draw on.
        samples: Each channel is scaled to the range of its values.
        columns: Samples per row.
        gap: Pixels between two samples.
        is_ink: Whether high values are drawn dark, as ink on paper.
    """
    canvas = mosaic(samples, columns, gap)
    if samples.ndim == 4:
        show(axes, in_colour(canvas), Normalize(), "gray")
    else:
        show(axes, canvas, Normalize(np.nanmin(samples), np.nanmax(samples)), "Greys" if is_ink else "gray")


def in_colour(picture: np.ndarray) -> np.ndarray:
    """A picture `(H, W, 3)` of any values as colours `(H, W, 4)` from 0 to 1. NaN is transparent."""
    low, high = np.nanmin(picture, axis=(0, 1)), np.nanmax(picture, axis=(0, 1))
    colours = (picture - low) / np.where(high > low, high - low, 1)
    is_drawn = np.isfinite(picture).all(axis=2, keepdims=True)
    return np.concatenate([np.where(is_drawn, colours, 0), is_drawn], axis=2)


def symmetric(values: np.ndarray) -> Normalize:
    """A scale from -limit to limit: 1, 2 or 5 times a power of ten, so that it seldom changes.

    One value in 200 may lie outside: it has the colour of the limit.
    """
    finite = np.abs(values[np.isfinite(values)])
    largest = float(np.quantile(finite, 0.995)) if len(finite) else 0.0
    if largest == 0:
        return Normalize(-1, 1)
    power = 10.0 ** math.floor(math.log10(largest))
    limit = next(step * power for step in (1, 2, 5, 10) if largest <= 1.0001 * step * power)
    return Normalize(-limit, limit)


def columns_for(number: int) -> int:
    """Columns of a rectangle without holes that is at most four times as wide as high; else of a square with some."""
    least = math.ceil(math.sqrt(number))
    whole = [columns for columns in range(least, 2 * least + 1) if number % columns == 0]
    return whole[0] if whole else least
