"""The results of a comparison as tables: means over seeds, and confidence intervals of the differences."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engine.results import COLUMNS, Row, write_atomically

CONFIDENCE = 0.95
MIN_SEEDS = 3  # for an interval
MAX_PAIRS = 15  # in the printed table; differences.csv has all
KEY = """\
flops: floating-point operations of a forward pass for one sample. depth: layers with weights, without the output layer;
a recurrent network counts its layers, not its time steps. {val}, {test}: of the tested checkpoint. seconds: duration of
training and validation. ±: standard deviation over the seeds."""
NOTE = (
    "Intervals are by Welch's t-test over the seeds. They are not corrected for multiple comparisons: "
    f"at {CONFIDENCE:.0%}, about one in 20 equal pairs will look different."
)


def finished(rows: list[Row]) -> pd.DataFrame:
    """The rows of finished runs, with every column of `COLUMNS`."""
    frame = pd.DataFrame([row for row in rows if row["status"] == "finished"], dtype=object)
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *COLUMNS])))


def scores(runs: pd.DataFrame) -> tuple[str, str]:
    """The columns of the validation and the test score: losses if a run has no accuracy, or is judged by its loss."""
    has_accuracy = runs[["val_acc", "test_acc"]].notna().any(axis=1).all()
    is_by_loss = "loss" in set(runs.get("score", ()))
    return ("val_acc", "test_acc") if has_accuracy and not is_by_loss else ("val_loss", "test_loss")


def main_score(runs: pd.DataFrame) -> str:
    """The column that configs are compared by: the test score, or the validation score if no run was tested."""
    val, test = scores(runs)
    return test if runs[test].notna().any() else val


def label(score: str) -> str:
    return score.replace("_", " ")


def mean_sd(values: pd.Series) -> str:
    """Mean ± standard deviation of a column."""
    values = values.astype(float)
    if values.isna().all():
        return "-"
    if not np.isfinite(values).all():
        return f"{(~np.isfinite(values)).sum()} of {len(values)} diverged"
    form = {"acc": ".2%", "loss": ".4f"}.get(str(values.name).rpartition("_")[2], ".1f")
    return f"{values.mean():{form}}" + (f" ± {values.std():{form}}" if len(values) > 1 else "")


def result_line(row: Row) -> str:
    """Score and duration of a finished run."""
    runs = finished([{**row, "status": "finished"}])
    score = main_score(runs)
    return f"{label(score)} {mean_sd(runs[score])}, {row['seconds']:.1f} s"


def write_results(path: Path, rows: list[Row], varied: list[str]) -> None:
    """Writes one row per run that has ended, with a column per varied option. A failed run leaves columns empty."""
    columns = list(dict.fromkeys(["config", *varied, *COLUMNS]))
    ended = pd.DataFrame([row for row in rows if row["status"] != "unfinished"], columns=columns, dtype=object)
    write_atomically(path, ended.to_csv(index=False))


def summary(rows: list[Row]) -> str:
    """A Markdown page from one row per run: a line per config, a key, failed runs, and differences."""
    runs = finished(rows)
    val, test = scores(runs)
    lines = []
    for config in dict.fromkeys(row["config"] for row in rows):
        planned = [row for row in rows if row["config"] == config]
        about, own = planned[0], runs[runs["config"] == config]
        lines.append(
            {
                "config": config,
                "data": about.get("data", "-"),
                "parameters": f"{about['parameters']:,}" if "parameters" in about else "-",
                "flops": short_number(about.get("flops")),
                "depth": about.get("depth", "-"),
                **{label(score): mean_sd(own[score]) for score in (val, test)},
                "seconds": mean_sd(own["seconds"]),
                "epochs": f"{own['epochs'].iloc[0]:g}" if own["epochs"].nunique() == 1 else mean_sd(own["epochs"]),
                "seeds": str(len(own)) if len(own) == len(planned) else f"{len(own)} of {len(planned)}",
            }
        )
    failed = [
        f"{row['config']}, seed {row['seed']} failed: {row['error']}" for row in rows if row["status"] == "failed"
    ]
    key = KEY.format(val=label(val), test=label(test))
    paragraphs = [markdown(pd.DataFrame(lines, dtype=object)), key, "\n".join(failed), differences_text(runs)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def short_number(number: float | None) -> str:
    """1234567 as 1.23 M."""
    if number is None:
        return "-"
    for unit in ("", " k", " M"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} G"


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table with aligned columns."""
    columns = [[name, *map(str, table[name])] for name in table]
    widths = [max(map(len, cells)) for cells in columns]
    lines = list(zip(*columns, strict=True))
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


