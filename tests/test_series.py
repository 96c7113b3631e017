"""From a table of one's own to a forecast of what comes next, and again with newer rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from engine.cli import InputError
from tests.conftest import fit_in


def table(num_rows: int) -> pd.DataFrame:
    hours = np.arange(num_rows)
    return pd.DataFrame({"price": 50 + 10 * np.sin(hours / 24 * 2 * np.pi), "load": 200.0 + hours % 12})


def test_forecast_begins_behind_the_last_row_also_of_newer_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table(500).to_csv("old.csv", index=False)
    table(507).to_csv("new.csv", index=False)
    sizes = ["--data.input_length=48", "--data.horizon=6", "--data.batch_size=16"]
    cli = fit_in(tmp_path, "series/linear.yaml", *sizes, f"--data.file={tmp_path / 'old.csv'}", "--model.lr=0.01")
    predict = ["predict", f"--ckpt_path={cli.checkpoint}", "--trainer.accelerator=cpu"]
    with pytest.raises(InputError, match=r"use --data.rows=\[350, 50, 100\]"):
        train.main([*predict, "--data.file=new.csv"])
    for flags, last in (([], 500), (["--data.file=new.csv", "--data.rows=[350, 50, 100]"], 507)):
        predicted = train.main([*predict, *flags])
        forecast = pd.read_csv(predicted.predictions.with_name("forecast.csv"), index_col="step")
        truth = table(last + 6).tail(6)
        assert list(forecast.index) == [1, 2, 3, 4, 5, 6]
        assert np.abs(forecast["price"].to_numpy() - truth["price"].to_numpy()).max() < 3
