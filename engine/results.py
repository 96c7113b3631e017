"""What a run came to: one row, with the same columns for every model, kept beside the run and shown under HPARAMS.

Loads no PyTorch, so that a program may read rows without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FILE = "result.json"  # in the folder of a run that finished
OPTIONS = (  # what was run
    *("config", "model", "data", "depth", "parameters", "flops"),
    *("activation", "optimizer", "lr", "batch_size", "seed"),
)
SCORES = ("val_acc", "test_acc", "val_loss", "test_loss")  # of the tested checkpoint, the best on validation
COSTS = ("epochs", "seconds", "seconds_per_epoch", "samples_per_second", "peak_memory_mib")
COLUMNS = [*OPTIONS, *COSTS, "train_loss", *SCORES, "status", "error"]


def write(row: Row, folder: Path) -> None:
    """Keeps the row of a run that finished."""
    write_whole(folder / FILE, json.dumps(row, indent=2) + "\n")


def read(folder: Path) -> Row | None:
    """The row of the run in this folder; none if it has not finished."""
    path = folder / FILE
    if not path.is_file():
        return None
    row: Row = json.loads(path.read_text(encoding="utf-8"))
    return row


def write_whole(path: Path, text: str) -> None:
    """Writes a file that others may read meanwhile: they see the old one or the new one, never a part."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def hyperparameters(row: Row, varied: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, float]]:
    """The columns of TensorBoard's HPARAMS page: what was run, and what it came to.

    They are the same for every run, as the page takes its columns from one of them; what a run has not is NaN there.

    Args:
        row: Result of a run.
        varied: Options that the comparison varies. Each is a column of its own.
    """
    names = {"val_acc": "best_val_acc"}  # that of the epoch which is best by it; the others are of the same epoch
    scores = {f"run/{names.get(name, name)}": row.get(name, float("nan")) for name in SCORES}
    options = {name: float("nan") if row.get(name) is None else row[name] for name in [*OPTIONS, *varied]}
    return options, {**scores, "run/seconds": row["seconds"]}
