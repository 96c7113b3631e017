"""Does depth help? Seven depths at equal numbers of parameters, on three data sets, for docs/depth.md.

python -m benchmarks.depth_study            # make depth-study: runs or resumes, then does the next: 20 minutes
python -m benchmarks.depth_study --write    # rewrites tables and figures from the committed results
"""

from __future__ import annotations

import argparse
import shlex

import pandas as pd

from benchmarks import committed
from benchmarks.committed import markdown
from callbacks.drawing import COLOURS, MARKS, headline, panels
from comparison.table import difference
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "depth.md"
RESULTS = committed.RESULTS / "depth"
DATA = {"mnist": "MNIST", "mnist1d": "MNIST-1D", "spiral": "spiral"}
NETWORKS = {"relu": "plain ReLU", "residual": "residual ReLU", "tanh": "plain tanh", "sigmoid": "plain sigmoid"}
DEPTHS = (1, 2, 3, 5, 10, 20, 50)
DEEPEST = DEPTHS[-1]
SEEDS = ("0", "1", "2", "3", "4")
RATE = 0.01  # learning rate of the configs
OTHER_RATES = (0.001, 0.003)


def commands() -> dict[str, list[str]]:
    """The arguments of compare.py, by the name of the comparison."""
    depths = f"model.num_layers={','.join(map(str, DEPTHS))}"
    grid = ["--vary", f"model.num_layers=1,{DEEPEST}", "--vary", f"model.lr={','.join(map(str, OTHER_RATES))}"]
    found = {}
    for data in DATA:
        configs = [f"configs/depth/{data}_{network}.yaml" for network in NETWORKS]
        found[data] = [*configs, "--vary", depths, "--match", "parameters", "--seeds", *SEEDS]
        found[f"{data}_rates"] = [configs[0], *grid, "--match", "parameters", "--seeds", *SEEDS[:3]]
    found["linear"] = [*(f"configs/depth/{data}_linear.yaml" for data in DATA), "--seeds", *SEEDS]
    return found


def committed_runs() -> pd.DataFrame:
    """All runs, with accuracies in %. Networks are the keys of `NETWORKS`, and "none" without hidden layers."""
    runs = pd.concat([committed.rows(RESULTS / name) for name in commands()])
    return runs.assign(
        data=runs["data"].replace({"MNIST1D": "MNIST-1D", "Plane-spiral": "spiral"}),
        network=runs["activation"].mask(runs["model"] == "ResidualMLP", "residual"),
        test=100 * runs["test_acc"],
        val=100 * runs["val_acc"],
    )


def select(runs: pd.DataFrame, network: str, depth: int, rate: float = RATE) -> pd.DataFrame:
    """The runs of one network, one per seed."""
    return runs[(runs["network"] == network) & (runs["depth"] == depth) & (runs["lr"] == rate)]


def mean_sd(values: pd.Series[float]) -> str:
    return f"{values.mean():.1f} ± {values.std():.1f}"


def accuracies(runs: pd.DataFrame) -> str:
    """Test accuracy by depth and network."""
    cells = runs[runs["lr"] == RATE].pivot_table("test", "depth", "network", aggfunc=mean_sd)
    cells.loc[0] = cells.at[0, "none"]  # the same linear network in all columns
    return markdown(cells[list(NETWORKS)].rename(columns=NETWORKS).rename_axis("hidden layers").reset_index())


def best_on_validation(runs: pd.DataFrame, column: str) -> float:
    """The depth or learning rate with the highest mean accuracy on validation."""
    return runs.groupby(column)["val"].mean().idxmax()


def differences(runs: pd.DataFrame) -> str:
    """The differences that the page discusses."""
    plain = runs[(runs["network"] == "relu") & (runs["lr"] == RATE)]
    best = int(best_on_validation(plain, "depth"))
    one, deep = select(runs, "relu", 1), select(runs, "relu", DEEPEST)
    residual = select(runs, "residual", DEEPEST)
    pairs = {
        "1 ReLU layer - no hidden layer": (select(runs, "none", 0), one),
        f"{best} plain ReLU layers, best on validation - 1": (one, select(runs, "relu", best)),
        f"{DEEPEST} plain ReLU layers - 1": (one, deep),
        f"{DEEPEST} residual layers - {DEEPEST} plain": (deep, residual),
        f"{DEEPEST} residual layers - 1": (one, residual),
    }
    return difference_table(pairs)


