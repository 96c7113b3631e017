"""Reads one's own points in the plane from a CSV file."""

import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

MOST_CLASSES = 6
MOST_LINES = 100_000  # of a file of points
LARGEST = 100  # coordinate or value in a file of points
TASKS: dict[str, Literal["classification", "regression"]] = {"x,y,class": "classification", "x,y,value": "regression"}


class OwnPoints(NamedTuple):
    """Points from a file: `points` (N, 2), `targets` (N,), and the number of classes, 0 for regression."""

    points: np.ndarray
    targets: np.ndarray
    task: Literal["classification", "regression"]
    num_classes: int


def read_points(text: str, name: str = "points") -> OwnPoints:
    """Reads points in the plane from CSV text.

    The first line is `x,y,class` or `x,y,value`. Every other line has three numbers. Coordinates and values are between
    -100 and 100. Classes are whole numbers from 0 to 5.

    Args:
        text: At most 100,000 lines.
        name: Name of the file, for error messages.

    Raises:
        ValueError: If the text is anything else. The message names the line, the column and the value.
    """
    lines = text.removeprefix("\ufeff").splitlines()  # spreadsheets write this mark in front
    if len(lines) > MOST_LINES:
        raise ValueError(f"{name} has {len(lines)} lines; use at most {MOST_LINES}")
    header = lines[0].replace(" ", "") if lines else ""
    if header not in TASKS:
        raise ValueError(f"{name}, line 1: the header is {header[:40]!r}; write {' or '.join(TASKS)}")
    columns = header.split(",")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split(",")
        if len(cells) != len(columns):
            raise ValueError(f"{name}, line {number}: {line[:40]!r} has {len(cells)} columns; write 3: {header}")
        rows.append([read_number(*cell, f"{name}, line {number}") for cell in zip(columns, cells, strict=True)])
    if len(rows) < 2:
        raise ValueError(f"{name} has fewer than 2 points; write 2 or more")
    points, targets = np.split(np.array(rows), [2], axis=1)
    num_classes = int(targets.max()) + 1 if columns[2] == "class" else 0
    if num_classes == 1:
        raise ValueError(f"{name}: every class is 0; write at least two classes, 0 and 1")
    return OwnPoints(points, targets[:, 0], TASKS[header], num_classes)


def read_number(column: str, text: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if column == "class":
        is_right, expected = number in range(MOST_CLASSES), f"a whole number from 0 to {MOST_CLASSES - 1}"
    else:
        is_right, expected = abs(number) <= LARGEST, f"a number from {-LARGEST} to {LARGEST}"
    if not is_right:
        raise ValueError(f"{place}, column {column}: {text.strip()[:40]!r} must be {expected}")
    return number


def read_file(points_file: str | None, shape: str) -> OwnPoints | None:
    """The points of a file for `shape=points`, or None for another shape.

    Raises:
        ValueError: If the file is missing, cannot be read, or does not go with the shape.
    """
    if points_file is None:
        if shape == "points":
            raise ValueError("shape=points needs the points of a file; set points_file, or choose another shape")
        return None
    if shape != "points":
        raise ValueError(f"points_file={points_file} cannot be used with shape={shape}; use shape=points")
    try:
        text = Path(points_file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ValueError(f"points_file={points_file} cannot be read: {reason}; use the path of a CSV file") from None
    return read_points(text, points_file)
