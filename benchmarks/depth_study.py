"""Does depth help? Seven depths at equal numbers of parameters, on three data sets; writes docs/depth.md.

python -m benchmarks.depth_study            # runs or goes on, then writes the page: under 20 minutes on 2 cores
python -m benchmarks.depth_study --write    # writes the page again from the committed results
"""

import csv
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

import compare
from benchmarks.report import clean_commit
from callbacks.drawing import COLOURS, MARKS
from comparison.table import compared, table
from engine.paths import PROJECT, RUNS

mpl.use("Agg")
from matplotlib import pyplot as plt

PAGE = PROJECT / "docs" / "depth.md"
TEMPLATE = Path(__file__).with_name("depth_page.md")
RESULTS = PROJECT / "benchmarks" / "results" / "depth"
FILES = ("results.csv", "differences.csv", "environment.json", "summary.md")
DATA = ("mnist", "mnist1d", "spiral")
NETWORKS = ("relu", "residual", "tanh", "sigmoid")  # the first at depth 1 says how many parameters all have
DEPTHS = (1, 2, 3, 5, 10, 20, 50)
SEEDS = ("0", "1", "2", "3", "4")
TITLES = {"mnist": "MNIST", "mnist1d": "MNIST-1D", "spiral": "the spiral"}
LABELS = {
    "relu": "plain ReLU",
    "residual": "residual ReLU",
    "tanh": "plain tanh",
    "sigmoid": "plain sigmoid",
}
CLASSES = {"mnist": 10, "mnist1d": 10, "spiral": 2}
OTHER_RATES = ("0.001", "0.003")  # that of the study is in its configs


def commands() -> dict[str, list[str]]:
    """The arguments of compare.py, by the name of the comparison."""
    config = "configs/depth/{}_{}.yaml".format
    depths = "model.num_layers=" + ",".join(map(str, DEPTHS))
    found = {}
    for data in DATA:
        networks = [config(data, network) for network in NETWORKS]
        found[data] = [*networks, "--vary", depths, "--match", "parameters", "--seeds", *SEEDS]
        # a plain network that fails at one learning rate may do better at another
        rates = ["--vary", f"model.num_layers=1,{DEPTHS[-1]}", "--vary", f"model.lr={','.join(OTHER_RATES)}"]
        found[f"{data}_rates"] = [config(data, "relu"), *rates, "--match", "parameters", "--seeds", *SEEDS[:3]]
    found["linear"] = [*(config(data, "linear") for data in DATA), "--seeds", *SEEDS]
    return found


def measure() -> None:
    """Runs all comparisons, or goes on with those of this commit, and then takes their results.

    Raises:
        ValueError: there is something uncommitted, which the results could not name, or a run failed.
    """
    commit = clean_commit()
    folders = {name: RUNS / f"depth_{name}_{commit}" for name in commands()}
    for name, arguments in commands().items():
        folder = folders[name]
        options = ["--name", folder.name, "--runs_dir", str(RUNS), "--jobs", "2"]
        if compare.main([*arguments, *options, *(["--resume"] if folder.is_dir() else [])]):
            raise ValueError(f"{name} did not finish; the same command goes on")
    for name, folder in folders.items():  # only now: what is written here would be uncommitted
        (RESULTS / name).mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copy(folder / file, RESULTS / name / file)


# What it came to.


class Cell(NamedTuple):
    """The runs of one network at one depth."""

    test: list[float]  # accuracies in per cent
    val: list[float]
    train_loss: list[float]

    def __str__(self) -> str:
        return f"{statistics.mean(self.test):.1f} ± {statistics.stdev(self.test):.1f}"


