"""What has been measured and committed under benchmarks/results/: which configs, their rows, and the machine."""

import csv
import json

from arguments import PROJECT
from results import Row

RESULTS = PROJECT / "benchmarks" / "results"
SETS = {  # by folder of benchmarks/results/: configs, and how many seeds each runs with
    "mnist": (
        [f"configs/mnist/{name}.yaml" for name in ("linear", "shallow_mlp", "deep_mlp", "resnet")]
        + [f"configs/sequence/{name}.yaml" for name in ("lstm", "gru")],
        3,
    ),
    "mnist_fast": (["configs/mnist/fast_cnn.yaml"], 5),
    "mnist_best": (["configs/mnist/resnet_best.yaml"], 3),
    "classics": (
        [f"configs/mnist/{name}.yaml" for name in ("lenet", "alexnet", "vgg", "transformer")]
        + ["configs/sequence/tcn.yaml"],
        3,
    ),
    "mnist1d": ([f"configs/mnist1d/{name}.yaml" for name in ("linear", "mlp", "cnn", "gru")], 10),
}


def measured() -> list[str]:
    """The sets that have been measured."""
    return [name for name in SETS if (RESULTS / name).is_dir()]


def rows_of(name: str) -> list[dict[str, str]]:
    with (RESULTS / name / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def environment(name: str) -> Row:
    described: Row = json.loads((RESULTS / name / "environment.json").read_text(encoding="utf-8"))
    return described


def hardware(name: str) -> str:
    """Where the committed results come from, in a phrase."""
    where = environment(name)
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"
