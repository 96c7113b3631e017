"""Reads tables of numbers from CSV files of the user."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

Task = Literal["classification", "regression"]

MOST_CLASSES = 6  # of points
LARGEST = 100  # coordinate or value of points
TASKS: dict[str, Task] = {"x,y,class": "classification", "x,y,value": "regression"}


def read_csv(file: Path | StringIO, name: str, num_rows: int | None = None) -> pd.DataFrame:
    """Reads a CSV file, or its first rows.

    Args:
        file: Its first line has the names of the columns.
        name: Name of the file in error messages, such as `file=own.csv`.
        num_rows: Number of rows to read. None reads all rows.

    Raises:
        ValueError: If it cannot be read, has another separator, or has no names of columns.
    """
    try:
        table = pd.read_csv(file, nrows=num_rows, skipinitialspace=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).strip()
        raise ValueError(f"{name} cannot be read: {reason}; use a CSV file with a header") from None
    columns = list(table.columns)
    for separator in (";", "\t"):
        if separator in columns[0]:
            advice = "save it with ',' between columns and '.' in numbers"
            raise ValueError(f"{name} has {separator!r} between its columns; {advice}")
    if pd.to_numeric(pd.Series(columns[1:] or columns), errors="coerce").notna().all():
        raise ValueError(f"{name} begins with numbers; write a first line with the names of the columns")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"{name} has more values in its rows than names in its first line; name all columns")
    return table


def to_numbers(
    table: pd.DataFrame, name: str, expected: str, is_right: Callable[[np.ndarray], np.ndarray] = np.isfinite
) -> np.ndarray:
    """The values `(rows, columns)` of a table. What is not a number is NaN for `is_right`.

    Raises:
        ValueError: If a value is not right. The message names the row, counted from 1, the column and what is expected.
    """
    values: np.ndarray = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for row, column in np.argwhere(~is_right(values))[:1]:
        place = f"{name}, row {row + 1}, column {table.columns[column]}"
        raise ValueError(f"{place}: {table.iat[row, column]} must be {expected}")
    return values


def read_points(file: Path | StringIO, name: str = "points") -> tuple[np.ndarray, np.ndarray, Task]:
    """Reads points in the plane: their coordinates `(N, 2)`, their targets `(N,)` and the task.

    The first line is `x,y,class` or `x,y,value`. Coordinates and values are between -100 and 100. Classes are whole
    numbers from 0 to 5.

    Raises:
        ValueError: If the content is anything else. The message names the row, the column and the value.
    """
    table = read_csv(file, name)
    header = ",".join(column.strip() for column in table.columns)
    if header not in TASKS:
        raise ValueError(f"{name}: the header is {header!r}; write {' or '.join(TASKS)}")
    if len(table) < 2:
        raise ValueError(f"{name} has fewer than 2 points; write 2 or more")
    number = f"a number from {-LARGEST} to {LARGEST}", lambda values: np.abs(values) <= LARGEST
    label = f"a whole number from 0 to {MOST_CLASSES - 1}", lambda values: np.isin(values, range(MOST_CLASSES))
    points = to_numbers(table.iloc[:, :2], name, *number)
    targets = to_numbers(table.iloc[:, 2:], name, *(label if TASKS[header] == "classification" else number))[:, 0]
    if TASKS[header] == "classification" and not targets.any():
        raise ValueError(f"{name}: every class is 0; write at least two classes, 0 and 1")
    return points, targets, TASKS[header]
