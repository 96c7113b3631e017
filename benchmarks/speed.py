"""How fast is it? Runs every benchmark and writes what it found to runs/speed/, or to the repository's own page.

python -m benchmarks.speed                      # the short form: fewer rounds and sizes
python -m benchmarks.speed --full               # all of it, with nothing uncommitted; rewrites benchmarks/README.md
python -m benchmarks.speed --full overhead      # one of them
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks import against, choices, overhead, pipeline, processes, scaling, startup, time_to_accuracy
from benchmarks.committed import quoting
from benchmarks.measure import RESULTS, keep, kept, markdown, ratio
from benchmarks.report import clean_commit
from engine.paths import PROJECT, RUNS
from engine.results import Row

PAGES = (PROJECT / "benchmarks" / "README.md", PROJECT / "docs" / "scaling.md", PROJECT / "README.md")


class Benchmark(NamedTuple):
    """One of the programs: how it measures in full and in short, and its table."""

    full: Callable[[], Row]
    short: Callable[[], Row]
    table: Callable[[Row], str]


BENCHMARKS = {
    "overhead": Benchmark(overhead.measure, lambda: overhead.measure(2, (128,)), overhead.table),
    "pipeline": Benchmark(pipeline.measure, lambda: pipeline.measure(1), pipeline.table),
    "time_to_accuracy": Benchmark(
        time_to_accuracy.measure, lambda: time_to_accuracy.measure(1), time_to_accuracy.table
    ),
    "startup": Benchmark(startup.measure, lambda: startup.measure(2), startup.table),
    "scaling": Benchmark(scaling.measure, lambda: scaling.measure(1), scaling.table),
    "choices": Benchmark(
        choices.measure, lambda: choices.measure(1, ("mnist/shallow_mlp", "mnist/fast_cnn")), choices.table
    ),
    "processes": Benchmark(processes.measure, lambda: processes.measure(1), processes.table),
    "against": Benchmark(against.measure, lambda: against.measure(2), against.table),
}


def goals(found: dict[str, Row]) -> str:
    """Every goal beside what was measured for it, and whether it is met."""
    rows: list[list[str]] = []

    def goal(what: str, limit: float, value: float | None, is_least: bool = False) -> None:
        if value is None:
            rows.append([what, f"{'≥' if is_least else '≤'} {limit:g}", "not measured", ""])
            return
        is_met = value >= limit if is_least else value <= limit
        rows.append([what, f"{'≥' if is_least else '≤'} {limit:g}", f"{value:.3g}", "yes" if is_met else "**no**"])

    where = found["overhead"].get("device", "cpu")
    cells = {(cell["config"], cell["batch_size"]): cell for cell in found["overhead"].get("cells", [])}
    for config, batch_size in cells or overhead.CELLS:
        what = f"`fit` ÷ loop by hand, {config}, batch {batch_size}, {where}"
        limit = overhead.GOALS.get(config, overhead.DEFAULT_GOAL) if where == "cpu" else overhead.CUDA_GOAL
        cell = cells.get((config, batch_size))
        goal(what, limit, ratio(cell["as_shipped"], cell["by_hand"])["ratio"] if cell else None)
    if where == "cpu":
        goal("`fit` ÷ loop by hand, ResNet and LSTM, CUDA", overhead.CUDA_GOAL, None)
    loaders = found["pipeline"].get("loader")
    faster = ratio(loaders["0 workers"], loaders["ours"])["ratio"] if loaders else None
    goal("torchvision and DataLoader ÷ our loader, no workers", pipeline.GOAL, faster, is_least=True)
    seconds = found["time_to_accuracy"].get("seconds")
    for name, reached in time_to_accuracy.accuracies().items():
        accuracy = 100 * statistics.mean(reached) if reached else None
        goal(f"mean test accuracy in %, {name}", 100 * time_to_accuracy.TARGET, accuracy, is_least=True)
    factor = ratio(seconds["example"], seconds["ours"])["ratio"] if seconds else None
    goal("seconds to 99 %: example ÷ ours", time_to_accuracy.GOAL, factor, is_least=True)
    goal("the same, stretch", time_to_accuracy.STRETCH, factor, is_least=True)
    is_h100 = "H100" in found["time_to_accuracy"].get("device", "")
    goal(
        "seconds to 99 % on an H100",
        time_to_accuracy.H100_GOAL,
        statistics.median(seconds["ours"]) if seconds and is_h100 else None,
    )
    started = found["startup"].get("seconds", {})
    if started:
        imports = ratio(started["all imports of train.py"], started["import lightning"])["ratio"]
        goal("all imports of `train.py` ÷ `import lightning`", startup.GOAL, imports)
        for what in startup.ANSWERS:
            goal(f"seconds to the answer: {what}", startup.LONGEST, statistics.median(started[what]))
    for axis, points in found["scaling"].get("axes", {}).items():
        work, time, memory = (scaling.exponent(points, name) for name in ("work", "milliseconds", "mebibytes"))
        goal(f"exponent of time or memory less that of the work, {axis}", scaling.SLACK, max(time, memory) - work)
    epochs = found["against"].get("seconds", {})
    for name, other, limit in against.GOALS if epochs else ():
        both = epochs.get(name), epochs.get(other)
        value = ratio(*both)["ratio"] if all(both) else None
        goal(f"784-128-10, an epoch: {name} ÷ {other}", limit, value)
    return markdown(["goal", "limit", "measured", "met"], rows)


def summary(found: dict[str, Row]) -> str:
    """What README.md says: a few ratios."""
    cells = [cell for cell in found["overhead"]["cells"] if cell["batch_size"] >= 128]
    overheads = [ratio(cell["as_shipped"], cell["by_hand"])["ratio"] for cell in cells]
    loaders, seconds = found["pipeline"]["loader"], found["time_to_accuracy"]["seconds"]
    epochs = found["against"]["seconds"]
    usual = ratio(epochs["Lightning as usual, DataLoader"], epochs["ours, train.py fit"])["ratio"]
    loading = ratio(loaders["0 workers"], loaders["ours"])["ratio"]
    reaching = ratio(seconds["example"], seconds["ours"])["ratio"]
    rows = [
        ["a step of `train.py fit` ÷ by hand, batch 128 and 512", f"{min(overheads):.2f} to {max(overheads):.2f}"],
        ["an epoch of 784-128-10, Lightning as usual with a DataLoader ÷ ours", f"{usual:.2g}"],
        ["an epoch of batches from torchvision and a DataLoader ÷ ours", f"{loading:.0f}"],
        ["seconds to 99 % of MNIST, PyTorch's own example ÷ `configs/mnist/fast_cnn.yaml`", f"{reaching:.0f}"],
    ]
    return markdown(["on 2 cores", "ratio"], rows)


def page(text: str, found: dict[str, Row]) -> str:
    """The page with each table in its place."""
    tables = {"goals": goals(found)}
    if all(found[name] for name in ("overhead", "pipeline", "time_to_accuracy", "against")):
        tables["speed"] = summary(found)
    for name, benchmark in BENCHMARKS.items():
        if found[name]:
            where = found[name]["environment"]
            at = f"{where['cores']} cores of a shared {where['machine']}, PyTorch {where['torch']}"
            at += "" if found[name]["device"] == "cpu" else f", {found[name]['device']}"
            tables[name] = f"{benchmark.table(found[name])}\n\nOn {at}; commit {where['commit'][:7]}."
    for name, table in tables.items():
        text = quoting(text, name, table)
    return text


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all, if none is given")
    parser.add_argument("--full", action="store_true", help="measure everything and rewrite the page")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    names = options.names or list(BENCHMARKS)
    try:
        for name in names:
            if name not in BENCHMARKS:
                raise ValueError(f"there is no benchmark {name}; type one of {', '.join(BENCHMARKS)}")
        if options.full:
            clean_commit()
        for name in names:
            print(f"\n{name}", flush=True)
            found = BENCHMARKS[name].full() if options.full else BENCHMARKS[name].short()
            keep(name, found, RESULTS if options.full else RUNS / "speed")
    except ValueError as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 2
    if options.full:
        found = {name: kept(name) for name in BENCHMARKS}
        for path in PAGES:
            path.write_text(page(path.read_text(encoding="utf-8"), found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
