"""The TensorBoard page of a comparison: mean runs, charts, varied hyperparameters, the table, and figures."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from engine.results import Row, hyperparameters

SUMMARY_RUN = "comparison"  # the run that holds text, figures and charts
MEAN_RUN = "mean"  # in the folder of a config, beside its seeds
CHARTS = {  # of the CUSTOM SCALARS page, by tag
    "val/acc": "validation accuracy",
    "train/acc": "training accuracy",
    "val/loss": "validation loss",
    "train/loss": "training loss, with label smoothing if there is any",
    "gap/acc": "training minus validation accuracy",
    "gap/loss": "validation minus training loss",
}
PINNED = ("val/acc", "val/loss", "train/loss")  # TensorBoard leaves out what a comparison does not have
INSIDE = "gradient_flow/log10_first_over_last"  # pinned with --insight
MAX_BANDS = 6  # configs; more bands cover each other
HPARAMS = "events.out.tfevents.0.comparison"  # sorts before the file of the run, so TensorBoard reads it first

Curves = dict[str, pd.DataFrame]  # by tag: epochs down, one column per seed


def how_to_open(folder: Path) -> str:
    """The command that starts TensorBoard, and the link to the curves. With mean runs, the link shows them only."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    view = {
        "runColorGroup": "regex:^([^/]+)/",  # the runs of a config share a colour
        "smoothing": "0",
    }
    pinned: list[Row] = [{"plugin": "scalars", "tag": tag} for tag in PINNED]
    if (folder / "figures" / "gradient_by_depth.png").is_file():
        run = f"defaultExperimentId/{SUMMARY_RUN}"
        pinned.append({"plugin": "scalars", "tag": INSIDE})
        pinned.append({"plugin": "images", "tag": "inside/gradient_by_depth", "runId": run, "sample": 0})
    view["pinnedCards"] = json.dumps(pinned, separators=(",", ":"))
    lines = [f"To see the curves, start TensorBoard with\n{shlex.join(command)}"]
    if any(folder.glob(f"*/{MEAN_RUN}")):
        view["runFilter"] = f"/{MEAN_RUN}$|^{SUMMARY_RUN}$"
        lines.append("The link shows the mean of each config; clear the filter of runs to see its seeds.")
    lines.append("Open (TensorBoard may print another port)")
    return "\n".join([*lines, f"http://localhost:6006/?{urlencode(view)}#timeseries"])


def publish(folder: Path, rows: list[Row], text: str, varied: list[str]) -> Row:
    """Writes the page, in place of an earlier one. Call it in a child process, as it loads PyTorch.

    Args:
        folder: Folder of the comparison.
        rows: One per run.
        text: The table, as Markdown.
        varied: Options of `--vary`. They become columns of the HPARAMS page.
    """
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    from comparison import figures, inside  # noqa: PLC0415

    finished = [row for row in rows if row["status"] == "finished"]
    curves = {
        config: read_curves([folder / config / f"seed_{row['seed']}" for row in finished if row["config"] == config])
        for config in dict.fromkeys(row["config"] for row in finished)
    }
    for row in finished if varied else []:
        write_hyperparameters(folder / row["config"] / f"seed_{row['seed']}", row, varied)
    for path in [folder / SUMMARY_RUN, *folder.glob(f"*/{MEAN_RUN}")]:
        shutil.rmtree(path, ignore_errors=True)
    has_means = any(len(values.columns) > 1 for own in curves.values() for values in own.values())
    for config, own in curves.items() if has_means else []:
        with SummaryWriter(str(folder / config / MEAN_RUN)) as writer:
            write_mean(writer, own, has_band=len(curves) <= MAX_BANDS)
    drawn = {f"comparison/{name}": figure for name, figure in figures.draw(finished, curves).items()}
    drawn |= {f"inside/{name}": figure for name, figure in inside.draw(folder, finished).items()}
    (folder / "figures").mkdir(exist_ok=True)
    with SummaryWriter(str(folder / SUMMARY_RUN)) as writer:
        writer.add_custom_scalars(layout({tag for own in curves.values() for tag in own}, has_means, len(curves)))
        writer.add_text("comparison", text)
        for name, figure in drawn.items():
            figure.savefig(folder / "figures" / f"{Path(name).name}.png", dpi=200)
            writer.add_figure(name, figure)
    return {}


