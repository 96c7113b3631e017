"""Reads tables of numbers from CSV files."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd


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


def to_numbers(table: pd.DataFrame) -> np.ndarray:
    """The values `(rows, columns)` of a table, with NaN for what is not a number."""
    return table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)


def check_values(table: pd.DataFrame, is_right: np.ndarray, name: str, expected: str) -> None:
    """Raises a ValueError that names the row, counted from 1, and the column of the first wrong value of a table."""
    for row, column in np.argwhere(~is_right)[:1]:
        place = f"{name}, row {row + 1}, column {table.columns[column]}"
        raise ValueError(f"{place}: {table.iat[row, column]} must be {expected}")
