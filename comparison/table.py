"""The rows of a comparison as a file and as a table, with what the seeds allow to be said. Loads no PyTorch."""

from __future__ import annotations

import csv
import itertools
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.results import COLUMNS, Row

RESAMPLES = 10_000
CONFIDENCE = 0.95
FEWEST_SEEDS = 3  # with fewer, chance alone puts all runs of one config above all of another too often
MOST_PAIRS = 15  # in the table; the file has all
MATCHED = 0.02  # parameters that differ by more are marked


KEY = """\
flops: floating-point operations of a forward pass for one sample. depth: layers with weights, without the output layer;
a recurrent network counts its layers, not its time steps. {val}, {test}: of the tested checkpoint.
seconds: training and validation. ±: standard deviation over the seeds."""


class Score(NamedTuple):
    """What a table measures by: the column, how it is shown, and which way is better."""

    column: str
    label: str
    scale: float
    digits: int
    unit: str
    higher_is_better: bool

    def text(self, values: list[float]) -> str:
        return mean_and_deviation([self.scale * value for value in values], self.digits, self.unit)


def scores(rows: list[Row]) -> tuple[Score, Score]:
    """What is measured on validation and on test samples: accuracy, or the loss where there is regression."""
    has_accuracy = all("val_acc" in row or "test_acc" in row for row in rows if row["status"] == "finished")
    if has_accuracy:
        return Score("val_acc", "val acc", 100, 2, " %", True), Score("test_acc", "test acc", 100, 2, " %", True)
    return Score("val_loss", "val loss", 1, 4, "", False), Score("test_loss", "test loss", 1, 4, "", False)


def judged_by(rows: list[Row]) -> Score:
    """What says which config is better: the test samples, or those of validation where nothing was tested."""
    val, test = scores(rows)
    return test if values_of(rows, test.column) else val


def values_of(rows: list[Row], column: str) -> list[float]:
    """The numbers of a column among the runs that finished."""
    return [row[column] for row in rows if row["status"] == "finished" and row.get(column) is not None]


def by_config(rows: list[Row]) -> dict[str, list[Row]]:
    return {
        config: [row for row in rows if row["config"] == config] for config in dict.fromkeys(r["config"] for r in rows)
    }


def mean_and_deviation(values: list[float], digits: int, unit: str = "") -> str:
    if not values:
        return "-"
    if not all(map(math.isfinite, values)):
        return f"{sum(not math.isfinite(value) for value in values)} of {len(values)} diverged"
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}{unit}"


def count(values: list[float]) -> str:
    """A number that is usually the same for every seed."""
    return f"{round(values[0], 2):g}" if len(set(values)) == 1 else mean_and_deviation(values, 1)


def write_results(path: Path, rows: list[Row], varied: list[str]) -> None:
    """Writes one row per run that ended. A failed run leaves the columns empty that it did not reach.

    Args:
        path: The CSV file.
        rows: One per run.
        varied: Options of `--vary`. Each is a column after `config`, unless results have a column of that name.
    """
    whole = path.with_suffix(".part")
    columns = dict.fromkeys(["config", *varied, *COLUMNS])
    with whole.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row for row in rows if row["status"] != "unfinished")
    whole.replace(path)  # whoever reads it meanwhile sees a whole one


def summary(rows: list[Row], parameters: int | None = None) -> str:
    """One line a config, as a Markdown table: mean ± standard deviation over its finished seeds, and the differences.

    Args:
        rows: one a run, with `status` finished, failed or unfinished.
        parameters: what the widths were matched to, if they were.
    """
    val, test = scores(rows)
    header = ["model", "data", "parameters", "flops", "depth", val.label, test.label, "seconds", "epochs", "seeds"]
    lines = [header]
    for config, runs in by_config(rows).items():
        known = {name: value for row in runs for name, value in row.items()}
        num_finished = sum(row["status"] == "finished" for row in runs)
        lines.append(
            [
                config,
                str(known.get("data", "-")),
                parameter_count(known.get("parameters"), parameters),
                short(known.get("flops")),
                str(known.get("depth", "-")),
                val.text(values_of(runs, val.column)),
                test.text(values_of(runs, test.column)),
                mean_and_deviation(values_of(runs, "seconds"), 1),
                count(values_of(runs, "epochs")),
                f"{num_finished} of {len(runs)}" if num_finished < len(runs) else str(len(runs)),
            ]
        )
    failures = [
        f"{row['config']}, seed {row['seed']} failed: {row['error']}" for row in rows if row["status"] == "failed"
    ]
    paragraphs = [table(lines), KEY.format(val=val.label, test=test.label), "\n".join(failures), told_apart(rows)]
    if parameters and "≈" in paragraphs[0]:
        paragraphs.insert(2, f"≈: more than {MATCHED:.0%} off the {parameters:,} parameters of the first line.")
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def table(lines: list[list[str]]) -> str:
    """Markdown with aligned columns; the first line is the header."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def parameter_count(number: int | None, wanted: int | None) -> str:
    if number is None:
        return "-"
    is_off = wanted is not None and abs(number - wanted) > MATCHED * wanted
    return f"≈ {number:,}" if is_off else f"{number:,}"


def short(number: int | None) -> str:
    """1234567 as 1.23 M."""
    if number is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


# What may be said of a difference.


class Difference(NamedTuple):
    """The second config's mean minus that of the first, with the bounds of its interval."""

    first: str
    second: str
    mean: float
    low: float
    high: float
    num_seeds: int

    @property
    def is_distinguishable(self) -> bool:
        return self.low > 0 or self.high < 0