def read_curves(runs: list[Path]) -> Curves:
    """The curves of one config, over the epochs that all of its runs have."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    found: dict[str, list[pd.Series]] = {}
    for run in runs:
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
        for tag in {*CHARTS, INSIDE} & set(events.Tags()["scalars"]):
            found.setdefault(tag, []).append(pd.Series({event.step: event.value for event in events.Scalars(tag)}))
    return {tag: pd.concat(found[tag], axis=1, join="inner").sort_index() for tag in found}


def mean_and_deviation(values: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Mean and standard deviation over the seeds, per epoch. A diverged seed makes them NaN."""
    return values.mean(axis=1, skipna=False), values.std(axis=1, skipna=False).fillna(0.0)


def write_mean(writer: Any, curves: Curves, has_band: bool) -> None:
    """Writes the mean of each curve under its own tag, beside the seeds, and under a tag that only means have."""
    for tag, values in curves.items():
        mean, sd = mean_and_deviation(values)
        lines = dict(zip([tag, *mean_tags(tag)], [mean, mean, mean - sd, mean + sd], strict=True))
        for name, line in list(lines.items())[: 4 if has_band and tag in CHARTS else 2]:
            for epoch, value in line.items():
                writer.add_scalar(name, value, epoch)


def mean_tags(tag: str) -> list[str]:
    """Tags of the mean and of the lower and the upper edge of its band, which only mean runs have.

    The mean of `val/acc` is `acc_mean/val`, so that the SCALARS page begins with the accuracies.
    """
    stage, _, metric = tag.partition("/")
    mean = f"{metric}_mean/{stage}" if stage in ("train", "val") else f"{stage}_mean/{metric}"
    return [mean, f"mean_minus_sd/{tag.replace('/', '_')}", f"mean_plus_sd/{tag.replace('/', '_')}"]


def layout(tags: set[str], has_means: bool, num_configs: int) -> dict[str, dict[str, list[Any]]]:
    """The charts of the CUSTOM SCALARS page: one line per config, with a band if there are seeds and few configs."""
    titles = {tag: title for tag, title in CHARTS.items() if tag in tags}
    if not has_means:
        return {"one seed": {title: ["Multiline", [f"^{tag}$"]] for tag, title in titles.items()}}
    if num_configs > MAX_BANDS:
        return {"mean": {title: ["Multiline", [f"^{mean_tags(tag)[0]}$"]] for tag, title in titles.items()}}
    # TensorBoard shows charts with bands in reverse order
    bands = {title: ["Margin", mean_tags(tag)] for tag, title in reversed(titles.items())}
    return {"mean ± standard deviation": bands}


def write_hyperparameters(run: Path, row: Row, varied: list[str]) -> None:
    """Adds the varied options to the line of a run on the HPARAMS page.

    A run does not know which options vary. TensorBoard keeps the first hyperparameters that it reads in a folder, in
    the order of the file names, so they are written again to a file that comes first.
    """
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415
    from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415

    first = min(path.name for path in run.glob("events.out.tfevents.*") if path.name != HPARAMS)
    start = float(first.split(".")[3])  # TensorBoard takes the time of the first event for the start of the run
    content = io.BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=start, file_version="brain.Event:2").SerializeToString())
    for summary in hparams(*hyperparameters(row, varied)):
        writer.write(Event(wall_time=start, summary=summary).SerializeToString())
    (run / HPARAMS).write_bytes(content.getvalue())
