"""Measures the sets of benchmarks/sets.yaml, and rewrites the pages, the headers of the configs and the figures.

python -m benchmarks.report          # make results: rewrites all of them from the committed results, in seconds
python -m benchmarks.report quick    # make results SET=quick: trains one seed of each config and compares: half an hour
python -m benchmarks.report full     # make results SET=full: measures the sets of docs/results.md again: 2 hours
python -m benchmarks.report gpu      # make results-gpu: the same for the sets that need a CUDA GPU
python -m benchmarks.report depth    # make depth-study: the sets of docs/depth.md: 20 minutes
python -m benchmarks.report inside   # make inside: the sets of docs/inside.md, and its pictures: 10 minutes
python -m benchmarks.report mnist    # make results SET=mnist: the same for one set

Stop it at any time: the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import yaml
from matplotlib.ticker import LogLocator, NullFormatter
from scipy import stats

import compare
from benchmarks import committed, depth, families, inside
from benchmarks.committed import RESULTS
from callbacks.drawing import COLOURS, panels
from comparison.table import markdown
from engine.paths import CONFIGS, PROJECT, RUNS
from engine.results import Row

PAGE = PROJECT / "docs" / "results.md"
PUBLISHED: dict[str, Row] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
SETS: dict[str, Row] = yaml.safe_load(Path(__file__).with_name("sets.yaml").read_text(encoding="utf-8"))
# one config of each family, for README.md
FAMILIES = ["mnist/shallow_mlp", "mnist/deep_mlp", "mnist/resnet", "sequence/lstm", "text/gru", "speech/gru"]
DEPTHS = [f"mnist/{name}" for name in ("residual_mlp_10", "residual_mlp_100", "residual_mlp_1000", "plain_mlp_100")]
FORMATS = {"%": ".2f", "loss": ".2g", "nats": ".3f", "MSE": ".3f"}  # of scores, by unit; `loss` is a loss near 0
AXES = {"%": "test error, %", "loss": "test loss x 1,000", "nats": "test loss, nats", "MSE": "test squared error"}


class Result(NamedTuple):
    """The runs of one config, one per seed (and value of a varied option), and the published number next to them."""

    config: str
    runs: pd.DataFrame
    hardware: str

    @property
    def published(self) -> Row:
        return PUBLISHED[self.config]

    @property
    def unit(self) -> str:
        return str(self.published["unit"])

    @property
    def scores(self) -> pd.Series[float]:
        """The test loss, or the test accuracy in %, of each seed: the mean over all values if an option is varied."""
        by_seed = self.runs.groupby("seed")
        return 100 * by_seed.test_acc.mean() if self.unit == "%" else by_seed.test_loss.mean()

    @property
    def shown(self) -> str:
        return with_unit(self.config, committed.mean_sd(self.scores, FORMATS[self.unit]))

    def difference(self, value: float, runs: int = 1) -> tuple[str, str]:
        """Our mean minus another mean with its 95 % interval, and whether it is significant.

        The spread of the other runs is unknown and is taken to equal ours. The interval is a prediction interval by
        Student's t.
        """
        count, mean = len(self.scores), self.scores.mean() - value
        width = stats.t.ppf(0.975, count - 1) * self.scores.std() * math.sqrt(1 / count + 1 / runs)
        form = FORMATS[self.unit]
        return f"{mean:+{form}} ± {width:{form}}", "yes" if abs(mean) > width else "no"

    def goal(self) -> str:
        if "goal" not in self.published:
            return "-"
        goal, reached = self.published["goal"], float(f"{self.scores.mean():{FORMATS[self.unit]}}")  # as shown
        is_met = reached >= goal if self.unit == "%" else reached <= goal
        return f"{value_of(self.config, 'goal')}: {'met' if is_met else '**missed**'}"


def results(folders: dict[str, Path]) -> list[Result]:
    """The results of every config of some sets, given the folder of each set."""
    found = []
    for name, folder in folders.items():
        runs, configs = committed.rows(folder), SETS[name]["configs"]
        hardware = committed.machine(json.loads((folder / "environment.json").read_text(encoding="utf-8")))
        for config in configs:  # a single config has all runs, also if an option is varied
            own = runs if len(configs) == 1 else runs[runs.config == Path(config).stem]
            found.append(Result(config, own, hardware))
    return found


def committed_results() -> list[Result]:
    """The results of every set of docs/results.md that was measured."""
    names = [*sets_of("full"), *sets_of("gpu")]
    return results({name: RESULTS / name for name in names if (RESULTS / name).is_dir()})


def with_unit(config: str, score: str) -> str:
    """A score with its unit. Losses near 0 have none."""
    return f"{score} {PUBLISHED[config]['unit']}".removesuffix(" loss")


def value_of(config: str, name: str = "value") -> str:
    """The published number of a config, or its goal, with its unit."""
    row = PUBLISHED[config]
    return with_unit(config, f"{row[name]:g}") if name in row else "-"


def row(one: Result) -> Row:
    """What the tables show of a config."""
    difference, verdict = "-", "-"
    value = one.published.get("value")
    if value and one.unit == "loss":  # the spread of a much lower loss cannot be taken from ours
        difference = f"{one.scores.mean() / value:.2g} times as high"
    elif value:
        difference, verdict = one.difference(value, one.published.get("runs", 1))
    return {
        "config": one.config,
        "parameters": f"{one.runs.parameters.iloc[0]:,}",
        "seconds": f"{one.runs.seconds.mean():.0f}",
        "test, mean ± sd": one.shown,
        "seeds": len(one.scores),
        "published": value_of(one.config),
        "difference": difference,
        "significant?": verdict,
        "goal": one.goal(),
        "source": one.published.get("source", "none found"),
        "training loss": f"{one.runs.train_loss.mean():.4f}",
    }


def tables(found: list[Result]) -> dict[str, str]:
    """All tables, by the name of their marks on the pages."""
    rows = pd.DataFrame(map(row, found))
    depths = rows.loc[rows.config.isin(DEPTHS), ["config", "seconds", "training loss", "test, mean ± sd"]]
    unmeasured = [config for config in PUBLISHED if config not in set(rows.config)]
    goals = [[name, value_of(name), value_of(name, "goal"), PUBLISHED[name]["source"]] for name in unmeasured]
    source = f"\n\nSeconds of training on {' and '.join(dict.fromkeys(one.hardware for one in found))}."
    return {
        "published": markdown(rows.loc[:, :"source"]) + source,
        "short": markdown(rows.loc[rows.config.isin(FAMILIES), :"published"]) + source,
        "depth": markdown(depths),
        "gpu": markdown(pd.DataFrame(goals, columns=["config", "published", "goal", "source"])),
    }


def with_header(text: str, one: Result) -> str:
    """The text of a config with its result as a comment below the first two lines."""
    score, seeds = "accuracy" if one.unit == "%" else "loss", " ".join(map(str, one.scores.index))
    size, seconds = one.runs.parameters.iloc[0], one.runs.seconds.mean()
    num_values = len(one.runs) // len(one.scores)
    seeds += f", mean of {num_values} variations" if num_values > 1 else ""
    lines = [line for line in text.splitlines() if not line.startswith(("# test accuracy", "# test loss"))]
    result = f"# test {score} {one.shown} (seeds {seeds}), {size:,} parameters, {seconds:.0f} s on {one.hardware}"
    lines.insert(2, result)
    return "\n".join(lines) + "\n"


def panel(config: str) -> str:
    """The title of the panel of the figure that shows a config."""
    folder, _, name = config.partition("/")
    if folder not in ("mnist", "sequence"):
        return f"configs/{folder}"
    return "MNIST, dense layers" if "mlp" in name or name == "linear" else "MNIST, others"


def draw(found: list[Result]) -> None:
    """The error of each config, with the published error as a hollow mark."""
    lines = []
    for one in found:
        scale, best = {"%": (-1, 100), "loss": (1000, 0)}.get(one.unit, (1, 0))
        errors, published = best + scale * one.scores, best + scale * one.published.get("value", math.nan)
        names = panel(one.config), Path(one.config).name, AXES[one.unit]
        lines.append([*names, errors.mean(), errors.std(), published])
    columns = ["panel", "config", "axis", "mean", "sd", "published"]
    groups = pd.DataFrame(lines, columns=columns).groupby("panel", sort=False)
    sizes = list(groups.size())
    rows = [2 + max(sizes[first : first + 2]) for first in range(0, len(sizes), 2)]
    headline = "Test error of each config, ours and published: further left is better"
    figure, axes = panels(headline, 4.2, 0.28 * sum(rows) / len(rows), len(rows), 2, height_ratios=rows)
    for ax, (title, group) in zip(axes, groups, strict=False):
        own, places = group.sort_values("mean", kind="stable"), range(len(group))
        label = "ours: mean ± standard deviation over seeds"
        ax.errorbar(own["mean"], places, xerr=own.sd, fmt="o", color=COLOURS[0], label=label)
        hollow: Any = {"color": COLOURS[1], "markerfacecolor": "none", "markersize": 9}
        ax.plot(own.published, places, "o", label="published", **hollow)
        ax.set_yticks(places, own.config)
        ax.invert_yaxis()
        ax.set(title=title, xlabel=own.axis.iloc[0])
        low, high = ax.get_xlim()
        if high > 2 * low:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
    for ax in axes[len(sizes) :]:
        ax.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(PAGE.with_suffix("") / "errors.png", dpi=100)


def write() -> None:
    """Rewrites the pages, the headers of the configs and the figures from the committed results."""
    found = committed_results()
    for page in (PAGE, PROJECT / "README.md"):
        committed.write_tables(page, tables(found))
    for one in found:
        path = CONFIGS / f"{one.config}.yaml"
        path.write_text(with_header(path.read_text(encoding="utf-8"), one), encoding="utf-8")
    draw(found)
    for other in (depth, families, inside):
        committed.write_tables(other.PAGE, other.tables())
    depth.draw()
    families.draw()


def run(name: str, num_seeds: int) -> Path:
    """Runs or resumes a set at the current commit. Returns its folder in runs/."""
    folder = RUNS / f"results_{name.replace('/', '_')}_{committed.clean_commit()}"
    place, seeds = [folder.name, "--runs_dir", str(RUNS)], ["--seeds", *map(str, range(num_seeds))]
    configs = [f"configs/{config}.yaml" for config in SETS[name]["configs"]]
    start = ["--name", *place, *configs, *seeds, *SETS[name].get("flags", "").split()]
    if compare.main(["resume", *place, *seeds] if folder.is_dir() else start):
        sys.exit(f"not every run of {folder} finished; run the same command again to resume")
    if committed.rows(folder).data.str.endswith("-5k").any():
        sys.exit(f"{folder} used the 5,000-digit subset of MNIST; put the full data into DATA_DIR and delete {folder}")
    return folder


def measure(name: str) -> None:
    """Runs or resumes a set, and copies its results to the repository."""
    folder = run(name, SETS[name]["seeds"])
    (RESULTS / name).mkdir(parents=True, exist_ok=True)
    for file in ("results.csv", "differences.csv", "environment.json", "summary.md"):
        if (folder / file).exists():
            shutil.copy(folder / file, RESULTS / name)
    inside.copy_pictures(name, folder)


def quick() -> str:
    """Trains one seed of each config. Returns its score next to the one on the page."""
    on_page = {one.config: one for one in committed_results()}
    lines = []
    for one in results({name: run(name, num_seeds=1) for name in sets_of("full")}):
        known, now = on_page[one.config], one._replace(runs=one.runs[one.runs.seed == 0])
        lines.append([one.config, now.shown, known.shown, *known.difference(now.scores.mean())])
    columns = ["config", "seed 0, now", "docs/results.md", "docs/results.md - now", "significant?"]
    return markdown(pd.DataFrame(lines, columns=columns))


def sets_of(what: str) -> list[str]:
    """The sets that a command measures. Those of docs/results.md have no folder, except the ones for a GPU."""
    return [what] if what in SETS else [name for name in SETS if (name.rpartition("/")[0] or "full") == what]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    groups = ["quick", "full", "gpu", "depth", "families", "inside"]
    parser.add_argument("what", nargs="?", choices=[*groups, *SETS], help="without it: rewrite only")
    what = parser.parse_args(arguments).what
    if what == "quick":
        print(quick())
        return
    names = sets_of(what) if what else []
    if any(name.startswith("gpu/") for name in names) and not torch.cuda.is_available():
        sys.exit(f"{what} needs a CUDA GPU, and PyTorch finds none here; type another set")
    for name in names:
        measure(name)
    write()


if __name__ == "__main__":
    main(sys.argv[1:])
