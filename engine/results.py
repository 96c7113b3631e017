"""The result of a run: one row with the same columns for every model, saved beside the run and shown under HPARAMS.

Loads no PyTorch, so that results can be read quickly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FILE = "result.json"  # in the folder of a run that finished
OPTIONS = ["config", "model", "data", "depth", "parameters", "flops"]
OPTIONS += ["activation", "optimizer", "lr", "batch_size", "seed"]
SCORES = ("val_acc", "test_acc", "val_loss", "test_loss")  # of the tested checkpoint, the best on validation
COSTS = ("epochs", "seconds", "seconds_per_epoch", "samples_per_second", "peak_memory_mib")
COLUMNS = [*OPTIONS, *COSTS, "train_loss", *SCORES, "status", "error"]


def read(folder: Path) -> Row | None:
    """The result of the run in this folder, or None if it has not finished."""
    return json.loads((folder / FILE).read_text(encoding="utf-8")) if (folder / FILE).is_file() else None


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file in one step, so that readers never see a part of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def hyperparameters(row: Row, varied: Iterable[str] = ()) -> tuple[dict[str, Any], dict[str, float]]:
    """The hyperparameters and the scores of TensorBoard's HPARAMS page, with a column for each `varied` option.

    All runs have the same columns, because TensorBoard takes them from one run. Missing values are NaN.
    """
    names = {"val_acc": "best_val_acc"}  # the best epoch is chosen by it; the others are from the same epoch
    scores = {f"run/{names.get(name, name)}": row.get(name, float("nan")) for name in SCORES}
    options = {name: float("nan") if row.get(name) is None else row[name] for name in [*OPTIONS, *varied]}
    return options, {**scores, "run/seconds": row["seconds"]}
