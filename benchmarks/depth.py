"""The tables and figures of docs/depth.md: seven depths at equal numbers of parameters, on three data sets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmarks import committed
from callbacks.drawing import COLOURS, MARKS, panels
from comparison.table import difference, markdown
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "depth.md"
DATA = {"mnist": "MNIST", "mnist1d": "MNIST-1D", "spiral": "spiral"}
NETWORKS = {"relu": "plain ReLU", "residual": "residual ReLU", "tanh": "plain tanh", "sigmoid": "plain sigmoid"}
DEEPEST = 50
RATE = 0.01  # learning rate of the configs


def all_runs() -> pd.DataFrame:
    """All runs, with accuracies in %. Networks are the keys of `NETWORKS`, and "none" without hidden layers."""
    runs = pd.concat([committed.rows(folder) for folder in (committed.RESULTS / "depth").iterdir()])
    return runs.assign(
        data=runs["data"].replace({"MNIST1D": "MNIST-1D", "Plane-spiral": "spiral"}),
        network=runs["activation"].mask(runs["model"] == "ResidualMLP", "residual"),
        test=100 * runs["test_acc"],
        val=100 * runs["val_acc"],
    )


def differences(pairs: dict[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """The table of the differences that the page discusses: the second of each pair minus the first."""
    lines = []
    for name, (first, second) in pairs.items():
        found = difference(first, second)
        interval, verdict = f"{found.low:+z.1f} to {found.high:+z.1f}", "yes" if found.is_significant else "no"
        lines.append([name, f"{found.mean:+z.1f}", interval, verdict])
    columns = ["test accuracy", "difference in points", "95 % interval", "significant?"]
    return markdown(pd.DataFrame(lines, columns=columns))


def tables_of(runs: pd.DataFrame) -> tuple[str, str]:
    """Test accuracy by depth and network on one data set, and its differences."""
    cells = runs.pivot_table("test", "depth", "network", aggfunc=committed.mean_sd)
    cells.loc[0] = cells.at[0, "none"]  # the same linear network in all columns
    accuracies = cells[list(NETWORKS)].rename(columns=NETWORKS).rename_axis("hidden layers").reset_index()
    best = runs[runs["network"] == "relu"].groupby("depth")["val"].mean().idxmax()
    tests = runs.groupby(["network", "depth"])["test"].agg(list)
    one, deep, residual = tests["relu", 1], tests["relu", DEEPEST], tests["residual", DEEPEST]
    pairs = {
        "1 ReLU layer - no hidden layer": (tests["none", 0], one),
        f"{best} plain ReLU layers, best on validation - 1": (one, tests["relu", best]),
        f"{DEEPEST} plain ReLU layers - 1": (one, deep),
        f"{DEEPEST} residual layers - {DEEPEST} plain": (deep, residual),
        f"{DEEPEST} residual layers - 1": (one, residual),
    }
    return markdown(accuracies), differences(pairs)


def tables() -> dict[str, str]:
    """All tables of the page, by the name of their marks."""
    runs = all_runs()
    found = {}
    for name, data in DATA.items():
        found[name], found[f"{name} differences"] = tables_of(runs[(runs["data"] == data) & (runs["lr"] == RATE)])
    plain = runs[(runs["network"] == "relu") & runs["depth"].isin([1, DEEPEST])]
    cells = plain.pivot_table("test", ["data", "depth"], "lr", aggfunc=committed.mean_sd)
    found["rates"] = markdown(cells.add_prefix("lr ").rename_axis(["data", "hidden layers"]).reset_index())
    by_rate = plain.groupby(["data", "depth", "lr"])
    tests, best = by_rate["test"].agg(list), by_rate["val"].mean().groupby(["data", "depth"]).idxmax()
    pairs = {}
    for data in DATA.values():
        one, deep = best[data, 1], best[data, DEEPEST]
        pairs[f"{data}: {DEEPEST} layers at lr {deep[-1]} - 1 at lr {one[-1]}"] = tests[one], tests[deep]
    return {**found, "best rates": differences(pairs)}


def draw() -> None:
    """The figures of the page: test accuracy and training loss against depth, one panel per data set."""
    runs = all_runs()
    for column, file, label, finding in (
        ("test", "test_accuracy", "test accuracy, %", "Deep plain networks lose accuracy, residual ones least"),
        ("train_loss", "train_loss", "training loss, last epoch", "Deep plain networks do not fit the training data"),
    ):
        figure, axes = panels(finding, 2.9, 4.0, 1, len(DATA))
        for ax, data in zip(axes, DATA.values(), strict=True):
            own = runs[(runs["data"] == data) & (runs["lr"] == RATE)]
            points = own.groupby(["network", "depth"])[column].agg(["mean", "std"])
            for (network, name), colour, mark in zip(NETWORKS.items(), COLOURS, MARKS, strict=False):
                line = points.loc[network]
                ax.errorbar(line.index, line["mean"], line["std"], label=name, color=colour, marker=mark, capsize=3)
            ax.axhline(points.at[("none", 0), "mean"], color="grey", linestyle="--", label="no hidden layer")
            ax.set(xscale="log", title=data, xlabel="hidden layers")
            ax.set_xticks(line.index, map(str, line.index))
            ax.minorticks_off()
        axes[0].set_ylabel(label)
        handles, labels = axes[0].get_legend_handles_labels()
        title = "mean, with bars of one standard deviation over 5 seeds"
        figure.legend(handles, labels, title=title, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.savefig(PAGE.with_suffix("") / f"{file}.png", dpi=100)
