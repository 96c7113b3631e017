"""The table and the figure of docs/sequences.md: four families of about equal size, on four kinds of data."""

from __future__ import annotations

import pandas as pd

from benchmarks import committed
from callbacks.drawing import COLOURS, MARKS, panels
from comparison.table import difference, markdown
from engine.paths import PROJECT
from engine.results import Row

PAGE = PROJECT / "docs" / "sequences.md"
FAMILIES = {"lstm": "LSTM", "gru": "GRU", "tcn": "TCN", "transformer": "Transformer"}
KINDS = {  # the set of each kind of data, and what its numbers are; lower is better
    "digits, 3 epochs": ("families/digits", "test error, %"),
    "text": ("text", "test loss, nats"),
    "speech": ("speech", "test error, %"),
    "time series": ("series", "test squared error"),
}


def runs(kind: str) -> pd.DataFrame:
    """The runs of the four families, with their error or loss as `shown`."""
    name, score = KINDS[kind]
    found = committed.rows(committed.RESULTS / name)
    return found.assign(shown=100 - 100 * found.test_acc if score.endswith("%") else found.test_loss)


def row(kind: str) -> Row:
    """A row of the table: the score of each family, the best one, and whether it is better than the next."""
    found, (_, score) = runs(kind), KINDS[kind]
    scores = {name: found[found.config == name].shown for name in FAMILIES}
    best, second, *_ = sorted(scores, key=lambda name: float(scores[name].mean()))
    is_clear = difference(scores[best], scores[second]).is_significant
    form = ".2f" if score.endswith("%") else ".3f"
    return {
        "data (score)": f"{kind} ({score})",
        "parameters": f"{found.parameters.min():,} to {found.parameters.max():,}",
        **{FAMILIES[name]: committed.mean_sd(own, form) for name, own in scores.items()},
        "best": FAMILIES[best] if is_clear else f"{FAMILIES[best]}, not significantly",
    }


def tables() -> dict[str, str]:
    """The table of the page, by the name of its marks."""
    return {"families": markdown(pd.DataFrame(map(row, KINDS)))}


def draw() -> None:
    """The figure of the page: a panel per kind of data, a mark per family."""
    figure, axes = panels("Four families of about equal size: lower is better", 3.4, 2.6, 2, 2)
    for ax, (kind, (_, score)) in zip(axes, KINDS.items(), strict=True):
        by_family = runs(kind).groupby("config").shown.agg(["mean", "std"])
        for number, name in enumerate(FAMILIES):
            colour, mark = COLOURS[number], MARKS[number]
            ax.errorbar(number, *by_family.loc[name], color=colour, marker=mark, capsize=4)
        ax.set_xticks(range(len(FAMILIES)), list(FAMILIES.values()), fontsize=8)
        ax.set_title(kind)
        ax.set_ylabel(score, fontsize=10)
        ax.margins(x=0.15, y=0.2)
    figure.savefig(PAGE.with_suffix("") / "families.png", dpi=100)