def rows_of(name: str) -> list[dict[str, str]]:
    with (RESULTS / name / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cells(name: str) -> dict[str, Cell]:
    """The committed results of a comparison, by config."""
    rows, found = rows_of(name), {}
    for config in dict.fromkeys(row["config"] for row in rows):
        own = [row for row in rows if row["config"] == config]
        test, val = ([100 * float(row[column]) for row in own] for column in ("test_acc", "val_acc"))
        found[config] = Cell(test, val, [float(row["train_loss"]) for row in own])
    return found


def grid(data: str) -> dict[str, dict[int, Cell]]:
    """The cells of a data set by network and depth."""
    found = cells(data)
    return {net: {depth: found[f"{data}_{net},num_layers={depth}"] for depth in DEPTHS} for net in NETWORKS}


def signed(points: float) -> str:
    text = f"{points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def verdict(first: Cell, second: Cell, what: str) -> str:
    """What may be said of the second against the first."""
    found = compared(first.test, second.test)
    word = f"not distinguishable at n={found.num_seeds}"
    if found.is_distinguishable:
        word = "better" if found.mean > 0 else "worse"
    mean, low, high = map(signed, found[2:5])
    return f"{mean} points against {what} (95 % interval {low} to {high}): **{word}**"


def is_told_apart(first: Cell, second: Cell) -> int:
    """1 if the second is better, -1 if it is worse, 0 if the seeds do not tell."""
    found = compared(first.test, second.test)
    return 0 if not found.is_distinguishable else 1 if found.mean > 0 else -1


def best_depth(by_depth: dict[int, Cell]) -> int:
    """The depth that is best on validation."""
    return max(by_depth, key=lambda depth: statistics.mean(by_depth[depth].val))


def in_short() -> list[str]:
    """The findings over all data sets, counted."""
    grids = {data: grid(data) for data in DATA}
    deepest = DEPTHS[-1]

    def on(signs: list[int], sign: int) -> str:
        names = [TITLES[data] for data, one in zip(DATA, signs, strict=True) if one == sign]
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "none of the three"

    gains = [is_told_apart(own["relu"][1], own["relu"][best_depth(own["relu"])]) for own in grids.values()]
    plain = [is_told_apart(own["relu"][1], own["relu"][deepest]) for own in grids.values()]
    residual = [is_told_apart(own["relu"][deepest], own["residual"][deepest]) for own in grids.values()]
    against_one = [is_told_apart(own["relu"][1], own["residual"][deepest]) for own in grids.values()]
    lines = [
        "Where depth helps: the plain ReLU network that is best on validation beats one hidden layer on "
        f"{on(gains, 1)}.",
        f"Where it does not: the seeds cannot tell the two apart on {on(gains, 0)}.",
        f"Where it harms: {deepest} plain ReLU layers are worse than one on {on(plain, -1)}.",
        f"What mends it: {deepest} residual layers beat {deepest} plain ones on {on(residual, 1)}. "
        f"They are better than one hidden layer on {on(against_one, 1)}, worse on {on(against_one, -1)}.",
    ]
    for net in ("tanh", "sigmoid"):
        firsts = {data: guesses_from(own[net], data) for data, own in grids.items()}
        found = [f"{depth} layers on {TITLES[data]}" for data, depth in firsts.items() if depth is not None]
        if found:
            lines.append(f"{LABELS[net].capitalize()} layers hardly do better than guessing from {', '.join(found)}.")
    return [f"- {line}" for line in lines]


def guesses_from(by_depth: dict[int, Cell], data: str) -> int | None:
    """The depth from which on every network is at most 3 % of the way from guessing to perfect."""
    chance = 100 / CLASSES[data]
    good = [depth for depth in DEPTHS if statistics.mean(by_depth[depth].test) > chance + 0.03 * (100 - chance)]
    return next((depth for depth in DEPTHS if depth > max(good, default=0)), None)


def section(data: str) -> str:
    """The table of a data set, and what it shows."""
    own, deepest = grid(data), DEPTHS[-1]
    lines = [["depth", *(LABELS[net] for net in NETWORKS)]]
    lines += [[str(depth), *(str(own[net][depth]) for net in NETWORKS)] for depth in DEPTHS]
    one, best = own["relu"][1], best_depth(own["relu"])
    plain, residual = (own[net][deepest] for net in ("relu", "residual"))
    linear = cells("linear")[f"{data}_linear"]
    said = [
        f"No hidden layer: {linear} %. One hidden layer of ReLU units: {verdict(linear, one, 'none')}.",
        f"Plain ReLU, {best} layers, the best on validation: {verdict(one, own['relu'][best], 'one layer')}."
        if best != 1
        else "Of the plain ReLU networks the one with a single hidden layer is best on validation.",
        f"{deepest} plain ReLU layers: {verdict(one, plain, 'one layer')}.",
        f"{deepest} residual layers: {verdict(plain, residual, f'{deepest} plain ones')}; "
        f"{verdict(one, residual, 'one layer')}.",
    ]
    for net in ("tanh", "sigmoid"):
        top, first = best_depth(own[net]), guesses_from(own[net], data)
        rest = "" if first is None else f"; hardly better than guessing from {first} layers on"
        said.append(f"{LABELS[net].capitalize()} is best with {top} layer{'s' * (top != 1)}, {own[net][top]} %{rest}.")
    sizes = sizes_of(data)
    return (
        f"## {TITLES[data][0].upper()}{TITLES[data][1:]}\n\n"
        f"Test accuracy in per cent, mean ± standard deviation over {len(SEEDS)} seeds; {sizes} parameters each.\n\n"
        f"{table(lines)}\n\n" + "\n".join(f"- {one}" for one in said)
    )


def sizes_of(data: str) -> str:
    counts = [int(row["parameters"]) for row in rows_of(data)]
    return f"{min(counts):,} to {max(counts):,}"


def titles() -> list[str]:
    """What the data are called in the rows: MNIST-5k where it stood in for MNIST."""
    return list(dict.fromkeys(row["data"] for data in DATA for row in rows_of(data)))


def rates() -> str:
    """What other learning rates make of the plain ReLU network."""
    lines = [["data", "depth", *(f"lr {rate}" for rate in OTHER_RATES), "lr 0.01, as above"]]
    for data in DATA:
        other, own = cells(f"{data}_rates"), grid(data)["relu"]
        for depth in (1, DEPTHS[-1]):
            found = [str(other[f"num_layers={depth},lr={rate}"]) for rate in OTHER_RATES]
            lines.append([TITLES[data], str(depth), *found, str(own[depth])])
    return f"{table(lines)}\n\n{at_best_rates()}"


def at_best_rates() -> str:
    """One layer and the deepest network, each at the rate that is best for it on validation."""
    said = []
    for data in DATA:
        other, own, best = cells(f"{data}_rates"), grid(data)["relu"], []
        for depth in (1, DEPTHS[-1]):
            tried = [own[depth], *(other[f"num_layers={depth},lr={rate}"] for rate in OTHER_RATES)]
            best.append(max(tried, key=lambda cell: statistics.mean(cell.val)))
        said.append(f"{best[0]} against {best[1]} % on {TITLES[data]}")
    return (
        "Each at the one of the three rates that is best for it on validation, "
        f"1 against {DEPTHS[-1]} plain layers reach {', '.join(said)}."
    )


def draw() -> None:
    """The figures of the page: accuracy and training loss against depth, a panel a data set."""
    for file, label in (("test_accuracy", "test accuracy, %"), ("train_loss", "training loss, last epoch")):
        figure, panels = plt.subplots(1, len(DATA), figsize=(13, 4.6), layout="constrained")
        for axes, data in zip(panels, DATA, strict=True):
            for number, (net, by_depth) in enumerate(grid(data).items()):
                values: Any = [cell.test if file == "test_accuracy" else cell.train_loss for cell in by_depth.values()]
                means, spreads = [statistics.mean(one) for one in values], [statistics.stdev(one) for one in values]
                axes.errorbar(
                    DEPTHS, means, spreads, color=COLOURS[number], marker=MARKS[number], capsize=3, label=LABELS[net]
                )
            linear = cells("linear")[f"{data}_linear"]
            level = statistics.mean(linear.test if file == "test_accuracy" else linear.train_loss)
            axes.axhline(level, color="grey", linestyle="--", label="no hidden layer")
            axes.set_xscale("log")
            axes.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
            axes.set_title(TITLES[data])
            axes.set_xlabel("hidden layers")
        panels[0].set_ylabel(f"{label}, mean ± sd")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        PAGE.with_suffix("").mkdir(exist_ok=True)
        figure.savefig(PAGE.with_suffix("") / f"{file}.png", dpi=100)
        plt.close(figure)


def page() -> str:
    """docs/depth.md, all of whose numbers and verdicts come from the committed results."""
    where = json.loads((RESULTS / DATA[0] / "environment.json").read_text(encoding="utf-8"))
    where |= {"commit": str(where["commit"])[:7], "data": ", ".join(titles())}
    typed = "\n".join(f"    .venv/bin/python compare.py {' '.join(arguments)}" for arguments in commands().values())
    return TEMPLATE.read_text(encoding="utf-8").format(
        short="\n".join(in_short()),
        sections="\n\n".join(section(data) for data in DATA),
        rates=rates(),
        commands=typed,
        seeds=len(SEEDS),
        depths=", ".join(map(str, DEPTHS)),
        **where,
    )


def write() -> None:
    draw()
    PAGE.write_text(page(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    try:
        if "--write" not in arguments:
            measure()
        write()
    except ValueError as error:
        print(f"benchmarks.depth_study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
