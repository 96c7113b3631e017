"""Forecasts of time series: ETTh1, the hourly load and oil temperature of a transformer, or a CSV file of one's own.

Source: the Electricity Transformer Temperature data of Zhou et al. 2021, "Informer". Windows, split and scaling are
as in their code and in the code of Zeng et al. 2023, "Are Transformers Effective for Time Series Forecasting?".
Differences: every window counts. The code of Zhou et al. drops the last incomplete batch of test windows. So did the
code of Zeng et al. until March 2023.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_numeric_dtype
from torch import Tensor
from torch.nn import functional as F

from datamodules.base import BaseDataModule
from datamodules.checks import check_at_least
from datamodules.csv_file import read_csv, to_numbers
from datamodules.files import data_folder, download
from datamodules.loader import Samples

URL = (
    "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small/ETTh1.csv"
)
SHA256 = "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
COLUMNS = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]  # of ETTh1
MONTH = 30 * 24  # hours
ROWS = [12 * MONTH, 4 * MONTH, 4 * MONTH]  # of ETTh1: to train, validate and test on


class TimeSeries(BaseDataModule):
    """Windows of a time series. The inputs are some rows of a table, the targets are the rows that follow.

    Inputs are `[input_length, columns]`. Targets are `(N, horizon * targets)`: all targets of the first step, then
    all targets of the second step, and so on. Windows overlap: the next one starts one row later.

    The rows are split in the order of time. The targets of a validation or test window lie in its own part, its inputs
    may lie in the part before. Each column is scaled to mean 0 and standard deviation 1 on the training rows. Losses
    are mean squared errors of scaled values.

    With `per_column`, `Linear` is the LTSF-Linear of Zeng et al. 2023. With `per_column` and `relative`, it is their
    NLinear.

    Args:
        file: CSV file with a header, a row per time step, and numbers without gaps. A first column that is not numeric,
            such as the date, is left out. None uses ETTh1: 8,640 hours to train, 2,880 to validate, 2,880 to test.
        data_dir: Folder with `ETT-small/ETTh1.csv`, which is downloaded if it is missing. By default, the environment's
            DATA_DIR, or else `data`. Not used with `file`.
        columns: Names of the input columns. None uses all columns.
        target: Name of the column to predict, one of `columns`. None predicts all columns.
        input_length: Number of time steps that the network reads.
        horizon: Number of time steps to predict.
        rows: Number of rows to train, validate and test on. None uses 70, 10 and 20 % of the rows of `file`.
        per_column: Whether each column is predicted from itself alone, with weights that all columns share. A sample is
            then one column of a window: inputs `[input_length, 1]`, targets `(N, horizon)`.
        relative: Whether the last value of a window is subtracted from its inputs and targets. The squared error does
            not change.
        batch_size: Samples per optimizer step, over all devices.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Attributes:
        targets: Names of the columns to predict.
        series: Their values `(rows, targets)` in the units of the file, after `setup`.
        last_inputs: Inputs `(samples_per_window, *input_shape)` of the forecast behind the last row, after `setup`.
        samples_per_window: Number of columns with `per_column`, otherwise 1. The samples of a window are adjacent.

    Raises:
        ValueError: If an option is outside its range, or the file is missing, is too short, or has a gap.
    """

    task = "regression"
    has_val_split = True

    def __init__(
        self,
        file: str | None = None,
        data_dir: str | None = None,
        columns: list[str] | None = None,
        target: str | None = None,
        input_length: int = 336,
        horizon: int = 96,
        rows: list[int] | None = None,
        per_column: bool = False,
        relative: bool = False,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, 0, seed)
        check_at_least(1, input_length=input_length, horizon=horizon)
        if rows is not None and (len(rows) != 3 or min(rows) < 1):
            raise ValueError(f"rows={rows} must be three numbers of rows, to train, validate and test on")
        self.file = file
        self.path = Path(file).expanduser() if file else data_folder(data_dir) / "ETT-small" / "ETTh1.csv"
        names = self.names_in_file() if file else COLUMNS
        self.columns = names if columns is None else list(columns)
        if not self.columns or not set(self.columns) <= set(names) or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns={columns} must be different names, some of {', '.join(names)}")
        if target is not None and target not in self.columns:
            raise ValueError(f"target={target} must be one of the columns {', '.join(self.columns)}")
        if per_column and target is not None and len(self.columns) > 1:
            raise ValueError(f"target={target} needs per_column=false, or columns=[{target}]")
        self.has_all_targets = target is None and len(self.columns) == len(names)
        self.targets = self.columns if target is None else [target]
        first = self.columns.index(self.targets[0])
        self.target_range = slice(first, first + len(self.targets))  # of the columns
        self.input_length, self.horizon, self.rows = input_length, horizon, rows
        self.per_column, self.relative = per_column, relative
        self.samples_per_window = len(self.columns) if per_column else 1
        self.input_shape = [input_length, 1 if per_column else len(self.columns)]
        self.num_outputs = horizon if per_column else horizon * len(self.targets)

    def names_in_file(self) -> list[str]:
        """The names of the columns, without a first column that is not numeric."""
        table = read_csv(self.path, f"file={self.path}", num_rows=1)
        names = list(table.columns) if is_numeric_dtype(table.dtypes.iloc[0]) else list(table.columns[1:])
        if not names:
            raise ValueError(f"file={self.path} has no column of numbers; write columns separated by commas")
        return names

    @property
    def title(self) -> str:
        name = self.path.stem
        source = name if self.has_all_targets else f"{'+'.join(self.targets)} of {name}"
        return f"{source} over {self.horizon} steps"

    @property
    def baseline(self) -> float:
        """The mean squared error on the test windows if the last value is repeated. Known after `setup`."""
        inputs, targets = self.splits["test"]
        last = inputs[:, -1, slice(None) if self.per_column else self.target_range]
        return float((last.repeat(1, self.horizon) - targets).square().mean())

    def prepare_data(self) -> None:
        """Downloads ETTh1 if it is missing in `data_dir`. Called once per machine."""
        if self.file is None:
            download(self.path, "ETT-small", [URL], SHA256)

    def load(self) -> tuple[Samples, ...]:
        table = read_csv(self.path, f"file={self.path}")[self.columns]
        advice = "a number; write one, or leave the column out with columns"
        values = to_numbers(table, f"file={self.path}", advice)
        self.sizes = num_train, num_val, num_test = self.split_sizes(len(values))
        self.mean, self.std = values[:num_train].mean(0), values[:num_train].std(0)
        self.std[np.ptp(values[:num_train], axis=0) == 0] = 1  # a constant column
        self.series = values[:, self.target_range]
        self.starts = {  # the first row of the first window
            "train": 0,
            "val": num_train - self.input_length,
            "test": num_train + num_val - self.input_length,
            "forecast": len(values) - self.input_length,
        }
        scaled = torch.from_numpy((values - self.mean) / self.std).float()
        scaled = F.pad(scaled, (0, 0, 0, self.horizon))  # rows that are not known, behind the last inputs
        ends = num_train, num_train + num_val, num_train + num_val + num_test, len(scaled)
        *splits, last = (self.windows(scaled[start:end]) for start, end in zip(self.starts.values(), ends, strict=True))
        self.last_inputs = last[0]
        return tuple(splits)

    def split_sizes(self, num_rows: int) -> list[int]:
        """The number of rows to train, validate and test on. Raises a ValueError if they do not fit."""
        if self.rows is not None or self.file is None:
            sizes = self.rows or ROWS
        else:
            num_train, num_test = int(0.7 * num_rows), int(0.2 * num_rows)
            sizes = [num_train, num_rows - num_train - num_test, num_test]
        if sum(sizes) > num_rows:
            raise ValueError(f"rows={sizes} are {sum(sizes)} rows, and {self.path} has {num_rows}; use fewer rows")
        length = self.input_length + self.horizon
        if sizes[0] < length or min(sizes) < self.horizon:
            raise ValueError(
                f"input_length={self.input_length} and horizon={self.horizon} need {length} rows to train on, and "
                f"{self.horizon} each to validate and test on, not rows={sizes}; use shorter windows"
            )
        return sizes

    def windows(self, series: Tensor) -> Samples:
        """All windows of scaled rows `(R, D)`: inputs `(N, *input_shape)` and targets `(N, num_outputs)`."""
        windows = series.unfold(0, self.input_length + self.horizon, 1)  # (N, D, T)
        targets = self.target_range
        if self.per_column:
            windows, targets = windows.reshape(-1, 1, windows.shape[2]), slice(1)
        inputs, future = windows.mT.split([self.input_length, self.horizon], dim=1)
        future = future[..., targets]
        if self.relative:
            last = inputs[:, -1:]
            inputs, future = inputs - last, future - last[..., targets]
        return inputs, future.flatten(1)

    def unscaled(self, outputs: np.ndarray, split: str, windows: np.ndarray) -> np.ndarray:
        """Outputs or targets `(N, num_outputs)` of W windows in the units of the file: `(W, horizon, targets)`.

        Args:
            outputs: For all samples of these windows.
            split: `train`, `val`, `test`, or `forecast` for the only window of `last_inputs`.
            windows: Their indices `(W,)`.
        """
        if self.per_column:
            values = outputs.reshape(len(windows), -1, self.horizon).swapaxes(1, 2)
        else:
            values = outputs.reshape(len(windows), self.horizon, -1)
        last = self.series[self.starts[split] + windows + self.input_length - 1]
        offset = last[:, None] if self.relative else self.mean[self.target_range]
        return values * self.std[self.target_range] + offset

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.sizes}

    def window(self, split: str, index: int) -> np.ndarray:
        """The rows of a window in the units of the file: `(input_length + horizon, targets)`."""
        start = self.starts[split] + index
        return self.series[start : start + self.input_length + self.horizon]

    def forecast(self, outputs: np.ndarray) -> pd.DataFrame:
        """The outputs for `last_inputs` as a table in the units of the file, with a row per step."""
        (values,) = self.unscaled(outputs, "forecast", np.array([0]))
        return pd.DataFrame(values, pd.RangeIndex(1, self.horizon + 1, name="step"), self.targets)

    def to_table(self, outputs: np.ndarray) -> pd.DataFrame:
        """Outputs or targets `(N, num_outputs)` of all test samples as a table in the units of the file.

        A row is a window. The column `OT+2` has the values of the column OT two steps after the last input. Outputs may
        end early, inside a window, which is then left out.
        """
        windows = np.arange(len(outputs) // self.samples_per_window)
        whole = outputs[: len(windows) * self.samples_per_window]
        values = self.unscaled(whole, "test", windows).reshape(len(windows), -1)
        names = [f"{target}+{step}" for step in range(1, self.horizon + 1) for target in self.targets]
        return pd.DataFrame(values.astype(np.float32), columns=names)
