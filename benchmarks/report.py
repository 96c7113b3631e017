"""Measures what README.md and docs/results.md say, and writes it there, and into the headers of the configs.

python -m benchmarks.report                     # all seeds of all sets; goes on where it was stopped
python -m benchmarks.report --quick             # one seed of each and their table; a later command goes on with these
python -m benchmarks.report --gpu               # the sets that take a CUDA GPU, instead of all others
python -m benchmarks.report mnist               # one set
python -m benchmarks.report mnist runs/mnist    # takes one that was run already
"""

import shutil
import sys
from pathlib import Path

import torch

import compare
from benchmarks import committed, published
from comparison.inspection import git
from engine.paths import PROJECT, RUNS

FILES = ("results.csv", "environment.json", "summary.md")


def readme(text: str) -> str:
    """The text of README.md with the committed results in their place."""
    return committed.quoting(text, "short", published.short_table(published.reached()))


def headers() -> dict[Path, str]:
    """The line on its results that each config of a committed comparison carries below its command."""
    lines = {}
    for one in published.reached_in({name: committed.RESULTS / name for name in committed.measured()}):
        lines[PROJECT / "configs" / f"{one.config}.yaml"] = (
            f"# test {one.score} {one.shown} (seeds {' '.join(one.seeds)}), "
            f"{one.parameters:,} parameters, {one.seconds:.0f} s on {one.hardware}"
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


def measure(name: str, is_quick: bool = False) -> Path:
    """Runs every config of a set with its seeds, and returns the folder of the comparison.

    Goes on with one that this commit has begun, with all seeds that it was begun with.

    Args:
        name: of the set.
        is_quick: takes the first seed only.

    Raises:
        ValueError: there is something uncommitted, which the result could not name, or a run failed.
    """
    commit = clean_commit()
    configs, num_seeds, flags, needs_gpu = committed.SETS[name]
    if needs_gpu and not torch.cuda.is_available():
        raise ValueError(f"the set {name} takes a CUDA GPU, and PyTorch finds none here; type another set")
    folder = RUNS / f"results_{name}_{commit}"
    seeds = [str(seed) for seed in range(1 if is_quick else num_seeds)]
    arguments = [str(PROJECT / config) for config in configs]
    arguments += ["--seeds", *seeds, "--name", folder.name, "--runs_dir", str(folder.parent)]
    arguments += ["--resume"] if folder.is_dir() else []
    if compare.main([*arguments, "--", *flags] if flags else arguments):
        raise ValueError(f"not all runs of {folder} finished; see the table above")
    return folder


def take(name: str, comparison: Path) -> None:
    """Copies the comparison's files and rewrites what is made from them.

    Raises:
        ValueError: a comparison that is not fit to be quoted.
    """
    if not (comparison / "results.csv").is_file():
        raise ValueError(f"{comparison} holds no comparison that has ended; type the folder of one, as runs/mnist")
    if committed.environment(comparison)["dirty"] is not False:
        raise ValueError(f"{comparison} was made with uncommitted changes; commit, and compare again")
    rows = committed.rows_of(comparison)
    if any(row["status"] != "finished" or "-5k" in row["data"] for row in rows):
        raise ValueError(f"{comparison} has failed runs or a subset of the data; compare again")
    configs, num_seeds, *_ = committed.SETS[name]
    wanted = {(Path(config).stem, str(seed)) for config in configs for seed in range(num_seeds)}
    if {(row["config"], row["seed"]) for row in rows} != wanted:
        raise ValueError(f"{comparison} has other configs or seeds than the set {name}; type another folder or set")
    (committed.RESULTS / name).mkdir(parents=True, exist_ok=True)
    for file_name in FILES:
        shutil.copy(comparison / file_name, committed.RESULTS / name / file_name)
    path = PROJECT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path, header in headers().items():
        phrase, command, *rest = path.read_text(encoding="utf-8").splitlines()
        body = [line for line in rest if not line.startswith(("# test accuracy", "# test loss"))]
        path.write_text("\n".join([phrase, command, header, *body]) + "\n", encoding="utf-8")
    published.write()


def is_asked(name: str, is_quick: bool, is_gpu: bool) -> bool:
    """Whether the set is measured where none is named; those that are short already have no quick form."""
    return committed.SETS[name].needs_gpu == is_gpu and not (is_quick and name.startswith("short"))


def main(arguments: list[str]) -> int:
    is_quick, is_gpu = "--quick" in arguments, "--gpu" in arguments
    typed = [argument for argument in arguments if argument not in ("--quick", "--gpu")]
    names = typed[:1] or [name for name in committed.SETS if is_asked(name, is_quick, is_gpu)]
    folders = typed[1:]
    try:
        for name in names:
            if name not in committed.SETS:
                raise ValueError(f"there is no set {name}; type one of {', '.join(committed.SETS)}")
        if len(folders) > 1 or (typed and is_gpu):
            raise ValueError(f"{' '.join(arguments)} is too much; type one set and its folder, or --gpu alone")
        measured = [Path(folder) for folder in folders] or [measure(name, is_quick) for name in names]
        found = dict(zip(names, measured, strict=True))
        if is_quick:
            print(published.table(published.reached_in(found)))
        else:
            for name, folder in found.items():  # all at the end: what it writes is not yet committed
                take(name, folder)
    except ValueError as error:
        print(f"benchmarks.report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
