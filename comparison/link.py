"""The command that starts TensorBoard for a comparison, and the link to its curves."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from urllib.parse import urlencode

from engine.results import Row

SUMMARY_RUN = "comparison"  # the run that holds text, figures and charts
MEAN_RUN = "mean"  # in the folder of a config, beside its seeds
PINNED = ("val/acc", "val/loss", "train/loss")  # TensorBoard leaves out what a comparison does not have
INSIDE = "gradient_flow/log10_first_over_last"  # pinned with --insight


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
