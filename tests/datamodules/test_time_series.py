"""Windows, borders, scaling and files of `TimeSeries`."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from datamodules import TimeSeries, time_series
from engine.cli import InputError, main
from engine.paths import PROJECT
from models import Linear
from tests.conftest import SMOKE, Fit, series_file

SPLITS = ("train", "val", "test")


def write(folder: Path, table: dict[str, Any] | pd.DataFrame, name: str = "own.csv") -> str:
    pd.DataFrame(table).to_csv(folder / name, index=False)
    return str(folder / name)


def numbers(rows: int = 40) -> dict[str, np.ndarray]:
    """Three columns with different means and spreads."""
    random = np.random.default_rng(0)
    return {name: place + (1 + place) * random.normal(size=rows) for place, name in enumerate("abc")}


def set_up(datamodule: TimeSeries) -> TimeSeries:
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def plain_windows(
    values: np.ndarray, rows: list[int], length: int, horizon: int
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """The inputs and the future of every window, row by row, of each split."""
    scaled = (values - values[: rows[0]].mean(0)) / values[: rows[0]].std(0)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for split, first, last in zip(SPLITS, (0, rows[0], sum(rows[:2])), np.cumsum(rows), strict=True):
        found[split] = []
        for start in range(first, last - horizon + 1):  # of the future
            if start - length >= 0:
                found[split].append((scaled[start - length : start], scaled[start : start + horizon]))
    return found


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("target", [None, "b"])
def test_windows_are_those_of_a_plain_loop(relative: bool, target: str | None, tmp_path: Path) -> None:
    table, rows = numbers(), [20, 8, 9]
    file = write(tmp_path, {"date": ["2016-07-01"] * 40, **table})
    datamodule = set_up(TimeSeries(file, target=target, input_length=5, horizon=4, rows=rows, relative=relative))
    values = np.stack(list(table.values()), axis=1)
    expected = plain_windows(values, rows, 5, 4)
    assert {split: len(windows) for split, windows in expected.items()} == {"train": 12, "val": 5, "test": 6}
    for split, windows in expected.items():
        inputs, targets = datamodule.splits[split][:2]
        assert len(inputs) == len(targets) == len(windows), "every window counts"
        for sample, wanted, (past, future) in zip(inputs, targets, windows, strict=True):
            last = past[-1] if relative else np.zeros(3)
            chosen = (future - last)[:, [1]] if target else future - last
            torch.testing.assert_close(sample, torch.from_numpy(past - last).float())
            torch.testing.assert_close(wanted, torch.from_numpy(chosen.ravel()).float())


@pytest.mark.parametrize("relative", [False, True])
def test_per_column_has_the_columns_of_each_window_as_samples(relative: bool, tmp_path: Path) -> None:
    make = partial(TimeSeries, write(tmp_path, numbers()), input_length=5, horizon=4, relative=relative)
    together, apart = set_up(make()), set_up(make(per_column=True))
    assert (apart.input_shape, apart.num_outputs) == ([5, 1], 4)
    for split in SPLITS:
        inputs, targets = together.splits[split][:2]
        own_inputs, own_targets = apart.splits[split][:2]
        assert torch.equal(own_inputs.view(-1, 3, 5).mT, inputs)
        assert torch.equal(own_targets.view(-1, 3, 4).mT.flatten(1), targets)
    assert apart.baseline == pytest.approx(together.baseline)


def test_default_split_of_a_file_is_70_10_and_20_percent(tmp_path: Path) -> None:
    datamodule = set_up(TimeSeries(write(tmp_path, numbers(101)), input_length=5, horizon=4))
    windows = {split: len(datamodule.splits[split][1]) for split in SPLITS}
    assert windows == {"train": 70 - 8, "val": 11 - 3, "test": 20 - 3}


def test_scaling_uses_the_training_rows_only(tmp_path: Path) -> None:
    table = numbers()
    changed = {name: np.concatenate([values[:28], 100 + values[28:]]) for name, values in table.items()}
    make = partial(TimeSeries, input_length=5, horizon=4, rows=[20, 8, 12])
    first, second = (set_up(make(write(tmp_path, one))) for one in (table, changed))
    for split in ("train", "val"):
        assert torch.equal(first.splits[split][0], second.splits[split][0])
        assert torch.equal(first.splits[split][1], second.splits[split][1])
    assert not torch.equal(first.splits["test"][1], second.splits["test"][1])


def test_constant_column_is_not_scaled(tmp_path: Path) -> None:
    column = np.full(40, 0.1)  # its computed standard deviation is not exactly 0
    column[-1] = 0.6
    datamodule = set_up(TimeSeries(write(tmp_path, {**numbers(), "d": column}), input_length=5, horizon=2))
    assert datamodule.splits["train"][0][..., 3].abs().max() < 1e-6
    assert float(datamodule.splits["test"][1].view(-1, 2, 4)[-1, -1, 3]) == pytest.approx(0.5)


def test_checkpoint_of_another_split_is_refused(tmp_path: Path) -> None:
    before = set_up(TimeSeries(write(tmp_path, numbers()), input_length=5, horizon=2, rows=[20, 10, 10]))
    after = set_up(TimeSeries(write(tmp_path, numbers()), input_length=5, horizon=2, rows=[22, 9, 9]))
    before.load_state_dict(before.state_dict())
    with pytest.raises(ValueError, match=r"made with rows=\[20, 10, 10\], not rows=\[22, 9, 9\]; use rows="):
        after.load_state_dict(before.state_dict())


class NLinear(nn.Module):
    """NLinear of Zeng et al. 2023: `(B, input_length, columns)` to `(B, horizon, columns)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        last = x[:, -1:]
        return self.layer((x - last).mT).mT + last


@pytest.mark.parametrize("relative", [False, True], ids=["LTSF-Linear", "NLinear"])
def test_linear_is_the_published_model(relative: bool, tmp_path: Path) -> None:
    make = partial(TimeSeries, write(tmp_path, numbers()), input_length=5, horizon=4)
    plain, ours = set_up(make()), set_up(make(per_column=True, relative=relative))
    model = Linear(ours.input_shape, ours.num_outputs, task="regression")
    published: Any = NLinear(model.head) if relative else lambda x: model.head(x.mT).mT
    inputs, targets = plain.splits["test"][:2]
    forecasts = published(inputs).flatten(1)
    own_inputs, own_targets = ours.splits["test"][:2]
    outputs = model(own_inputs)
    loss, expected = model.loss(outputs, own_targets), (forecasts - targets).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = [torch.autograd.grad(one, model.head.weight)[0] for one in (loss, expected)]
    torch.testing.assert_close(*gradients)

    windows = np.arange(len(inputs))
    in_units = ours.unscaled(outputs.detach().numpy(), "test", windows)
    np.testing.assert_allclose(in_units, plain.unscaled(forecasts.detach().numpy(), "test", windows), rtol=1e-4)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("options", [{}, {"target": "b"}, {"per_column": True}, {"columns": ["c", "a"]}], ids=str)
def test_unscaled_targets_are_the_values_of_the_file(options: dict[str, Any], relative: bool, tmp_path: Path) -> None:
    table = numbers()
    file = write(tmp_path, table)
    datamodule = set_up(TimeSeries(file, input_length=5, horizon=4, rows=[20, 8, 12], relative=relative, **options))
    expected = np.stack([table[name] for name in datamodule.targets], axis=1)
    for split, first in zip(SPLITS, (0, 15, 23), strict=True):
        targets = datamodule.splits[split][1].numpy()
        windows = np.arange(len(targets) // datamodule.samples_per_window)
        values = datamodule.unscaled(targets, split, windows)
        for index in range(len(windows)):
            window = expected[first + index : first + index + 9]
            np.testing.assert_allclose(values[index], window[5:], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(datamodule.window(split, index), window)


@pytest.mark.parametrize("relative", [False, True])
def test_baseline_is_the_error_of_repeating_the_last_value(relative: bool, tmp_path: Path) -> None:
    table = numbers()
    datamodule = set_up(
        TimeSeries(write(tmp_path, table), target="b", input_length=5, horizon=4, rows=[20, 8, 12], relative=relative)
    )
    scaled = (table["b"] - table["b"][:20].mean()) / table["b"][:20].std()
    errors = [(scaled[row : row + 4] - scaled[row - 1]) ** 2 for row in range(28, 37)]
    assert datamodule.baseline == pytest.approx(np.mean(errors), rel=1e-5)


def test_first_column_is_left_out_only_if_it_is_not_numeric(tmp_path: Path) -> None:
    table = numbers()
    dated = TimeSeries(write(tmp_path, {"when": ["May"] * 40, **table}), input_length=5, horizon=4)
    assert dated.columns == ["a", "b", "c"]
    assert dated.input_shape == [5, 3]
    assert dated.num_outputs == 12
    assert TimeSeries(write(tmp_path, table), input_length=5, horizon=4).columns == ["a", "b", "c"]


def test_title_names_what_is_forecast(tmp_path: Path) -> None:
    file = write(tmp_path, numbers())
    assert TimeSeries(file).title == TimeSeries(file, per_column=True).title == "own over 96 steps"
    assert TimeSeries(file, target="b").title == TimeSeries(file, columns=["b"]).title == "b of own over 96 steps"
    assert TimeSeries(target="OT", horizon=24).title == "OT of ETTh1 over 24 steps"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0 is too small; use horizon=1 or more"),
        ({"columns": ["a", "x"]}, r"columns=\['a', 'x'\] must be different names, some of a, b, c"),
        ({"target": "x"}, "target=x must be one of the columns a, b, c"),
        ({"columns": ["a"], "target": "b"}, "target=b must be one of the columns a$"),
        ({"target": "b", "per_column": True}, r"target=b needs per_column=false, or columns=\[b\]"),
        ({"rows": [20, 8]}, r"rows=\[20, 8\] must be three numbers of rows"),
        ({"rows": [20, 8, 13]}, r"rows=\[20, 8, 13\] are 41 rows, and .*own.csv has 40; use fewer rows"),
        (
            {"input_length": 25},
            r"input_length=25 and horizon=4 need 29 rows to train on, and 4 each .*rows=\[28, 4, 8\]",
        ),
        ({"horizon": 5}, r"input_length=5 and horizon=5 need 10 rows to train on, and 5 each .*rows=\[28, 4, 8\]"),
        ({"file": "missing.csv"}, "file=missing.csv cannot be read: No such file or directory; use a CSV file"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path, numbers())
    with pytest.raises(ValueError, match=message) as error:
        set_up(TimeSeries(**{"file": file, "input_length": 5, "horizon": 4, **options}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read: No columns to parse from file"),
        ("a,b\n1,2\n1,2,3\n", "cannot be read: .*Expected 2 fields in line 3, saw 3"),
        ("a,b\n1,2,3\n", "has more values in its rows than names in its first line; name all columns"),
        ("date\nMay\n", "has no column of numbers; write columns separated by commas"),
        ("a,b\n1,2\n1,x\n", "row 2, column b: x must be a number; write one, or leave the column out with columns"),
        ("a,b\n1,2\n,2\n", "row 2, column a: nan must be a number"),
        ("a,b\n1,2\n1,inf\n", "row 2, column b: inf must be a number"),
        ("a,b,c\n1,2,May\n", "row 1, column c: May must be a number"),
    ],
    ids=str,
)
def test_wrong_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"wrong.csv.*{message}") as error:
        set_up(TimeSeries(str(path), input_length=1, horizon=1))
    assert "\n" not in str(error.value)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a server on this machine that serves the folder `served`."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_missing_etth1_is_downloaded_and_split_by_months(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = np.arange(17_420)
    table = {"date": ["2016-07-01"] * len(hours), **dict.fromkeys(time_series.COLUMNS, np.sin(hours / 24))}
    content = Path(write(tmp_path / "served", table, "ETTh1.csv")).read_bytes()
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setattr(time_series, "URL", f"{address}/ETTh1.csv")
    monkeypatch.setattr(time_series, "SHA256", hashlib.sha256(content).hexdigest())
    make = partial(TimeSeries, data_dir=str(tmp_path / "data"), columns=["OT"], input_length=336, horizon=96)
    datamodule = set_up(make())
    assert (tmp_path / "data" / "ETT-small" / "ETTh1.csv").read_bytes() == content
    windows = {split: len(datamodule.splits[split][1]) for split in SPLITS}
    assert windows == {"train": 8209, "val": 2785, "test": 2785}, "as len(Dataset_ETT_hour) of the authors"

    monkeypatch.setattr(time_series, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="ETTh1") as error:
        set_up(make(data_dir=str(tmp_path / "other")))
    assert "\n" not in str(error.value)


def test_missing_file_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "no.csv"
    with pytest.raises(InputError, match=f"^--data.file={path} cannot be read: No such file or directory; use a CSV"):
        main(["fit", "-c", str(PROJECT / "configs/series/linear.yaml"), f"--data.file={path}"])


def test_predictions_are_in_the_units_of_the_file(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit("series/linear.yaml", "-c", SMOKE, "--data.relative=true")
    checkpoint = next(tmp_path.rglob("best.ckpt"))
    cli = main(["predict", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"])
    predictions, source = pd.read_csv(cli.predictions), pd.read_csv(series_file())
    assert len(predictions) == 120 - 11, "test windows"
    for column, step in (("HUFL", 1), ("OT", 12)):
        truth = source[column].iloc[480 + step - 1 :][: len(predictions)]
        np.testing.assert_allclose(predictions[f"target_{column}+{step}"], truth, rtol=1e-4, atol=1e-4)
        errors = predictions[f"predicted_{column}+{step}"] - predictions[f"target_{column}+{step}"]
        assert errors.abs().mean() < 20
