"""Does depth help? Seven depths at equal numbers of parameters, on three data sets, for docs/depth.md.

python -m benchmarks.depth_study            # make depth-study: runs or resumes, then does the next: 20 minutes
python -m benchmarks.depth_study --write    # rewrites tables and figures from the committed results
"""

from __future__ import annotations

import shlex
import sys

import pandas as pd

from benchmarks import committed
from benchmarks.committed import markdown
from callbacks.drawing import COLOURS, MARKS, panels
from comparison.table import difference
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "depth.md"
RESULTS = committed.RESULTS / "depth"
DATA = {"mnist": "MNIST", "mnist1d": "MNIST-1D", "spiral": "spiral"}
NETWORKS = {"relu": "plain ReLU", "residual": "residual ReLU", "tanh": "plain tanh", "sigmoid": "plain sigmoid"}
DEPTHS = (1, 2, 3, 5, 10, 20, 50)
SEEDS = ("0", "1", "2", "3", "4")
RATES = ("0.001", "0.003")  # besides the 0.01 of the configs


def commands() -> dict[str, list[str]]:
    """The arguments of compare.py, by the name of the comparison."""
    depths = f"model.num_layers={','.join(map(str, DEPTHS))}"
    found = {}
    for data in DATA:
        configs = {network: f"configs/depth/{data}_{network}.yaml" for network in NETWORKS}
        found[data] = [*configs.values(), "--vary", depths, "--match", "parameters", "--seeds", *SEEDS]
        grid = ["--vary", f"model.num_layers=1,{DEPTHS[-1]}", "--vary", f"model.lr={','.join(RATES)}"]
        found[f"{data}_rates"] = [configs["relu"], *grid, "--match", "parameters", "--seeds", *SEEDS[:3]]
    found["linear"] = [*(f"configs/depth/{data}_linear.yaml" for data in DATA), "--seeds", *SEEDS]
    return found


def measure() -> None:
    """Runs or resumes all comparisons of the current commit, then copies their results."""
    folders = {name: committed.run(f"depth_{name}", [*typed, "--jobs", "2"]) for name, typed in commands().items()}
    for name, folder in folders.items():  # at the end, because they are uncommitted changes
        committed.copy(folder, RESULTS / name)


def runs(name: str) -> dict[str, pd.DataFrame]:
    """The committed runs of a comparison by config, with accuracies in %."""
    rows = committed.rows(RESULTS / name)
    rows[["test", "val"]] = 100 * rows[["test_acc", "val_acc"]]
    return dict(list(rows.groupby("config", sort=False)))


def grid(data: str) -> dict[tuple[str, int], pd.DataFrame]:
    """The runs of a data set by network and depth."""
    found = runs(data)
    return {(net, depth): found[f"{data}_{net},num_layers={depth}"] for net in NETWORKS for depth in DEPTHS}


def shown(values: pd.Series[float]) -> str:
    return f"{values.mean():.1f} ± {values.std():.1f}"


def accuracies(data: str) -> str:
    """Test accuracy by depth and network."""
    found = grid(data)
    lines = [[depth, *(shown(found[net, depth].test) for net in NETWORKS)] for depth in DEPTHS]
    linear = [shown(runs("linear")[f"{data}_linear"].test)] * len(NETWORKS)
    return markdown(["hidden layers", *NETWORKS.values()], [[0, *linear], *lines])


def differences(data: str) -> str:
    """The differences that the page discusses."""
    found, deepest = grid(data), DEPTHS[-1]
    one, plain, residual = found["relu", 1], found["relu", deepest], found["residual", deepest]
    best = max(DEPTHS, key=lambda depth: found["relu", depth].val.mean())
    pairs = {
        "1 ReLU layer - no hidden layer": (runs("linear")[f"{data}_linear"], one),
        f"{best} plain ReLU layers, best on validation - 1": (one, found["relu", best]),
        f"{deepest} plain ReLU layers - 1": (one, plain),
        f"{deepest} residual layers - {deepest} plain": (plain, residual),
        f"{deepest} residual layers - 1": (one, residual),
    }
    return difference_table(pairs)


