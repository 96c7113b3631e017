"""Reads tables of numbers from CSV files."""

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype


def read_csv(path: Path, num_rows: int | None = None) -> pd.DataFrame:
    """Reads a CSV file, or its first rows.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        return pd.read_csv(path, nrows=num_rows)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).strip()
        raise ValueError(f"file={path} cannot be read: {reason}; use a CSV file with a header") from None


def read_names(path: Path) -> list[str]:
    """The names of the columns, without a first column that is not numeric.

    Raises:
        ValueError: If the file cannot be read, or has no other column.
    """
    frame = read_csv(path, num_rows=1)
    names = list(frame.columns)
    for separator in (";", "\t"):
        if separator in names[0]:
            advice = "save it with ',' between columns and '.' in numbers"
            raise ValueError(f"file={path} has {separator!r} between its columns; {advice}")
    if all(is_number(name) for name in names[1:] or names):
        raise ValueError(f"file={path} begins with numbers; write a first line with the names of the columns")
    if not is_numeric_dtype(frame.dtypes.iloc[0]):
        names = names[1:]
    if not names:
        raise ValueError(f"file={path} has no column of numbers; write columns separated by commas")
    return names


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_values(path: Path, columns: list[str]) -> np.ndarray:
    """Reads columns of numbers `(rows, columns)`.

    Raises:
        ValueError: If a value is missing or is not a finite number. The message names its row, counted from 1.
    """
    frame = read_csv(path)[columns]
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{path}, row {row + 1}, column {columns[column]}: {frame.iat[row, column]} must be a number; "
            "write one, or leave the column out with columns"
        )
    return values
