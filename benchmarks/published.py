"""Our numbers beside published ones: rewrites the table and the figure of docs/results.md from the committed results.

python -m benchmarks.published      # benchmarks.report does it too, whenever it takes a new measurement
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.ticker import LogLocator

from benchmarks import committed
from callbacks.drawing import COLOURS, name_marks, panels
from engine.paths import PROJECT

PAGE = PROJECT / "docs" / "results.md"


class Published(NamedTuple):
    """What others have reached with the same kind of network on the same data, and what we set out to reach."""

    value: float | None  # accuracy in % of the official test set, or loss
    source: str
    goal: float | None
    score: Literal["accuracy", "loss"] = "accuracy"
    num_runs: int = 1  # whose mean it is


PANELS = ("MNIST, dense layers", "MNIST, others", "MNIST-1D", "memory tasks")
NONE = "none found"
ROWS = "LSTM of 256 on rows, about 98.9 in roatienza/Deep-Learning-Experiments"
MNIST1D = "Greydanus & Kobak 2024, table 1"
WRNN = "wRNN, Keller et al. 2023, table 1, where 0.05 counts as solved; always answering 1 has 0.167"
BAI = "Bai et al. 2018, table 1"
TRINH = "Trinh et al. 2018, from Gu et al. 2022, table 12"
PUBLISHED = {  # by config
    "mnist/linear": Published(88.0, "784-10, squared error, LeCun et al. 1998, from the MNIST page", 88.0),
    "mnist/shallow_mlp": Published(98.04, "784-100-10, on validation samples, Nielsen 2015, chapter 3", 98.4),
    "mnist/shallow_mlp_60000": Published(98.4, "784-800-10, Simard et al. 2003, from the MNIST page", 98.4),
    "mnist/shallow_mlp_best": Published(98.9, "784-800-10, affine, Simard et al. 2003, from the MNIST page", 98.9),
    "mnist/deep_mlp": Published(98.4, "512-512 with dropout, 20 epochs, Keras's example of an MLP", 98.4),
    "mnist/deep_mlp_best": Published(
        98.94, "3x1024, dropout and max-norm, Srivastava et al. 2014, table 2, as quoted by others", 98.94
    ),
    "mnist/residual_mlp_10": Published(None, NONE, None),
    "mnist/residual_mlp_100": Published(None, NONE, 97.8),
    "mnist/residual_mlp_1000": Published(None, NONE, None),
    "mnist/plain_mlp_100": Published(None, NONE, None),
    "mnist/fast_cnn": Published(99.04, "one epoch, tuomaso/train_mnist_fast, mean of 30", 99.0, num_runs=30),
    "mnist/resnet": Published(
        99.40, "highway network of 39 K parameters, mean of 5, Srivastava et al. 2015, table 1", 99.40, num_runs=5
    ),
    "mnist/resnet_plain": Published(None, NONE, None),
    "mnist/resnet_best": Published(
        99.54, "highway network of 151 K parameters, mean of 5, Srivastava et al. 2015, table 1", 99.6, num_runs=5
    ),
    "mnist/lenet": Published(99.05, "LeNet-5, LeCun et al. 1998, from the MNIST page", 99.1),
    "mnist/alexnet": Published(None, NONE, None),
    "mnist/vgg": Published(
        99.64, "other convolutions, augmented, mean of 1,500, cdeotte/MNIST-CNN-99.75", 99.4, num_runs=1500
    ),
    "mnist/transformer": Published(None, NONE, 98.9),
    "sequence/lstm": Published(98.9, ROWS, 99.1),
    "sequence/gru": Published(98.9, ROWS, 99.1),
    "sequence/tcn": Published(None, NONE, None),
    "memory/adding_gru": Published(2e-5, WRNN, 0.001, "loss"),
    "memory/adding_lstm": Published(2e-5, WRNN, 0.001, "loss"),
    "memory/adding_tcn": Published(2e-5, WRNN, 0.001, "loss"),
    "memory/copy_transformer": Published(None, f"{NONE}; knowing only when to answer has 0.173", 0.0173, "loss"),
    "mnist1d/linear": Published(32.0, f"410 parameters, {MNIST1D}", 32.0),
    "mnist1d/mlp": Published(68.0, f"15,210 parameters, {MNIST1D}", 68.0),
    "mnist1d/cnn": Published(94.0, f"5,210 parameters, {MNIST1D} (people: 95.8)", 96.0),
    "mnist1d/gru": Published(91.0, f"5,134 parameters, {MNIST1D}", 93.0),
    "gpu/pixels_gru": Published(99.1, "GRU of 256, Keller et al. 2023, table 2", 99.1),
    "gpu/pixels_relu": Published(97.0, "100 units, Le et al. 2015, from Cooijmans et al. 2016, table 1", 97.0),
    "gpu/permuted_lstm": Published(92.9, "LSTM of 256, Keller et al. 2023, table 2", 92.9),
    "gpu/permuted_tcn": Published(97.2, BAI, 97.2),
    "gpu/permuted_transformer": Published(97.9, TRINH, 97.9),
    "gpu/adding_600": Published(5.3e-5, f"GRU, {BAI}; their LSTM had 0.164", 0.001, "loss"),
    "gpu/copy_1000": Published(
        3.5e-5,
        f"{BAI}, whose input gives the sign eleven times; knowing only when to answer has 0.0204",
        0.00204,
        "loss",
    ),
    "gpu/vgg_large": Published(
        99.64, "other convolutions, mean of 1,500, cdeotte/MNIST-CNN-99.75", 99.66, num_runs=1500
    ),
    "gpu/resnet_large": Published(
        99.64, "other convolutions, mean of 1,500, cdeotte/MNIST-CNN-99.75", 99.75, num_runs=1500
    ),
}


class Reached(NamedTuple):
    """What the runs of one config came to."""

    config: str
    score: str  # accuracy or loss
    values: list[float]  # of the score, in % if it is the accuracy, a seed each
    train_loss: float
    seconds: float
    parameters: int
    seeds: list[str]
    hardware: str

    @property
    def mean(self) -> float:
        return statistics.mean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation, if there are several seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def shown(self) -> str:
        form, unit = ".2f", " %"
        if self.score == "loss":
            form, unit = f".{1 - math.floor(math.log10(self.mean))}f", ""  # two digits of the mean
        spread = "" if self.spread is None else f" ± {self.spread:{form}}"
        return f"{self.mean:{form}}{spread}{unit}"


def reached_by(name: str, folder: Path) -> list[Reached]:
    """What every config of a set has reached, by the results in this folder."""
    found = []
    rows = committed.rows_of(folder)
    for path in committed.SETS[name].configs:
        own = [row for row in rows if row["config"] == Path(path).stem]
        config = path.removeprefix("configs/").removesuffix(".yaml")
        score = PUBLISHED[config].score
        values = [float(row["test_loss"]) if score == "loss" else 100 * float(row["test_acc"]) for row in own]
        found.append(
            Reached(
                config,
                score,
                values,
                statistics.mean(float(row["train_loss"]) for row in own),
                statistics.mean(float(row["seconds"]) for row in own),
                int(own[0]["parameters"]),
                [row["seed"] for row in own],
                committed.hardware(folder),
            )
        )
    return found


def reached() -> list[Reached]:
    """What every config has reached that was measured on a CPU and ran to its end."""
    folders = {name: committed.RESULTS / name for name in committed.measured() if not name.startswith("gpu")}
    return reached_in(folders)


def reached_in(folders: dict[str, Path]) -> list[Reached]:
    """What every config of these sets has reached, but for those that were cut short."""
    return [one for name, folder in folders.items() if not name.startswith("short") for one in reached_by(name, folder)]


def formatted(value: float | None, score: str) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if score == "loss" else f"{value:g} %"


def verdict(one: Reached) -> str:
    """In words, how it compares with the published number.

    Accuracies that differ by noise match: by two standard errors of the difference, with a published run as noisy as
    one of ours, and at least by a digit of the 10,000 of the test set (1,000 of MNIST-1D). Losses stand as a ratio.
    """
    published, num_runs = PUBLISHED[one.config].value, PUBLISHED[one.config].num_runs
    if published is None:
        return "-"
    if one.score == "loss":
        is_lower = one.mean < published
        return f"{published / one.mean:.2g} times lower" if is_lower else f"{one.mean / published:.2g} times higher"
    if one.spread is None:
        return "one seed"
    noise = 2 * one.spread * (1 / len(one.values) + 1 / num_runs) ** 0.5
    noise = max(noise, 0.1 if one.config.startswith("mnist1d") else 0.01)
    ahead = one.mean - published
    if abs(ahead) <= noise:
        return "matches within noise"
    return f"beats by {ahead:.2f}" if ahead > 0 else f"short by {-ahead:.2f}"


def goal(one: Reached) -> str:
    """What we set out to reach, and whether we did."""
    aim = PUBLISHED[one.config].goal
    if aim is None:
        return "-"
    is_met = one.mean <= aim if one.score == "loss" else round(one.mean, 2) >= aim
    missed = f"{one.mean - aim:.2g}" if one.score == "loss" else f"{aim - one.mean:.2f}"
    return f"{formatted(aim, one.score)}: {'met' if is_met else f'**missed by {missed}**'}"


def seconds_on(found: list[Reached]) -> str:
    return f"Seconds of training on {' and '.join(dict.fromkeys(one.hardware for one in found))}."


def table(found: list[Reached]) -> str:
    """Every config beside the published number."""
    lines = [
        "| config | parameters | seconds | test, mean ± sd | seeds | published | verdict | goal |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        published = PUBLISHED[one.config]
        number = "" if published.value is None else f"{formatted(published.value, one.score)}: "
        lines.append(
            f"| {one.config} | {one.parameters:,} | {one.seconds:.0f} | {one.shown} | {len(one.seeds)} | "
            f"{number}{published.source} | {verdict(one)} | {goal(one)} |"
        )
    return "\n".join([*lines, "", seconds_on(found)])


def short_table(found: list[Reached]) -> str:
    """The same without sources and goals."""
    lines = [
        "| config | parameters | seconds | test, mean ± sd | seeds | published |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        published = formatted(PUBLISHED[one.config].value, one.score)
        lines.append(
            f"| {one.config} | {one.parameters:,} | {one.seconds:.0f} | {one.shown} | {len(one.seeds)} | {published} |"
        )
    return "\n".join([*lines, "", seconds_on(found)])


def depth_table(found: list[Reached]) -> str:
    """What depth costs a residual MLP, and a plain one."""
    by_config = {one.config: one for one in found}
    if "mnist/residual_mlp_10" not in by_config:
        return "not measured"
    shallow = by_config["mnist/residual_mlp_10"]
    lines = [
        "| config | seconds | training loss | ÷ that of 10 layers | test accuracy | points to 10 layers |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("residual_mlp_10", "residual_mlp_100", "residual_mlp_1000", "plain_mlp_100"):
        one = by_config[f"mnist/{name}"]
        lines.append(
            f"| {one.config} | {one.seconds:.0f} | {one.train_loss:.4f} | {one.train_loss / shallow.train_loss:.2f} | "
            f"{one.shown} | {one.mean - shallow.mean:+.2f} |"
        )
    return "\n".join(lines)


def gpu_table() -> str:
    """What is meant for a GPU: goals, and how far a CPU comes in a few hundred steps."""
    found: dict[str, dict[str, Reached]] = {"gpu": {}, "short": {}}
    for name in committed.measured():
        kind, _, _ = name.partition("_")
        if kind in found:
            found[kind] |= {one.config: one for one in reached_by(name, committed.RESULTS / name)}
    lines = [
        "| config | published | goal | on a GPU | a short run on a CPU: training loss, test |",
        "| --- | --- | --- | --- | --- |",
    ]
    for config, (value, source, aim, score, _) in PUBLISHED.items():
        if config.startswith("gpu/"):
            full, reached_goal, short = "not measured", formatted(aim, score), "none"
            if config in found["gpu"]:
                one = found["gpu"][config]
                full = f"{one.shown}, {len(one.seeds)} seeds, {one.seconds:.0f} s on {one.hardware}"
                reached_goal = goal(one)
            if config in found["short"]:
                one = found["short"][config]
                short = f"{one.train_loss:.3g}, {formatted(float(f'{one.mean:.3g}'), score)}"
            lines.append(f"| {config} | {formatted(value, score)}: {source} | {reached_goal} | {full} | {short} |")
    return "\n".join(lines)


def draw(found: list[Reached]) -> None:
    """Error against seconds of training, published numbers as hollow marks above or below ours."""
    titles = [title for title in PANELS if title in map(part_of, found)]
    figure, axes = panels(8, 6, math.ceil(len(titles) / 2), min(2, len(titles)))
    for ax, title in zip(axes, titles, strict=False):
        shown = [one for one in found if part_of(one) == title]
        for number, one in enumerate(shown):
            colour = COLOURS[number % len(COLOURS)]
            ours, published = error(one.mean, one.score), PUBLISHED[one.config].value
            if published is not None:
                ax.plot([one.seconds] * 2, [ours, error(published, one.score)], ":", color=colour, linewidth=1)
                ax.plot(
                    one.seconds, error(published, one.score), "o", color=colour, markerfacecolor="none", markersize=9
                )
            ax.errorbar(one.seconds, ours, one.spread, fmt="o", color=colour)
        ax.set_xscale("log")
        ax.set_yscale("log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if axis is ax.xaxis else (1, 2, 3, 5, 7)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        ax.set_xlabel("seconds of training")
        ax.set_ylabel("test loss" if title == "memory tasks" else "test error, %")
        ax.set_title(f"{title}: ours filled, published hollow")
        seconds = [one.seconds for one in shown]
        ax.set_xlim(min(seconds) / 1.6, max(seconds) * 2)  # room for names
        name_marks(
            figure, ax, {one.config.rpartition("/")[2]: (one.seconds, error(one.mean, one.score)) for one in shown}
        )
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "errors.png", dpi=100)


def part_of(one: Reached) -> str:
    """The panel that shows it."""
    folder, _, name = one.config.partition("/")
    digits = "MNIST, dense layers" if "mlp" in name or name == "linear" else "MNIST, others"
    return {"memory": "memory tasks", "mnist1d": "MNIST-1D"}.get(folder, digits)


def error(value: float, score: str) -> float:
    return value if score == "loss" else 100 - value


def page(text: str) -> str:
    """The page with the tables in their places."""
    found = reached()
    for name, content in (("published", table(found)), ("depth", depth_table(found)), ("gpu", gpu_table())):
        text = committed.quoting(text, name, content)
    return text


def write() -> None:
    """Rewrites the page and its figure."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(reached())


if __name__ == "__main__":
    write()
