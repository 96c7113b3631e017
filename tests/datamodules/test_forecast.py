"""Forecasts behind the end of a file, and tables that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import TimeSeries
from tests.datamodules.test_time_series import numbers, set_up, write


@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_forecast_continues_the_file(per_column: bool, relative: bool, tmp_path: Path) -> None:
    path = write(tmp_path, numbers())
    data = set_up(TimeSeries(path, input_length=5, horizon=2, per_column=per_column, relative=relative))
    inputs = data.last_inputs
    windows = data.splits["test"][0]
    assert inputs.shape == (data.samples_per_window, *data.input_shape)
    # the last test window ends two rows before the file
    if not relative:
        torch.testing.assert_close(inputs[:, :-2], windows[-data.samples_per_window :][:, 2:])
    last = data.series[-1]
    repeated = torch.zeros(len(inputs), data.num_outputs) if data.relative else inputs[:, -1].repeat(1, data.horizon)
    table = data.forecast(repeated.numpy())
    assert list(table.index) == [1, 2]
    np.testing.assert_allclose(table.to_numpy(), [last, last], rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("date;price;load\n1;50,04;7\n", "has ';' between its columns; save it with ','"),
        ("date\tprice\n1\t50\n", "has '\\\\t' between its columns"),
        ("2024-01-01,50.04,235.8\n2024-01-02,51,236\n", "begins with numbers; write a first line with the names"),
    ],
)
def test_another_kind_of_table_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        TimeSeries(str(path))