def difference_table(pairs: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> str:
    lines = []
    for name, (first, second) in pairs.items():
        found = difference(first["test"], second["test"])
        interval, verdict = f"{found.low:+z.1f} to {found.high:+z.1f}", "yes" if found.is_significant else "no"
        lines.append([name, f"{found.mean:+z.1f}", interval, verdict])
    columns = ["test accuracy", "difference in points", "95 % interval", "significant?"]
    return markdown(pd.DataFrame(lines, columns=columns))


def rates(runs: pd.DataFrame) -> str:
    """The plain ReLU network at all learning rates."""
    plain = runs[(runs["network"] == "relu") & runs["depth"].isin([1, DEEPEST])]
    cells = plain.pivot_table("test", ["data", "depth"], "lr", aggfunc=mean_sd)
    return markdown(cells.add_prefix("lr ").rename_axis(["data", "hidden layers"]).reset_index())


def best_rates(runs: pd.DataFrame) -> str:
    """One layer and the deepest plain ReLU network, each at the learning rate that is best on validation."""
    pairs = {}
    for data in DATA.values():
        plain = runs[(runs["data"] == data) & (runs["network"] == "relu")]
        rate, deep_rate = (best_on_validation(plain[plain["depth"] == depth], "lr") for depth in (1, DEEPEST))
        pair = select(plain, "relu", 1, rate), select(plain, "relu", DEEPEST, deep_rate)
        pairs[f"{data}: {DEEPEST} layers at lr {deep_rate} - 1 at lr {rate}"] = pair
    return difference_table(pairs)


def tables() -> dict[str, str]:
    """All tables of the page, by the name of their marks."""
    runs = committed_runs()
    by_data = {name: runs[runs["data"] == data] for name, data in DATA.items()}
    return {
        **{name: accuracies(own) for name, own in by_data.items()},
        **{f"{name} differences": differences(own) for name, own in by_data.items()},
        "rates": rates(runs),
        "best rates": best_rates(runs),
        "commands": "\n".join(f"    .venv/bin/python compare.py {shlex.join(typed)}" for typed in commands().values()),
    }


def draw() -> None:
    """The figures of the page: test accuracy and training loss against depth, one panel per data set."""
    runs = committed_runs()
    for column, file, label, finding in (
        ("test", "test_accuracy", "test accuracy, %", "Deep plain networks lose accuracy, residual ones least"),
        ("train_loss", "train_loss", "training loss, last epoch", "Deep plain networks do not fit the training data"),
    ):
        figure, axes = panels(2.9, 4.0, 1, len(DATA))
        headline(figure, finding)
        for ax, data in zip(axes, DATA.values(), strict=True):
            own = runs[(runs["data"] == data) & (runs["lr"] == RATE)]
            points = own.groupby(["network", "depth"])[column].agg(["mean", "std"])
            for (network, name), colour, mark in zip(NETWORKS.items(), COLOURS, MARKS, strict=False):
                line = points.loc[network]
                ax.errorbar(line.index, line["mean"], line["std"], label=name, color=colour, marker=mark, capsize=3)
            ax.axhline(points.at[("none", 0), "mean"], color="grey", linestyle="--", label="no hidden layer")
            ax.set(xscale="log", title=data, xlabel="hidden layers")
            ax.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
            ax.minorticks_off()
        axes[0].set_ylabel(label)
        handles, labels = axes[0].get_legend_handles_labels()
        title = f"mean, with bars of one standard deviation over {len(SEEDS)} seeds"
        figure.legend(handles, labels, title=title, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.savefig(PAGE.with_suffix("") / f"{file}.png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depth_study")
    parser.add_argument("--write", action="store_true", help="rewrite tables and figures; measure nothing")
    if not parser.parse_args().write:
        comparisons = {name: ["--jobs", "2", *typed] for name, typed in commands().items()}
        committed.run_and_copy("depth", comparisons, RESULTS)
    committed.write_tables(PAGE, tables())
    draw()


if __name__ == "__main__":
    main()