def difference_table(pairs: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> str:
    lines = []
    for name, (first, second) in pairs.items():
        found = difference(first.test, second.test)
        interval, verdict = f"{found.low:+z.1f} to {found.high:+z.1f}", "yes" if found.is_significant else "no"
        lines.append([name, f"{found.mean:+z.1f}", interval, verdict])
    return markdown(["test accuracy", "difference in points", "95 % interval", "significant?"], lines)


def by_rate(data: str, depth: int) -> dict[str, pd.DataFrame]:
    """Runs of the plain ReLU network by learning rate."""
    found = runs(f"{data}_rates")
    return {**{rate: found[f"num_layers={depth},lr={rate}"] for rate in RATES}, "0.01": grid(data)["relu", depth]}


def rates() -> str:
    """The plain ReLU network at other learning rates."""
    depths = (1, DEPTHS[-1])
    lines = [
        [name, depth, *(shown(one.test) for one in by_rate(data, depth).values())]
        for data, name in DATA.items()
        for depth in depths
    ]
    return markdown(["data", "hidden layers", *(f"lr {rate}" for rate in (*RATES, "0.01"))], lines)


def best_rates() -> str:
    """One layer and the deepest plain ReLU network, each at the learning rate that is best on validation."""
    pairs = {}
    for data, name in DATA.items():
        (rate, one), (deep_rate, deep) = (
            max(by_rate(data, depth).items(), key=lambda runs: runs[1].val.mean()) for depth in (1, DEPTHS[-1])
        )
        pairs[f"{name}: {DEPTHS[-1]} layers at lr {deep_rate} - 1 at lr {rate}"] = (one, deep)
    return difference_table(pairs)


def tables() -> dict[str, str]:
    """All tables of the page, by the name of their marks."""
    return {
        **{data: accuracies(data) for data in DATA},
        **{f"{data} differences": differences(data) for data in DATA},
        "rates": rates(),
        "best rates": best_rates(),
        "commands": "\n".join(f"    .venv/bin/python compare.py {shlex.join(typed)}" for typed in commands().values()),
    }


def draw() -> None:
    """The figures of the page: test accuracy and training loss against depth, one panel per data set."""
    for column, file, label in (
        ("test", "test_accuracy", "test accuracy, %"),
        ("train_loss", "train_loss", "training loss, last epoch"),
    ):
        figure, axes = panels(4.4, 4.6, 1, len(DATA))
        for ax, (data, name) in zip(axes, DATA.items(), strict=True):
            found = grid(data)
            for number, (net, title) in enumerate(NETWORKS.items()):
                values = [found[net, depth][column] for depth in DEPTHS]
                means, spreads = [one.mean() for one in values], [one.std() for one in values]
                colour, mark = COLOURS[number], MARKS[number]
                ax.errorbar(DEPTHS, means, spreads, label=title, color=colour, marker=mark, capsize=3)
            level = runs("linear")[f"{data}_linear"][column].mean()
            ax.axhline(level, color="grey", linestyle="--", label="no hidden layer")
            ax.set(xscale="log", title=name, xlabel="hidden layers")
            ax.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
            ax.minorticks_off()
        axes[0].set_ylabel(f"{label}, mean ± sd")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.savefig(PAGE.with_suffix("") / f"{file}.png", dpi=100)


def main(arguments: list[str]) -> None:
    if arguments not in ([], ["--write"]):
        sys.exit(f"{' '.join(arguments)}: type nothing, or --write to rewrite tables and figures without measuring")
    if not arguments:
        measure()
    committed.write_tables(PAGE, tables())
    draw()


if __name__ == "__main__":
    main(sys.argv[1:])
