"""Reads one's own points in the plane from a CSV file."""

from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.csv_file import check_values, read_csv, to_numbers

Task = Literal["classification", "regression"]

MOST_CLASSES = 6
LARGEST = 100  # coordinate or value
TASKS: dict[str, Task] = {"x,y,class": "classification", "x,y,value": "regression"}


def read_points(file: Path | StringIO, name: str = "points") -> tuple[np.ndarray, np.ndarray, Task]:
    """Reads points in the plane: their coordinates `(N, 2)`, their targets `(N,)` and the task.

    The first line is `x,y,class` or `x,y,value`. Every other line has three numbers. Coordinates and values are between
    -100 and 100. Classes are whole numbers from 0 to 5.

    Args:
        file: A CSV file, or its content.
        name: Name of the file, for error messages.

    Raises:
        ValueError: If the content is anything else. The message names the row, the column and the value.
    """
    table = read_csv(file, name)
    header = ",".join(column.strip() for column in table.columns)
    if header not in TASKS:
        raise ValueError(f"{name}: the header is {header!r}; write {' or '.join(TASKS)}")
    if len(table) < 2:
        raise ValueError(f"{name} has fewer than 2 points; write 2 or more")
    values, task = to_numbers(table), TASKS[header]
    is_right, expected = np.abs(values) <= LARGEST, f"a number from {-LARGEST} to {LARGEST}"
    check_values(table.iloc[:, :2], is_right[:, :2], name, expected)
    if task == "classification":
        is_right = np.isin(values, range(MOST_CLASSES))
        expected = f"a whole number from 0 to {MOST_CLASSES - 1}"
    check_values(table.iloc[:, 2:], is_right[:, 2:], name, expected)
    if task == "classification" and not values[:, 2].any():
        raise ValueError(f"{name}: every class is 0; write at least two classes, 0 and 1")
    return values[:, :2], values[:, 2], task
