"""Our results next to published ones: the tables of docs/results.md and README.md, and the headers of the configs.

python -m benchmarks.report          # make results: rewrites all of them from the committed results, in seconds
python -m benchmarks.report quick    # make results SET=quick: trains one seed of each config and compares: half an hour
python -m benchmarks.report full     # make results SET=full: measures every set again and rewrites: 2 hours
python -m benchmarks.report gpu      # make results-gpu: the same for the sets that need a CUDA GPU
python -m benchmarks.report mnist    # make results SET=mnist: the same for one set of benchmarks/sets.yaml

Stop it at any time: the same command resumes.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import yaml
from matplotlib.ticker import LogLocator, NullFormatter
from scipy import stats

from benchmarks import committed
from benchmarks.committed import RESULTS, markdown
from callbacks.drawing import COLOURS, headline, panels
from engine.paths import CONFIGS, PROJECT
from engine.results import Row

PAGE = PROJECT / "docs" / "results.md"
PUBLISHED: dict[str, Row] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
SETS: dict[str, Row] = yaml.safe_load(Path(__file__).with_name("sets.yaml").read_text(encoding="utf-8"))
# one config of each family, for README.md
FAMILIES = [
    "mnist/shallow_mlp",
    "mnist/deep_mlp",
    "mnist/resnet",
    "sequence/lstm",
    "text/gru",
    "speech/gru",
]
DEPTHS = [f"mnist/{name}" for name in ("residual_mlp_10", "residual_mlp_100", "residual_mlp_1000", "plain_mlp_100")]


class Result(NamedTuple):
    """The runs of one config, one per seed (and value of a varied option), and the published number next to them."""

    config: str
    runs: pd.DataFrame
    hardware: str

    @property
    def published(self) -> Row:
        return PUBLISHED[self.config]

    @property
    def is_loss(self) -> bool:
        return self.published["unit"] != "%"

    @property
    def is_tiny(self) -> bool:
        """Whether it is a loss near 0, whose size says more than its difference from another."""
        return self.published["unit"] == "loss"

    @property
    def scores(self) -> pd.Series[float]:
        """The test loss, or the test accuracy in %, of each seed: the mean over all values if an option is varied."""
        by_seed = self.runs.groupby("seed")
        return by_seed.test_loss.mean() if self.is_loss else 100 * by_seed.test_acc.mean()

    def error(self, score: Any) -> Any:
        """The error in % of an accuracy, or a loss, in thousandths if it is tiny. Takes numbers and series."""
        return 1000 * score if self.is_tiny else score if self.is_loss else 100 - score

    @property
    def shown(self) -> str:
        spread = f" ± {self.number(self.scores.std())}" if len(self.scores) > 1 else ""
        return f"{self.number(self.scores.mean())}{spread}{unit(self.config)}"

    def number(self, value: float, sign: str = "") -> str:
        """A score as the tables show it. Tiny losses have the digits that give their mean two significant ones."""
        digits = 1 - math.floor(math.log10(self.scores.mean())) if self.is_tiny else 3 if self.is_loss else 2
        return f"{value:{sign}.{digits}f}"

    def difference(self, value: float, runs: int = 1) -> tuple[float, float]:
        """Our mean minus another mean, and the half width of its 95 % interval.

        The spread of the other runs is unknown and is taken to equal ours. The interval is a prediction interval by
        Student's t.
        """
        count = len(self.scores)
        width = stats.t.ppf(0.975, count - 1) * self.scores.std() * math.sqrt(1 / count + 1 / runs)
        return self.scores.mean() - value, width

    def goal(self) -> str:
        if "goal" not in self.published:
            return "-"
        goal, mean = self.published["goal"], self.scores.mean()
        is_met = mean <= goal if self.is_tiny else round(mean, 3) <= goal if self.is_loss else round(mean, 2) >= goal
        return f"{value_of(self.config, 'goal')}: {'met' if is_met else '**missed**'}"


def results(folders: dict[str, Path]) -> list[Result]:
    """The results of every config of some sets, given the folder of each set."""
    found = []
    for name, folder in folders.items():
        runs, hardware = committed.rows(folder), committed.hardware(folder)
        is_varied = "--vary" in SETS[name].get("flags", [])  # then the set has one config, and a run per value
        for path in SETS[name]["configs"]:
            found.append(Result(path, runs if is_varied else runs[runs.config == Path(path).stem], hardware))
    return found


def committed_results() -> list[Result]:
    """The results of every set that was measured."""
    return results({name: RESULTS / name for name in SETS if (RESULTS / name).is_dir()})


def unit(config: str) -> str:
    """The unit behind a score. Tiny losses have none."""
    return "" if PUBLISHED[config]["unit"] == "loss" else f" {PUBLISHED[config]['unit']}"


def value_of(config: str, name: str = "value") -> str:
    """The published number of a config, or its goal, with its unit."""
    row = PUBLISHED[config]
    return f"{row[name]:g}{unit(config)}" if name in row else "-"


def reference(config: str) -> str:
    """The published number of a config and where it is from."""
    return f"{value_of(config)}: {PUBLISHED[config]['source']}" if "value" in PUBLISHED[config] else "none found"


def row(one: Result) -> Row:
    """What the tables show of a config."""
    difference, verdict = "-", "-"
    value = one.published.get("value")
    if value and one.is_tiny:  # the spread of a much lower loss cannot be taken from ours
        difference = f"{one.scores.mean() / value:.2g} times as high"
    elif value:
        mean, width = one.difference(value, one.published.get("runs", 1))
        difference = f"{one.number(mean, '+')} ± {one.number(width)}"
        verdict = "yes" if abs(mean) > width else "no"
    return {
        "config": one.config,
        "parameters": f"{one.runs.parameters.iloc[0]:,}",
        "seconds": f"{one.runs.seconds.mean():.0f}",
        "training loss": f"{one.runs.train_loss.mean():.4f}",
        "test, mean ± sd": one.shown,
        "seeds": len(one.scores),
        "published": reference(one.config),
        "difference": difference,
        "significant?": verdict,
        "goal": one.goal(),
    }


def tables(found: list[Result]) -> dict[str, str]:
    """All tables, by the name of their marks on the pages."""
    rows = pd.DataFrame(map(row, found))
    costs = ["config", "parameters", "seconds", "test, mean ± sd", "seeds"]
    short = rows[rows.config.isin(FAMILIES)].assign(published=lambda shown: shown.config.map(value_of))
    depths = rows[rows.config.isin(DEPTHS)].rename(columns={"test, mean ± sd": "test accuracy"})
    unmeasured = [config for config in PUBLISHED if config not in set(rows.config)]
    goals = [[config, reference(config), value_of(config, "goal")] for config in unmeasured]
    source = f"\n\nSeconds of training on {' and '.join(dict.fromkeys(one.hardware for one in found))}."
    return {
        "published": markdown(rows[[*costs, "published", "difference", "significant?", "goal"]]) + source,
        "short": markdown(short[[*costs, "published"]]) + source,
        "depth": markdown(depths[["config", "seconds", "training loss", "test accuracy"]]),
        "gpu": markdown(pd.DataFrame(goals, columns=["config", "published", "goal"])),
    }


def with_header(text: str, one: Result) -> str:
    """The text of a config with its result as a comment below the first two lines."""
    score, seeds = "loss" if one.is_loss else "accuracy", " ".join(map(str, one.scores.index))
    size, seconds = one.runs.parameters.iloc[0], one.runs.seconds.mean()
    num_values = len(one.runs) // len(one.scores)
    seeds += f", mean of {num_values} variations" if num_values > 1 else ""
    result = f"# test {score} {one.shown} (seeds {seeds}), {size:,} parameters, {seconds:.0f} s on {one.hardware}"
    phrase, command, *rest = text.splitlines()
    body = [line for line in rest if not line.startswith(("# test accuracy", "# test loss"))]
    return "\n".join([phrase, command, result, *body]) + "\n"


PANELS = {"speech": "spoken digits", "text": "Tiny Shakespeare", "series": "ETTh1"}
UNITS = {"memory tasks": "test loss x 1,000", "Tiny Shakespeare": "test loss, nats", "ETTh1": "test squared error"}


def panel(config: str) -> str:
    """The title of the panel of the figure that shows a config."""
    folder, _, name = config.partition("/")
    digits = "MNIST, dense layers" if "mlp" in name or name == "linear" else "MNIST, others"
    return {"memory": "memory tasks", "mnist1d": "MNIST-1D", **PANELS}.get(folder, digits)


def draw(found: list[Result]) -> None:
    """The error of each config, with the published error as a hollow mark."""
    titles = list(dict.fromkeys(panel(one.config) for one in found))
    sizes = [sum(panel(one.config) == title for one in found) for title in titles]
    rows = [2 + max(sizes[first : first + 2]) for first in range(0, len(sizes), 2)]
    figure, axes = panels(4.2, 0.28 * sum(rows) / len(rows), len(rows), 2, height_ratios=rows)
    headline(figure, "Test error of each config, ours and published: further left is better")
    for ax, title in zip(axes, titles, strict=False):
        shown = [one for one in found if panel(one.config) == title]
        shown.sort(key=lambda one: one.error(one.scores.mean()))
        for number, one in enumerate(shown):
            errors = one.error(one.scores)
            ours = ax.errorbar(errors.mean(), number, xerr=errors.std(), fmt="o", color=COLOURS[0])
            if "value" in one.published:
                value = one.error(one.published["value"])
                (published,) = ax.plot(value, number, "o", color=COLOURS[1], markerfacecolor="none", markersize=9)
        ax.set_yticks(range(len(shown)), [Path(one.config).name for one in shown])
        ax.invert_yaxis()
        ax.set(title=title, xlabel=UNITS.get(title, "test error, %"))
        low, high = ax.get_xlim()
        if high > 2 * low:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
    for ax in axes[len(titles) :]:
        ax.set_axis_off()
    labels = ["ours: mean ± standard deviation over seeds", "published"]
    marks: list[Any] = [ours, published]
    figure.legend(marks, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(PAGE.with_suffix("") / "errors.png", dpi=100)


def write() -> None:
    """Rewrites the pages, the headers of the configs and the figure from the committed results."""
    found = committed_results()
    for page in (PAGE, PROJECT / "README.md"):
        committed.write_tables(page, tables(found))
    for one in found:
        path = CONFIGS / f"{one.config}.yaml"
        path.write_text(with_header(path.read_text(encoding="utf-8"), one), encoding="utf-8")
    draw(found)


def commands(names: list[str], seeds: int | None = None) -> dict[str, list[str]]:
    """The arguments of compare.py, by the name of the set.

    Args:
        names: Names of sets.
        seeds: Number of seeds per config, or None for the number that the set has.
    """
    found = {}
    for name in names:
        configs = [f"configs/{config}.yaml" for config in SETS[name]["configs"]]
        numbers = map(str, range(seeds or SETS[name]["seeds"]))
        found[name] = [*configs, "--seeds", *numbers, *SETS[name].get("flags", [])]
    return found


def quick() -> str:
    """Trains one seed of each config. Returns its score next to the one on the page."""
    on_page = {one.config: one for one in committed_results()}
    folders = {name: committed.run(f"results_{name}", typed) for name, typed in commands(sets_of("quick"), 1).items()}
    lines = []
    for one in results(folders):
        if one.config not in on_page:
            continue
        known, score = on_page[one.config], one.scores.iloc[0]
        mean, width = known.difference(score)
        change, verdict = f"{known.number(-mean, '+')} ± {known.number(width)}", "yes" if abs(mean) > width else "no"
        lines.append([one.config, known.number(score), known.shown, change, verdict])
    columns = ["config", "seed 0, now", "docs/results.md", "difference", "significant?"]
    return markdown(pd.DataFrame(lines, columns=columns))


def sets_of(what: str) -> list[str]:
    """The sets that a command measures. The sets that need a GPU are named `gpu_...`."""
    return [what] if what in SETS else [name for name in SETS if name.startswith("gpu_") == (what == "gpu")]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description="Measures, and rewrites the pages."
    )
    parser.add_argument("what", nargs="?", choices=["quick", "full", "gpu", *SETS], help="without it: rewrite only")
    what = parser.parse_args(arguments).what
    if what == "quick":
        print(quick())
        return
    names = sets_of(what) if what else []
    if any(name.startswith("gpu_") for name in names) and not torch.cuda.is_available():
        sys.exit(f"{what} needs a CUDA GPU, and PyTorch finds none here; type another set")
    committed.run_and_copy("results", commands(names), RESULTS)
    write()


if __name__ == "__main__":
    main(sys.argv[1:])
