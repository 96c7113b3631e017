"""The TensorBoard page of a comparison: mean runs, charts, varied hyperparameters, the table, and figures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from comparison import figures
from comparison.curves import Curves, mean_and_deviation, read_curves
from comparison.link import INSIDE, MEAN_RUN, SUMMARY_RUN
from engine.results import Row, hyperparameters

CHARTS = {  # of the CUSTOM SCALARS page, by tag
    "val/acc": "validation accuracy",
    "train/acc": "training accuracy",
    "val/loss": "validation loss",
    "train/loss": "training loss, with label smoothing if there is any",
    "gap/acc": "training minus validation accuracy",
    "gap/loss": "validation minus training loss",
}
MAX_BANDS = 6  # configs; more bands cover each other
HPARAMS = "events.out.tfevents.0.comparison"  # sorts before the file of the run, so TensorBoard reads it first


def publish(folder: Path, rows: list[Row], text: str, varied: list[str]) -> None:
    """Writes the page, in place of an earlier one.

    Args:
        folder: Folder of the comparison.
        rows: One per finished run.
        text: The table, as Markdown.
        varied: Options of `--vary`. They become columns of the HPARAMS page.
    """
    runs: dict[str, list[Path]] = {}
    for row in rows:
        run = folder / row["config"] / f"seed_{row['seed']}"
        runs.setdefault(row["config"], []).append(run)
        if varied:
            write_hyperparameters(run, row, varied)
    curves = {config: read_curves(own, [*CHARTS, INSIDE]) for config, own in runs.items()}
    for path in [folder / SUMMARY_RUN, *folder.glob(f"*/{MEAN_RUN}")]:
        shutil.rmtree(path, ignore_errors=True)
    has_means = max(map(len, runs.values())) > 1
    for config, own in curves.items() if has_means else []:
        with SummaryWriter(str(folder / config / MEAN_RUN)) as writer:
            write_mean(writer, own)
    (folder / "figures").mkdir(exist_ok=True)
    with SummaryWriter(str(folder / SUMMARY_RUN)) as writer:
        writer.add_custom_scalars(layout({tag for own in curves.values() for tag in own}, has_means, len(curves)))
        writer.add_text("comparison", text)
        for page, drawn in (("comparison", figures.draw(rows, curves)), ("inside", figures.draw_inside(runs))):
            for name, figure in drawn.items():
                figure.savefig(folder / "figures" / f"{name}.png", dpi=200)
                writer.add_figure(f"{page}/{name}", figure)


def write_mean(writer: SummaryWriter, curves: Curves) -> None:
    """Writes the mean of each curve under its own tag, beside the seeds, and under tags that only means have."""
    for tag, values in curves.items():
        mean, sd = mean_and_deviation(values)
        for name, line in zip([tag, *mean_tags(tag)], [mean, mean, mean - sd, mean + sd], strict=True):
            for epoch, value in line.items():
                writer.add_scalar(name, value, epoch)


def mean_tags(tag: str) -> list[str]:
    """Tags of the mean and of the lower and the upper edge of its band, which only mean runs have.

    The mean of `val/acc` is `acc_mean/val`, so that the SCALARS page begins with the accuracies.
    """
    section, _, name = tag.partition("/")
    return [f"{name}_mean/{section}", *(f"mean_{edge}_sd/{section}_{name}" for edge in ("minus", "plus"))]


def layout(tags: set[str], has_means: bool, num_configs: int) -> dict[str, dict[str, list[Any]]]:
    """The charts of the CUSTOM SCALARS page: one line per config, with a band if there are seeds and few configs."""
    titles = {tag: title for tag, title in CHARTS.items() if tag in tags}
    if has_means and num_configs <= MAX_BANDS:
        # TensorBoard shows charts with bands in reverse order
        bands = {title: ["Margin", mean_tags(tag)] for tag, title in reversed(titles.items())}
        return {"mean ± standard deviation": bands}
    shown = {title: mean_tags(tag)[0] if has_means else tag for tag, title in titles.items()}
    lines = {title: ["Multiline", [f"^{tag}$"]] for title, tag in shown.items()}
    return {"mean" if has_means else "one seed": lines}


def write_hyperparameters(run: Path, row: Row, varied: list[str]) -> None:
    """Adds the varied options to the line of a run on the HPARAMS page.

    A run does not know which options vary. TensorBoard keeps the first hyperparameters that it reads in a folder, in
    the order of the file names, so they are written again to a file that comes first.
    """
    first = min(path.name for path in run.glob("events.out.tfevents.*") if path.name != HPARAMS)
    start = float(first.split(".")[3])  # TensorBoard takes the time of the first event for the start of the run
    with (run / HPARAMS).open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
        for summary in hparams(*hyperparameters(row, varied)):
            writer.write(Event(wall_time=start, summary=summary).SerializeToString())
