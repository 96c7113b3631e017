"""Measures what README.md promises, and writes it there: the tables, and the headers of the configs.

python -m benchmarks.report                     # runs the comparisons again, about half an hour on 2 cores
python -m benchmarks.report mnist               # one of them
python -m benchmarks.report mnist runs/mnist    # takes one that was run already
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
from comparison.inspection import git
from results import Row

RESULTS = PROJECT / "benchmarks" / "results"
FILES = ("results.csv", "environment.json", "summary.md")
SETS = {  # by folder of benchmarks/results/: configs, and how many seeds each runs with
    "mnist": (
        [f"configs/mnist/{name}.yaml" for name in ("linear", "shallow_mlp", "deep_mlp", "resnet")]
        + [f"configs/sequence/{name}.yaml" for name in ("lstm", "gru")],
        3,
    ),
    "mnist_fast": (["configs/mnist/fast_cnn.yaml"], 5),
    "mnist_best": (["configs/mnist/resnet_best.yaml"], 3),
    "mnist1d": ([f"configs/mnist1d/{name}.yaml" for name in ("linear", "mlp", "cnn", "gru")], 10),
}


def between_marks(name: str) -> re.Pattern[str]:
    """Where README.md has the table of a set."""
    return re.compile(rf"(?<=<!-- results: {name} -->\n).*?(?=<!-- end of results -->)", re.DOTALL)


def rows_of(name: str) -> list[dict[str, str]]:
    with (RESULTS / name / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def committed() -> list[str]:
    """The sets that have been measured."""
    return [name for name in SETS if (RESULTS / name).is_dir()]


def environment(name: str) -> Row:
    described: Row = json.loads((RESULTS / name / "environment.json").read_text(encoding="utf-8"))
    return described


def hardware(name: str) -> str:
    """Where the committed results come from, in a phrase."""
    where = environment(name)
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"


def readme(text: str) -> str:
    """The text of README.md with the committed tables in their places."""
    for name in committed():
        text = between_marks(name).sub(quoted(name).replace("\\", r"\\"), text)
    return text


def quoted(name: str) -> str:
    """The first table of a committed comparison, and where it comes from."""
    table, _, _ = (RESULTS / name / "summary.md").read_text(encoding="utf-8").partition("\n\n")
    about = f"Test accuracy as mean ± standard deviation over seeds, on {hardware(name)}"
    return f"\n{table}\n\n{about}, PyTorch {environment(name)['torch']}.\n\n"


def headers() -> dict[Path, str]:
    """The line on its results that each config of a committed comparison carries below its command."""
    lines = {}
    for name in committed():
        for config in SETS[name][0]:
            runs = [row for row in rows_of(name) if row["config"] == Path(config).stem]
            accuracies = [100 * float(row["test_acc"]) for row in runs]
            seconds = statistics.mean(float(row["seconds"]) for row in runs)
            seeds = " ".join(row["seed"] for row in runs)
            lines[PROJECT / config] = (
                f"# test accuracy {statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f} % "
                f"(seeds {seeds}), "
                f"{int(runs[0]['parameters']):,} parameters, {seconds:.0f} s on {hardware(name)}"
            )
    return lines


def clean_commit() -> str:
    """The short name of the commit that a result belongs to.

    Raises:
        ValueError: there is something uncommitted, which the result could not name.
    """
    if git("status", "--porcelain") != "":
        raise ValueError("a result belongs to a commit; commit what `git status` shows, and measure again")
    return str(git("rev-parse", "--short", "HEAD"))


def measure(name: str) -> Path:
    """Runs every config of a set with its seeds, and returns the folder of the comparison.

    Raises:
        ValueError: there is something uncommitted, which the result could not name, or a run failed.
    """
    clean_commit()
    configs, num_seeds = SETS[name]
    folder = RUNS / f"results_{name}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    seeds = [str(seed) for seed in range(num_seeds)]
    paths = [str(PROJECT / config) for config in configs]
    if compare.main([*paths, "--seeds", *seeds, "--name", folder.name, "--runs_dir", str(folder.parent)]):
        raise ValueError(f"not all runs of {folder} finished; see the table above")
    return folder


def take(name: str, comparison: Path) -> None:
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
    (RESULTS / name).mkdir(parents=True, exist_ok=True)
    for file_name in FILES:
        shutil.copy(comparison / file_name, RESULTS / name / file_name)
    path = PROJECT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path, header in headers().items():
        phrase, command, *rest = path.read_text(encoding="utf-8").splitlines()
        body = [line for line in rest if not line.startswith("# test accuracy")]
        path.write_text("\n".join([phrase, command, header, *body]) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    names, folders = arguments[:1] or list(SETS), arguments[1:]
    try:
        for name in names:
            if name not in SETS:
                raise ValueError(f"there is no set {name}; type one of {', '.join(SETS)}")
        measured = [Path(folder) for folder in folders] or [measure(name) for name in names]
        for name, folder in zip(names, measured, strict=True):
            take(name, folder)
    except ValueError as error:
        print(f"benchmarks.report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
