"""Our numbers beside published ones: rewrites the table and the figure of docs/results.md from the committed results.

python -m benchmarks.published      # benchmarks.report does it too, whenever it takes a new measurement
"""

from __future__ import annotations

import re
import statistics
from typing import NamedTuple

from arguments import PROJECT
from benchmarks import committed
from drawing import COLOURS, panels

PAGE = PROJECT / "docs" / "results.md"


class Published(NamedTuple):
    """What others have reached with the same kind of network on the same data, and what we set out to reach."""

    accuracy: float  # in % of the official test set
    source: str
    goal: float  # in %


PUBLISHED = {  # by config
    "mnist/linear": Published(88.0, "784-10, squared error, LeCun et al. 1998, from the MNIST page", 88.0),
    "mnist/shallow_mlp": Published(98.4, "784-800-10, cross entropy, Simard et al. 2003, from the MNIST page", 98.4),
    "mnist/deep_mlp": Published(98.94, "3x1024, dropout and max-norm, Srivastava et al. 2014, table 2", 98.94),
    "mnist/fast_cnn": Published(99.04, "one epoch, tuomaso/train_mnist_fast, mean of 30", 99.0),
    "mnist/resnet": Published(99.40, "highway network of 39 K parameters, Srivastava et al. 2015, table 1", 99.40),
    "mnist/resnet_best": Published(99.54, "highway network of 151 K parameters, Srivastava et al. 2015, table 1", 99.6),
    "mnist/lenet": Published(99.05, "LeNet-5, LeCun et al. 1998, from the MNIST page", 99.1),
    "mnist/vgg": Published(99.64, "other convolutions, augmented, mean of 1,500, cdeotte/MNIST-CNN-99.75", 99.4),
    "mnist/transformer": Published(98.9, "no Transformer; LSTM of 256 on rows, roatienza, as below", 98.9),
    "sequence/lstm": Published(98.9, "LSTM of 256 on rows, roatienza/Deep-Learning-Experiments", 99.1),
    "sequence/gru": Published(98.9, "LSTM of 256 on rows, roatienza/Deep-Learning-Experiments", 99.1),
    "mnist1d/linear": Published(32.0, "Greydanus & Kobak 2024, table 1", 32.0),
    "mnist1d/mlp": Published(68.0, "Greydanus & Kobak 2024, table 1", 68.0),
    "mnist1d/cnn": Published(94.0, "Greydanus & Kobak 2024, table 1 (people: 95.8)", 96.0),
    "mnist1d/gru": Published(91.0, "Greydanus & Kobak 2024, table 1", 93.0),
}


class Reached(NamedTuple):
    """What the runs of one config came to."""

    config: str
    accuracies: list[float]  # in %, a seed each
    seconds: float
    parameters: int
    hardware: str

    @property
    def mean(self) -> float:
        return statistics.mean(self.accuracies)

    @property
    def spread(self) -> float:
        return statistics.stdev(self.accuracies)


def reached() -> list[Reached]:
    """What every config with a published number has reached, as committed."""
    found = []
    for name in committed.measured():
        rows = committed.rows_of(name)
        for config in committed.SETS[name][0]:
            own = [row for row in rows if row["config"] == config.rpartition("/")[2].removesuffix(".yaml")]
            seconds = statistics.mean(float(row["seconds"]) for row in own)
            accuracies = [100 * float(row["test_acc"]) for row in own]
            path = config.removeprefix("configs/").removesuffix(".yaml")
            found.append(Reached(path, accuracies, seconds, int(own[0]["parameters"]), committed.hardware(name)))
    return [one for one in found if one.config in PUBLISHED]


def verdict(one: Reached) -> str:
    """In words, how it compares with the published number.

    Noise is two standard errors of our mean, and at least a digit of the 10,000 of the test set (1,000 of MNIST-1D).
    """
    digit = 0.1 if one.config.startswith("mnist1d") else 0.01
    noise = max(digit, 2 * one.spread / len(one.accuracies) ** 0.5)
    ahead = one.mean - PUBLISHED[one.config].accuracy
    if ahead > noise:
        return f"beats by {ahead:.2f}"
    return "matches within noise" if ahead >= -noise else f"short by {-ahead:.2f}"


def table(found: list[Reached]) -> str:
    """Every config beside the published number."""
    lines = [
        "| config | parameters | seconds | test accuracy, mean ± sd | published | verdict | goal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        accuracy, source, goal = PUBLISHED[one.config]
        is_met = "met" if round(one.mean, 2) >= goal else f"**missed by {goal - one.mean:.2f}**"
        lines.append(
            f"| {one.config} | {one.parameters:,} | {one.seconds:.0f} | {one.mean:.2f} ± {one.spread:.2f} % of "
            f"{len(one.accuracies)} seeds | {accuracy:g} %: {source} | {verdict(one)} | {goal:g} %: {is_met} |"
        )
    where = " and ".join(dict.fromkeys(one.hardware for one in found))
    return "\n".join([*lines, "", f"Seconds of training on {where}."])


def draw(found: list[Reached]) -> None:
    """Error against seconds of training, published numbers as hollow marks above or below ours."""
    figure, axes = panels(5, 5, 1, 2)
    for ax, part, title in zip(axes, (False, True), ("MNIST", "MNIST-1D"), strict=True):
        shown = [one for one in found if one.config.startswith("mnist1d") == part]
        for number, one in enumerate(shown):
            colour = COLOURS[number % len(COLOURS)]
            published = PUBLISHED[one.config].accuracy
            ax.plot([one.seconds] * 2, [100 - one.mean, 100 - published], color=colour, linewidth=1)
            ax.plot(one.seconds, 100 - published, "o", color=colour, markerfacecolor="white")
            ax.errorbar(one.seconds, 100 - one.mean, one.spread, fmt="o", color=colour)
            ax.annotate(
                one.config.rpartition("/")[2], (one.seconds, 100 - one.mean), (6, 4), textcoords="offset points"
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        ax.set_xlabel("seconds of training")
        ax.set_ylabel("test error, %")
        ax.set_title(f"{title}: ours filled, published hollow")
        seconds = [one.seconds for one in shown]
        ax.set_xlim(min(seconds) / 2, max(seconds) * 5)  # room for the last name
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "errors.png", dpi=100)


def page(text: str) -> str:
    """The page with the table in its place."""
    marks = re.compile(r"(?<=<!-- results: published -->\n).*?(?=<!-- end of results -->)", re.DOTALL)
    return marks.sub(lambda _: f"\n{table(reached())}\n\n", text)


def write() -> None:
    """Rewrites the page and its figure."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(reached())


if __name__ == "__main__":
    write()
