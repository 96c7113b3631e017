"""Does depth help? Seven depths at equal numbers of parameters, on three data sets; writes docs/depth.md.

python -m benchmarks.depth_study              # runs everything, then writes the page: under 20 minutes on 2 cores
python -m benchmarks.depth_study --resume     # goes on where that was stopped
python -m benchmarks.depth_study --write      # writes the page again from the committed results
"""

import shutil
import sys
from pathlib import Path

import compare
from arguments import PROJECT, RUNS
from comparison.inspection import git

RESULTS = PROJECT / "benchmarks" / "results" / "depth"
FILES = ("results.csv", "differences.csv", "environment.json", "summary.md")
DATA = ("mnist", "mnist1d", "spiral")
NETWORKS = ("relu", "residual", "tanh", "sigmoid")  # the first at depth 1 says how many parameters all have
DEPTHS = (1, 2, 3, 5, 10, 20, 50)
SEEDS = ("0", "1", "2", "3", "4")
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


def measure(resume: bool) -> None:
    """Runs all comparisons and takes their results.

    Raises:
        ValueError: there is something uncommitted, which the result could not name, or a run failed.
    """
    if git("status", "--porcelain") != "":
        raise ValueError("a result belongs to a commit; commit what `git status` shows, and measure again")
    for name, arguments in commands().items():
        folder = RUNS / f"depth_{name}"
        goes_on = resume and folder.is_dir()
        options = ["--name", folder.name, "--runs_dir", str(RUNS), "--jobs", "2", *(["--resume"] if goes_on else [])]
        if compare.main([*arguments, *options]):
            raise ValueError(f"{name} did not finish; go on with: python -m benchmarks.depth_study --resume")
        take(name, folder)


def take(name: str, folder: Path) -> None:
    (RESULTS / name).mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copy(folder / file, RESULTS / name / file)


def main(arguments: list[str]) -> int:
    try:
        measure(resume="--resume" in arguments)
    except ValueError as error:
        print(f"benchmarks.depth_study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