class Difference(NamedTuple):
    """The mean of the second config minus the mean of the first, with the bounds of a confidence interval.

    If both configs have zero variance, there are no bounds, and `is_significant` is None.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    is_significant: bool | None


def difference(first: Any, second: Any, names: tuple[str, str] = ("", "")) -> Difference:
    """Compares two configs, one value per seed, by Welch's t-test."""
    from scipy.stats import ttest_ind  # noqa: PLC0415  # takes a second to import

    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    mean = float(b.mean() - a.mean())
    if np.ptp(a) == np.ptp(b) == 0:
        return Difference(*names, mean, np.nan, np.nan, None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Precision loss")  # one of them may have zero variance
        low, high = map(float, ttest_ind(b, a, equal_var=False).confidence_interval(CONFIDENCE))
    return Difference(*names, mean, low, high, low > 0 or high < 0)


def comparable(runs: pd.DataFrame) -> dict[str, pd.Series]:
    """The scores of each config that has at least 3 finished runs and no diverged run."""
    scores = runs[main_score(runs)].astype(float).groupby(runs["config"], sort=False)
    return {str(config): own for config, own in scores if len(own) >= MIN_SEEDS and np.isfinite(own).all()}


def differences(runs: pd.DataFrame) -> list[Difference]:
    """All pairs of comparable configs on the same data. MNIST as a sequence is the same data as MNIST."""
    data = dict(zip(runs["config"], runs["data"].astype(str).str.removeprefix("Sequence"), strict=True))
    pairs = itertools.combinations(comparable(runs).items(), 2)
    return [difference(a, b, (first, second)) for (first, a), (second, b) in pairs if data[first] == data[second]]


def differences_text(runs: pd.DataFrame) -> str:
    """The differences as a table with notes, or what is missing. Empty with fewer than two configs."""
    configs, able, pairs = list(runs["config"].unique()), comparable(runs), differences(runs)
    if len(configs) < 2:
        return ""
    if not pairs:
        seeds = " ".join(map(str, range(MIN_SEEDS)))
        return f"No differences: they need two configs on the same data and {MIN_SEEDS} seeds of each: --seeds {seeds}."
    score = main_score(runs)
    is_accuracy = score.endswith("acc")
    shown = pairs if len(pairs) <= MAX_PAIRS else [pair for pair in pairs if pair.first == pairs[0].first]
    lines = []
    for pair in shown:
        mean, low, high = (f"{100 * value:+.2f}" if is_accuracy else f"{value:+.4f}" for value in pair[2:5])
        better = "better" if (pair.mean > 0) == is_accuracy else "worse"
        verdicts = {None: "no verdict", False: "no", True: f"yes, {pair.second} is {better}"}
        lines.append(
            {
                f"difference in {label(score)}": f"{pair.second} - {pair.first}",
                "mean": f"{mean} points" if is_accuracy else mean,
                f"{CONFIDENCE:.0%} interval": "-" if pair.is_significant is None else f"{low} to {high}",
                "significant?": verdicts[pair.is_significant],
            }
        )
    notes = [NOTE]
    if any(pair.is_significant is None for pair in shown):
        notes.append("No verdict: all seeds of each config gave the same value.")
    if len(shown) < len(pairs):
        notes.append(f"All {len(pairs)} pairs are in differences.csv.")
    if missing := ", ".join(config for config in configs if config not in able):
        notes.append(f"Not compared, without {MIN_SEEDS} finished seeds that did not diverge: {missing}.")
    return markdown(pd.DataFrame(lines, dtype=object)) + "\n\n" + " ".join(notes)


def write_differences(path: Path, rows: list[Row]) -> None:
    """Writes all pairs, in the unit of results.csv."""
    pairs = pd.DataFrame(differences(finished(rows)), columns=list(Difference._fields))
    write_atomically(path, pairs.to_csv(index=False))
