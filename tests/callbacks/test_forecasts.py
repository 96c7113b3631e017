"""Forecasts beside the truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from callbacks import forecasts
from callbacks.drawing import panels
from callbacks.forecasts import Forecasts
from tests.callbacks.test_insight import epochs_of
from tests.callbacks.test_pictures import on
from tests.conftest import Fit


@pytest.mark.parametrize(
    ("flags", "num_windows"),
    [
        ([], 2),
        (["--data.relative=true", "--data.per_column=false"], 2),
        (["--data.columns=[OT]", "--data.target=OT"], 4),
    ],
)
def test_forecasts_are_those_of_the_chosen_windows(
    flags: list[str], num_windows: int, fit: Fit, tmp_path: Path
) -> None:
    cli = fit("series/linear.yaml", *on("Forecasts"), *flags)
    assert epochs_of(tmp_path, "forecasts/windows") == [0, 1]
    trainer: Any = cli.trainer
    callback = next(one for one in trainer.callbacks if isinstance(one, Forecasts))
    windows, found = callback.forecasts(trainer, cli.model.eval(), num_windows)
    assert (windows[0], windows[-1]) == (0, 60 - 12), "the first and the last validation window"
    with torch.no_grad():
        outputs = cli.model(cli.datamodule.splits["val"][0]).numpy()
    every = cli.datamodule.unscaled(outputs, "val", np.arange(49))
    np.testing.assert_allclose(found, every[windows], rtol=1e-4, atol=1e-4)


def test_drawn_forecast_follows_the_last_input() -> None:
    _, (axes,) = panels("", 2, 2)
    forecasts.draw_window(axes, np.arange(40.0), np.array([30.0, 31.0, 32.0]))
    truth, repeated, forecast = (np.stack(line.get_data(), axis=1).tolist() for line in axes.lines[-3:])
    assert (truth[0], truth[-1], len(truth)) == ([-23, 13], [3, 39], 24 + 3)
    assert repeated == [[0, 36], [1, 36], [2, 36], [3, 36]]
    assert forecast == [[0, 36], [1, 30], [2, 31], [3, 32]]
    limits = axes.get_ylim()
    forecasts.draw_window(axes, np.arange(40.0), np.array([90.0, 0.0, 0.0]))
    assert axes.get_ylim() == limits, "a bad forecast does not change the scale"