def differences(rows: list[Row]) -> list[Difference]:
    """Each pair of configs on the same data that have at least 3 finished seeds, none of which diverged."""
    column = judged_by(rows).column
    measured = {config: values_of(runs, column) for config, runs in by_config(rows).items()}
    able = [config for config, values in measured.items() if can_be_compared(values)]
    question = {row["config"]: str(row.get("data", "")).removeprefix("Sequence") for row in rows}
    return [
        compared(measured[first], measured[second], first, second)
        for first, second in itertools.combinations(able, 2)
        if question[first] == question[second]
    ]


def can_be_compared(values: list[float]) -> bool:
    return len(values) >= FEWEST_SEEDS and all(map(math.isfinite, values))


def compared(values: list[float], others: list[float], first: str = "", second: str = "") -> Difference:
    """The second values against the first."""
    mean = statistics.mean(others) - statistics.mean(values)
    return Difference(first, second, mean, *interval(values, others), min(len(values), len(others)))


def interval(first: list[float], second: list[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the difference of two means, the second minus the first.

    Percentiles of 10,000 resamples, taken further out for few values as in Hesterberg 2015 ("What Teachers Should
    Know About the Bootstrap", section 5.3): plain percentiles are too narrow then. With three values the interval is
    the widest that they allow. It says what other seeds would give; what other test samples would give it does not.
    """
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415  # half a second that few commands need

    random = np.random.default_rng(0)
    means = [
        np.asarray(values)[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
        for values in (first, second)
    ]
    num = min(len(first), len(second))
    outside = (1 - CONFIDENCE) / 2
    outside = float(ndtr(math.sqrt(num / (num - 1)) * stdtrit(num - 1, outside)))
    low, high = np.quantile(means[1] - means[0], [outside, 1 - outside])
    return float(low), float(high)


def told_apart(rows: list[Row]) -> str:
    """The differences in words; empty if there is nothing to compare."""
    score = judged_by(rows)
    measured = {config: values_of(runs, score.column) for config, runs in by_config(rows).items()}
    if sum(map(bool, measured.values())) < 2:
        return ""
    left_out = [config for config, values in measured.items() if not can_be_compared(values)]
    if len(measured) - len(left_out) < 2:
        return (
            f"Run at least {FEWEST_SEEDS} seeds of two configs to compare them: add --seeds "
            f"{' '.join(map(str, range(FEWEST_SEEDS)))}."
        )
    pairs = differences(rows)
    if not pairs:
        return "No two of them learned the same data, so that no difference is given."
    shown = pairs if len(pairs) <= MOST_PAIRS else [pair for pair in pairs if pair.first == pairs[0].first]
    points = " points" if score.unit else ""
    lines = [[f"difference in {score.label}", "mean", "95 % interval", "told apart?"]]
    for pair in shown:
        mean, low, high = (f"{score.scale * value:+.{score.digits}f}" for value in pair[2:5])
        verdict = f"not distinguishable at n={pair.num_seeds}"
        if pair.is_distinguishable:
            verdict = f"{pair.second} is {'better' if (pair.mean > 0) == score.higher_is_better else 'worse'}"
        lines.append([f"{pair.second} - {pair.first}", f"{mean}{points}", f"{low} to {high}", verdict])
    by_chance = "Each pair by itself: of 20 pairs that are equal about one is told apart by chance"
    if any(pair.num_seeds == FEWEST_SEEDS for pair in pairs):
        by_chance += f", with {FEWEST_SEEDS} seeds, whose intervals reach 90 %, two"
    notes = [f"{by_chance}."]
    notes += [f"All {len(pairs)} pairs are in differences.csv."] if len(shown) < len(pairs) else []
    notes += [f"Not compared, without {FEWEST_SEEDS} finished seeds: {', '.join(left_out)}."] if left_out else []
    return table(lines) + "\n\n" + " ".join(notes)


def write_differences(path: Path, rows: list[Row]) -> None:
    """Writes every pair, in the units of results.csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: Any = csv.writer(file)
        writer.writerow([*Difference._fields, "is_distinguishable"])
        writer.writerows([*pair, pair.is_distinguishable] for pair in differences(rows))
