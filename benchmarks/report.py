"""Measures what README.md promises, and writes it there: the table, and the headers of the configs.

python -m benchmarks.report               # runs the comparison again, about 10 minutes on 2 cores
python -m benchmarks.report runs/mnist    # takes one that was run already
"""

import csv
import json
import re
import shutil
import statistics
import sys
from datetime import datetime
from pathlib import Path

import compare
from arguments import PROJECT, RUNS

RESULTS = PROJECT / "benchmarks" / "results" / "mnist"
FILES = ("results.csv", "environment.json", "summary.md")
BETWEEN_MARKS = re.compile(r"(?<=<!-- results -->\n).*(?=<!-- end of results -->)", re.DOTALL)


def hardware() -> str:
    """Where the committed results come from, in a phrase."""
    where = json.loads((RESULTS / "environment.json").read_text(encoding="utf-8"))
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"


def readme(text: str) -> str:
    """The text of README.md with the committed table in its place."""
    where = json.loads((RESULTS / "environment.json").read_text(encoding="utf-8"))
    about = f"Test accuracy as mean ± standard deviation over seeds, on {hardware()}, PyTorch {where['torch']}."
    table = (RESULTS / "summary.md").read_text(encoding="utf-8")
    return BETWEEN_MARKS.sub(lambda _: f"\n{table}\n{about}\n\n", text)


def headers() -> dict[str, str]:
    """The line on its results that each config of the committed comparison carries below its command."""
    with (RESULTS / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = {}
    for config in dict.fromkeys(row["config"] for row in rows):
        runs = [row for row in rows if row["config"] == config]
        accuracies = [100 * float(row["test_acc"]) for row in runs]
        seconds = statistics.mean(float(row["seconds"]) for row in runs)
        seeds = " ".join(row["seed"] for row in runs)
        lines[config] = (
            f"# test accuracy {statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f} % "
            f"(seeds {seeds}), "
            f"{int(runs[0]['parameters']):,} parameters, {seconds:.0f} s on {hardware()}"
        )
    return lines


def config_paths() -> dict[str, Path]:
    """The configs of the committed comparison, by name."""
    return {name: next((PROJECT / "configs").glob(f"*/{name}.yaml")) for name in headers()}


def measure() -> Path:
    """Runs every config that has a committed result, with seeds 0 to 2, and returns the folder of the comparison.

    Raises:
        ValueError: there is something uncommitted, which the result could not name, or a run failed.
    """
    if compare.git("status", "--porcelain") != "":
        raise ValueError("a result belongs to a commit; commit what `git status` shows, and measure again")
    name = f"results_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    if compare.compare([str(path) for path in config_paths().values()], [0, 1, 2], name, RUNS, []):
        raise ValueError(f"not all runs of {RUNS / name} finished; see the table above")
    return RUNS / name


def take(comparison: Path) -> None:
    """Copies the comparison's files and rewrites what is made from them.

    Raises:
        ValueError: a comparison that is not fit to be quoted.
    """
    with (comparison / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if json.loads((comparison / "environment.json").read_text(encoding="utf-8"))["dirty"] is not False:
        raise ValueError(f"{comparison} was made with uncommitted changes; commit, and compare again")
    if (
        any(row["status"] != "finished" or "-5k" in row["data"] for row in rows)
        or len({row["seed"] for row in rows}) < 3
    ):
        raise ValueError(f"{comparison} has failed runs, a subset of the data or fewer than 3 seeds; compare again")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(comparison / name, RESULTS / name)
    path = PROJECT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, path in config_paths().items():
        phrase, command, *rest = path.read_text(encoding="utf-8").splitlines()
        body = [line for line in rest if not line.startswith("# test accuracy")]
        path.write_text("\n".join([phrase, command, headers()[name], *body]) + "\n", encoding="utf-8")


def main() -> int:
    try:
        take(Path(sys.argv[1]) if len(sys.argv) > 1 else measure())
    except ValueError as error:
        print(f"benchmarks.report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
