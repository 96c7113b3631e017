"""One style for every figure: legible at TensorBoard's size, with colours for colour-blind readers."""

import math
import re
import textwrap
from collections.abc import Mapping, Sized
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours, with a mark for each that also works in grey
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
HEIGHT = "viridis"  # for values from low to high
MOST_LABELS = 40  # of time steps along an axis
SIGNED: Colormap = LinearSegmentedColormap.from_list("signed", [COLOURS[0], "white", COLOURS[1]])  # white is 0


def panels(
    title: str, width: float, height: float, rows: int = 1, columns: int = 1, is_plot: bool = True, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row. Panels with a picture instead of a plot have no grid.

    The title says what they show and what to look for, in as many lines as it needs. The width and the height are those
    of a panel, in inches of 100 pixels. TensorBoard shows a figure about 4 inches wide. Options are those of
    `Figure.subplots`.
    """
    with mpl.rc_context({**STYLE, "axes.grid": is_plot}):
        layout: Any = "constrained" if is_plot else "compressed"  # the latter for axes with a fixed aspect ratio
        figure = Figure(figsize=(width * columns, height * rows), dpi=100, layout=layout)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    lines = textwrap.wrap(title, int(9.5 * figure.get_figwidth()))  # characters that fit into the width
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure, list(axes.flat)


def plain_name(config: str) -> str:
    """The name of a config or run for readers: `mnist_relu,num_layers=50` is "mnist_relu, 50 layers"."""
    parts = [re.sub(r"^num_(\w+)=(\S+)$", r"\2 \1", part).replace("=", " ") for part in config.split(",")]
    return ", ".join(re.sub(r"^1 (\w+)s$", r"1 \1", part) for part in parts)


def visible(token: str) -> str:
    """A token as it is written on an axis: a space, a line end and a tab have signs."""
    shown = {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(token, token)
    return shown if shown.isprintable() else "\N{REPLACEMENT CHARACTER}"


def label_steps(axis: Axis, labels: list[str]) -> None:
    """Writes the label of each step along an axis, such as the characters of a text."""
    axis.set_ticks(range(len(labels)), labels, fontsize=7, fontfamily="monospace")
    axis.set_tick_params(length=0, pad=2)
    if isinstance(axis, XAxis) and max(map(len, labels), default=0) > 1:
        axis.set_tick_params(rotation=90)


def without_depth(config: str) -> str:
    """The name of a config without its depth."""
    parts = [part for part in config.split(",") if not part.startswith(("num_layers=", "blocks_per_stage="))]
    return ",".join(parts) or "all"


def line_style(number: int, num_points: int, stroke_number: int = 0) -> dict[str, Any]:
    """The colour, mark and stroke of a line. The stroke also changes after seven lines."""
    stroke = ["-", "--", ":", "-."][(number // 7 + stroke_number) % 4]
    mark = MARKS[number % 7] if num_points <= 12 else ""
    return {"color": COLOURS[number % 7], "linestyle": stroke, "marker": mark, "linewidth": 2}


def line_styles(lines: Mapping[str, Sized]) -> list[dict[str, Any]]:
    """A style for the values of each config. Up to four configs that differ in depth only have one colour."""
    families = [without_depth(name) for name in lines]
    if len(set(families)) == 1 or any(families.count(family) > 4 for family in families):
        families = list(lines)
    numbers = list(dict.fromkeys(families))
    return [
        line_style(numbers.index(family), len(values), families[:place].count(family))
        for place, (family, values) in enumerate(zip(families, lines.values(), strict=True))
    ]


def draw_by_depth(
    axes: Axes, lines: Mapping[str, np.ndarray], label: str, limits: tuple[float, float], scale: str = "log"
) -> None:
    """Draws a line per network, with a value per layer from input to head.

    If networks differ in depth, x is the relative depth. Values outside the limits are drawn at the end of the axis.
    """
    is_relative = len({len(values) for values in lines.values()}) > 1
    for (name, values), style in zip(lines.items(), line_styles(lines), strict=True):
        x = np.linspace(0, 1, len(values)) if is_relative else np.arange(1, len(values) + 1)
        axes.plot(x, np.clip(values, *limits), label=plain_name(name), **style)
    if is_relative:
        axes.set_xticks([0, 0.5, 1], ["input", "half way", "head"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("from input to head")
    axes.set(yscale=scale, ylim=limits, ylabel=label)
    axes.label_outer()


def colour_scale(
    figure: Figure, axes: Axes | list[Axes], drawn: ScalarMappable, label: str, side: str = "right"
) -> None:
    """Adds a colour bar beside or below the axes."""
    bar = figure.colorbar(drawn, ax=axes, label=label, location=side, aspect=25, format="{x:g}")
    bar.ax.tick_params(labelsize=9)
    bar.minorticks_off()


def mosaic(pictures: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Puts pictures `(N, H, W)` or `(N, H, W, C)` into one picture, with `gap` pixels of NaN between them.

    Without a number of columns, the rows fill a square, or a rectangle twice as wide as high, if N is a power of two.
    """
    num_pictures, height, width = pictures.shape[:3]
    columns = columns or 2 ** math.ceil(math.log2(num_pictures) / 2)
    rows = math.ceil(num_pictures / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *pictures.shape[3:]), np.nan)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def enlarged(pictures: np.ndarray) -> np.ndarray:
    """Small pictures `(N, H, W)` or `(N, H, W, C)` with repeated pixels, so that gaps of one pixel are thin."""
    factor = max(1, 12 // max(pictures.shape[1:3]))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def show(axes: Axes, picture: np.ndarray, norm: Normalize, colours: str | Colormap) -> ScalarMappable:
    """Draws a picture `(H, W)` or `(H, W, 4)` without ticks. NaN is grey with the colours `SIGNED`, otherwise white."""
    axes.set_facecolor("0.8" if colours is SIGNED else "white")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes.imshow(picture, cmap=colours, norm=norm, interpolation="nearest")


def show_samples(axes: Axes, samples: np.ndarray, columns: int, gap: int = 1, is_ink: bool = False) -> None:
    """Draws samples side by side: `(N, H, W, 3)` in colour, `(N, H, W)` in grey. Samples that are NaN are left out.

    Each channel is scaled to the range of its values. If `is_ink`, high values are dark, as ink on paper.
    """
    canvas = mosaic(samples, columns, gap)
    picture = in_colour(canvas) if samples.ndim == 4 else canvas
    show(axes, picture, Normalize(np.nanmin(samples), np.nanmax(samples)), "Greys" if is_ink else "gray")


def in_colour(picture: np.ndarray) -> np.ndarray:
    """A picture `(H, W, 3)` of any values as colours from 0 to 1. NaN is white."""
    low, high = np.nanmin(picture, axis=(0, 1)), np.nanmax(picture, axis=(0, 1))
    return np.nan_to_num((picture - low) / np.where(high > low, high - low, 1), nan=1)


def symmetric(values: np.ndarray) -> Normalize:
    """A scale from -limit to limit, where the limit is 1, 2 or 5 times a power of ten, so that it seldom changes.

    The largest 0.5 % of the values may lie outside.
    """
    finite = np.abs(values[np.isfinite(values)])
    largest = float(np.quantile(finite, 0.995) if len(finite) else 0) or 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    limit = next(step * power for step in (1, 2, 5, 10) if largest <= 1.0001 * step * power)
    return Normalize(-limit, limit)
