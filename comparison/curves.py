"""The curves of several runs, as TensorBoard has them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Curves = dict[str, pd.DataFrame]  # by tag: epochs down, one column per seed


def read_curves(runs: list[Path], tags: list[str]) -> Curves:
    """The curves of one config under these tags, over the epochs that all of its runs have."""
    found: dict[str, list[pd.Series]] = {}
    for run in runs:
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
        for tag in {*tags} & set(events.Tags()["scalars"]):
            found.setdefault(tag, []).append(pd.Series({event.step: event.value for event in events.Scalars(tag)}))
    return {tag: pd.concat(found[tag], axis=1, join="inner").sort_index() for tag in found}


def mean_and_deviation(values: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Mean and standard deviation over the seeds, per epoch. A diverged seed makes them NaN."""
    return values.mean(axis=1, skipna=False), values.std(axis=1, skipna=False).fillna(0.0)
