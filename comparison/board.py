"""What TensorBoard shows of a comparison beside its runs: means, bands, a layout, the table and the figures."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from comparison.table import by_config
from engine.results import Row, hyperparameters

if TYPE_CHECKING:
    from comparison.figures import Curves

OWN = "comparison"  # the run of the comparison itself
MEAN = "mean"  # the run of a config's mean, beside those of its seeds
MEANT = ("train/loss", "train/acc", "val/loss", "val/acc", "gap/acc", "gap/loss")
BANDED = ("val/loss", "val/acc")  # under mean/, so that no other run has a part of a band
PINNED = ("val/acc", "val/loss", "train/loss")
HPARAMS = "events.out.tfevents.0.comparison"  # sorts before the event file of the run, so TensorBoard reads it first
ADDRESS = "http://localhost:6006/"  # TensorBoard's own choice


def publish(folder: Path, rows: list[Row], text: str, varied: list[str]) -> Row:
    """In a child: writes the mean runs and the comparison's own run, in place of those that are there.

    Args:
        folder: of the comparison.
        rows: one a run.
        text: the table.
        varied: options of `--vary`, which become columns of the HPARAMS page.
    """
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # in the child only, as it loads PyTorch

    from comparison import figures, inside  # noqa: PLC0415

    curves = {config: common_curves(folder, runs) for config, runs in by_config(rows).items()}
    curves = {config: own for config, own in curves.items() if own}
    for config, own in curves.items():
        shutil.rmtree(folder / config / MEAN, ignore_errors=True)
        if any(len(values) > 1 for _, values in own.values()):
            write_mean(folder / config / MEAN, own)
    if varied:
        for row in rows:
            if row["status"] == "finished":
                write_hyperparameters(folder / row["config"] / f"seed_{row['seed']}", row, varied)
    shutil.rmtree(folder / OWN, ignore_errors=True)
    drawn = {f"comparison/{name}": figure for name, figure in figures.draw(rows, curves).items()}
    drawn |= {f"inside/{name}": figure for name, figure in inside.draw(folder, rows).items()}
    figures.save(drawn, folder / "figures")
    with SummaryWriter(str(folder / OWN)) as writer:
        writer.add_custom_scalars(layout(curves))
        writer.add_text("comparison", text)
        for name, figure in drawn.items():
            writer.add_figure(name, figure)
    return {}


def common_curves(folder: Path, runs: list[Row]) -> Curves:
    """The curves of a config's finished runs, over the epochs that all of them have."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    found: dict[str, list[dict[int, float]]] = {}
    for row in runs:
        place = folder / row["config"] / f"seed_{row['seed']}"
        if row["status"] == "finished" and place.is_dir():
            events = EventAccumulator(str(place), size_guidance={"scalars": 0})
            events.Reload()
            for tag in set(MEANT) & set(events.Tags()["scalars"]):
                found.setdefault(tag, []).append({event.step: event.value for event in events.Scalars(tag)})
    curves = {}
    for tag, own in found.items():
        epochs = sorted(set.intersection(*(set(curve) for curve in own)))
        curves[tag] = np.array(epochs), np.array([[curve[epoch] for epoch in epochs] for curve in own])
    return curves


def write_hyperparameters(place: Path, row: Row, varied: list[str]) -> None:
    """Adds the varied options to a run's line of the HPARAMS page.

    A run writes its hyperparameters itself, but does not know which options the comparison varies. TensorBoard keeps
    the first hyperparameters that it reads in a folder, in the order of the file names. So they are written again,
    to a file that comes first. A TensorBoard that was started before shows them after a restart.

    Args:
        place: Folder of the run.
        row: Its result.
        varied: Options of `--vary`.
    """
    # imported here only, in the child process that publishes: the parent stays light
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415
    from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415

    paths = sorted(path for path in place.glob("events.out.tfevents.*") if path.name != HPARAMS)
    if not paths:
        return
    start = float(paths[0].name.split(".")[3])  # TensorBoard takes the time of the first event for the run's start
    content = io.BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
    for summary in hparams(*hyperparameters(row, varied)):
        writer.write(Event(wall_time=start, summary=summary).SerializeToString())
    (place / HPARAMS).write_bytes(content.getvalue())


def write_mean(place: Path, curves: Curves) -> None:
    """A run whose curves are the means of the seeds, and the edges of a band of one standard deviation."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    with SummaryWriter(str(place)) as writer:
        for tag, (epochs, values) in curves.items():
            mean = values.mean(0)
            lines = {tag: mean}
            if tag in BANDED:
                deviation = values.std(0, ddof=1)
                edges = (mean, mean - deviation, mean + deviation)
                lines |= dict(zip(band(tag), edges, strict=True))
            for name, line in lines.items():
                for epoch, value in zip(epochs, line, strict=True):
                    writer.add_scalar(name, value, int(epoch))


def band(tag: str) -> list[str]:
    """The curves of a band: the mean and its two edges."""
    name = tag.replace("/", "_")
    return [f"mean/{name}", f"mean/{name}_low", f"mean/{name}_high"]


def layout(curves: dict[str, Curves]) -> dict[str, dict[str, list[Any]]]:
    """The charts of the CUSTOM SCALARS page, which finds its curves in every run by their tags."""
    tags = {tag for own in curves.values() for tag in own}
    both = "train (with label smoothing, if any) and val"
    charts = {"loss": {both: ["Multiline", ["^train/loss$", "^val/loss$"]]}}
    if "val/acc" in tags:
        charts["accuracy"] = {"train and val": ["Multiline", ["^train/acc$", "^val/acc$"]]}
    gap = "acc" if "gap/acc" in tags else "loss"
    charts["generalisation gap"] = {f"gap in {gap}": ["Multiline", [f"^gap/{gap}$"]]}
    watched = "val/acc" if "val/acc" in tags else "val/loss"
    charts["mean of the seeds"] = {
        f"{watched}, mean ± sd": ["Margin", band(watched)],
    }
    return charts


def tensorboard_command(folder: Path) -> str:
    """The line that shows the runs, for any shell that is not in this virtual environment."""
    return shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)])


def link(folder: Path, rows: list[Row]) -> str:
    """The address that opens the right view: runs coloured by config, the watched curves pinned, and what is inside.

    Args:
        folder: of the comparison.
        rows: one a run.
    """
    # regression has no accuracy, and without validation samples nothing is under val/
    pinned: list[Any] = [
        {"plugin": "scalars", "tag": tag} for tag in PINNED if any(tag.replace("/", "_") in row for row in rows)
    ]
    if (folder / "figures" / "gradient_by_depth.png").is_file():
        pinned.append({"plugin": "scalars", "tag": "gradient_flow/log10_first_over_last"})
        run = f"defaultExperimentId/{OWN}"
        pinned.append({"plugin": "images", "tag": "inside/gradient_by_depth", "runId": run, "sample": 0})
    view = {
        "runColorGroup": "regex:^([^/]+)/",
        "smoothing": "0",
        "pinnedCards": json.dumps(pinned, separators=(",", ":")),
    }
    return ADDRESS + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in view.items()) + "#timeseries"
