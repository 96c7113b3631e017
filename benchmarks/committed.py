"""What has been measured and committed under benchmarks/results/: which configs, their rows, and the machine."""

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

from engine.paths import PROJECT
from engine.results import Row

RESULTS = PROJECT / "benchmarks" / "results"


class Set(NamedTuple):
    """Configs that are measured together."""

    configs: list[str]
    num_seeds: int
    flags: tuple[str, ...] = ()  # for train.py
    needs_gpu: bool = False


def in_folder(folder: str, *names: str) -> list[str]:
    return [f"configs/{folder}/{name}.yaml" for name in names]


FOR_A_GPU = {  # a comparison each, of one task
    "digits": in_folder(
        "gpu", "pixels_gru", "pixels_relu", "permuted_lstm", "permuted_tcn", "permuted_transformer", "resnet_large"
    ),
    "vgg": in_folder("gpu", "vgg_large"),
    "adding": in_folder("gpu", "adding_600"),
    "copying": in_folder("gpu", "copy_1000"),
}
SHORT = (  # so many steps as a CPU has the patience for
    "--data.batch_size=32",
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=200",
    "--trainer.limit_val_batches=10",
    "--trainer.limit_test_batches=20",
)
SETS = {  # by folder of benchmarks/results/
    "mnist": Set(
        in_folder("mnist", "linear", "shallow_mlp", "deep_mlp", "resnet", "resnet_plain")
        + in_folder("sequence", "lstm", "gru"),
        3,
    ),
    "mnist_fast": Set(in_folder("mnist", "fast_cnn"), 5),
    "mnist_best": Set(in_folder("mnist", "resnet_best"), 3),
    "mlp": Set(
        in_folder(
            "mnist",
            "shallow_mlp_60000",
            "shallow_mlp_best",
            "deep_mlp_best",
            "residual_mlp_10",
            "residual_mlp_100",
            "residual_mlp_1000",
            "plain_mlp_100",
        ),
        3,
    ),
    "classics": Set(in_folder("mnist", "lenet", "alexnet", "vgg", "transformer") + in_folder("sequence", "tcn"), 3),
    "adding": Set(in_folder("memory", "adding_gru", "adding_lstm", "adding_tcn"), 3),
    "copying": Set(in_folder("memory", "copy_transformer"), 3),
    "mnist1d": Set(in_folder("mnist1d", "linear", "mlp", "cnn", "gru"), 10),
    **{f"gpu_{task}": Set(configs, 3, needs_gpu=True) for task, configs in FOR_A_GPU.items()},
    # but adding, which takes a thousand steps to begin
    **{f"short_{task}": Set(FOR_A_GPU[task], 1, SHORT) for task in ("digits", "vgg", "copying")},
}


def measured() -> list[str]:
    """The sets that have been measured."""
    return [name for name in SETS if (RESULTS / name).is_dir()]


def rows_of(folder: Path) -> list[dict[str, str]]:
    """A row a run of the comparison in this folder."""
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def environment(folder: Path) -> Row:
    described: Row = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    return described


def quoting(text: str, name: str, content: str) -> str:
    """The text of a page with this content between its marks of this name, if it has them."""
    marks = re.compile(rf"(?<=<!-- results: {name} -->\n).*?(?=<!-- end of results -->)", re.DOTALL)
    return marks.sub(lambda _: f"\n{content}\n\n", text)


def hardware(folder: Path) -> str:
    """Where the results in this folder come from, in a phrase."""
    where = environment(folder)
    cores = f"{where['cores']} cores of a shared {where['machine']}"
    return cores if where["device"] == "cpu" else f"{where['device']}, {cores}"
