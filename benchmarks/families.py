"""Which family of networks reads sequences best? Four families of about equal size, on four kinds of data.

python -m benchmarks.families            # runs or resumes the digits, then rewrites the page: 5 minutes
python -m benchmarks.families --write    # rewrites the table and the figure of docs/sequences.md from committed results

Text, speech and series are sets of benchmarks/sets.yaml, which `python -m benchmarks.report` measures.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import pandas as pd

from benchmarks import committed
from benchmarks.committed import RESULTS, markdown
from callbacks.drawing import COLOURS, MARKS, headline, panels
from comparison.table import difference
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "sequences.md"
FAMILIES = {"lstm": "LSTM", "gru": "GRU", "tcn": "TCN", "transformer": "Transformer"}
DIGITS = [f"configs/sequence/{name}.yaml" for name in FAMILIES]
DIGITS += ["--match", "parameters", "--seeds", "0", "1", "2", "--jobs", "2", "--", "--trainer.max_epochs=3"]


class Kind(NamedTuple):
    """One kind of data.

    Attributes:
        title: Title of the row and of the panel.
        folder: Folder of the results below benchmarks/results/.
        score: Column of the results with the score.
        unit: Unit of the shown numbers. Lower is better.
    """

    title: str
    folder: str
    score: str
    unit: str


KINDS = [
    Kind("digits, 3 epochs", "families/digits", "test_acc", "test error, %"),
    Kind("text", "text", "test_loss", "test loss, nats"),
    Kind("speech", "speech", "test_acc", "test error, %"),
    Kind("time series", "series", "test_loss", "test squared error"),
]


def runs(kind: Kind) -> pd.DataFrame:
    """The runs of the four families, with their error or loss as `shown`."""
    found = committed.rows(RESULTS / kind.folder)
    found = found[found.config.isin(FAMILIES)]
    return found.assign(shown=100 - 100 * found.test_acc if kind.score == "test_acc" else found[kind.score])


def row(kind: Kind) -> list[str]:
    """A row of the table: the score of each family, the best one, and whether it is better than the next."""
    found, digits = runs(kind), 2 if kind.score == "test_acc" else 3
    scores = {name: found[found.config == name].shown for name in FAMILIES}
    best, second, *_ = sorted(scores, key=lambda name: float(scores[name].mean()))
    is_clear = difference(scores[best], scores[second]).is_significant
    cells = [f"{values.mean():.{digits}f} ± {values.std():.{digits}f}" for values in scores.values()]
    sizes = f"{found.parameters.min():,} to {found.parameters.max():,}"
    verdict = FAMILIES[best] if is_clear else f"{FAMILIES[best]}, not significantly"
    return [f"{kind.title} ({kind.unit})", sizes, *cells, verdict]


def tables() -> dict[str, str]:
    """The table of the page, by the name of its marks."""
    columns = ["data (score)", "parameters", *FAMILIES.values(), "best"]
    return {"families": markdown(pd.DataFrame(map(row, KINDS), columns=columns))}


def draw() -> None:
    """The figure of the page: a panel per kind of data, a mark per family."""
    figure, axes = panels(3.4, 2.6, 2, 2)
    headline(figure, "Four families of about equal size: lower is better")
    for ax, kind in zip(axes, KINDS, strict=True):
        by_family = runs(kind).groupby("config").shown
        for number, name in enumerate(FAMILIES):
            values = by_family.get_group(name)
            colour, mark = COLOURS[number], MARKS[number]
            ax.errorbar(number, values.mean(), values.std(), color=colour, marker=mark, capsize=4)
        ax.set_xticks(range(len(FAMILIES)), list(FAMILIES.values()), fontsize=8)
        ax.set_title(kind.title)
        ax.set_ylabel(kind.unit, fontsize=10)
        ax.margins(x=0.15, y=0.2)
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "families.png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families")
    parser.add_argument("--write", action="store_true", help="rewrite the table and the figure; measure nothing")
    if not parser.parse_args().write:
        committed.run_and_copy("families", {"digits": DIGITS}, RESULTS / "families")
    committed.write_tables(PAGE, tables())
    draw()


if __name__ == "__main__":
    main()
