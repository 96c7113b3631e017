"""What a visitor takes away from the playground: a config of `train.py`, and curves for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import yaml
from lightning.pytorch.loggers import TensorBoardLogger

from engine.cli import InputError, build
from engine.explain import read_config
from engine.paths import RUNS
from playground.network import Network
from playground.settings import CONSTANT, Settings, read_points

DEFAULT_EPOCHS = 10  # of a config, if nothing was trained


def run_name(network: Network) -> str:
    """A name for files and folders, such as `spiral_plain_8_8`."""
    return "_".join([network.settings.shape, network.kind, *map(str, network.layers)])


def take_away(network: Network, changes: list[str]) -> dict[str, str | None]:
    """The config with which `train.py fit` repeats the run of a network, its command, and one's own points as CSV.

    Args:
        network: The network.
        changes: What was changed by hand while it trained. A comment in the config lists it.

    Raises:
        ValueError: If the rule is `original`, which `train.py` does not have.
    """
    settings = network.settings
    name = f"{run_name(network)}.yaml"
    command = f"python train.py fit -c {name}"
    notes = [f"# Not in this config: {change}." for change in dict.fromkeys(changes)]
    text = to_config(settings, network.kind, network.layers, network.epoch or settings.stop_epoch or DEFAULT_EPOCHS)
    csv = settings.points_csv() if settings.points is not None else None
    return {"yaml": "\n".join([f"# {command}", *notes, text]), "name": name, "command": command, "csv": csv}


def to_config(settings: Settings, kind: str, layers: list[int], epochs: int) -> str:
    """A config of `train.py`, as YAML.

    Raises:
        ValueError: If the rule is `original`, which `train.py` does not have.
    """
    if settings.rule == "original":
        raise ValueError("rule='original' trains in the playground only; use rule='package' to take a config away")
    model_class, options = settings.model_options(kind, layers)
    config = {
        "seed_everything": settings.seed,
        "model": {"class_path": model_class.__name__, "init_args": options},
        "data": {"class_path": "Plane", "init_args": settings.data_options("points.csv")},
        "trainer": {"max_epochs": epochs, "accelerator": "cpu"},  # as the page trains
    }
    return yaml.safe_dump(config, sort_keys=False, default_flow_style=None)


def from_config(path: str) -> Settings:
    """The settings of a config of `train.py` that trains a network of the page on `Plane`.

    Raises:
        InputError: If `train.py` would refuse the config, or the page does not have one of its options.
    """
    if not Path(path).expanduser().is_file():
        raise InputError(f"there is no config {path}; try configs/plane/spiral_deep.yaml")
    options = build(["fit", "-c", path, "--trainer.logger=false"]).options
    name, data_name = (options[part].class_path.split(".")[-1] for part in ("model", "data"))
    kinds = {"DeepMLP": "plain", "ResidualMLP": "residual", "Linear": "plain"}
    if name not in kinds or data_name != "Plane":
        known = ", ".join(kinds)
        raise InputError(f"{path} trains {name} on {data_name}; the playground opens configs of {known} on Plane")
    model, data = vars(options.model.init_args), vars(options.data.init_args)
    fixed = {**CONSTANT, "batch_norm": False, "noise": 0.0, "label_smoothing": 0.0, "val_size": 0}
    given = {**model, "val_size": data["val_size"]}
    for option, wanted in fixed.items():
        if given.get(option, wanted) != wanted:
            value = given[option]
            raise InputError(f"{path} has {option}={value}, which the page does not have; use {option}={wanted}")
    trainer = read_config(path).get("trainer", {})
    known_options = {"max_epochs", *(["accelerator"] if trainer.get("accelerator") == "cpu" else [])}
    if unknown := trainer.keys() - known_options:
        names = ", ".join(sorted(unknown))
        raise InputError(f"{path} sets {names} of the trainer, which the page does not have; leave it out")
    momentum = model["momentum"] if model["optimizer"] == "sgd" else None
    optimizers = {0: "sgd", 0.9: "momentum", None: "adamw"}
    if momentum not in optimizers:
        raise InputError(f"{path} has momentum={momentum}, which the page does not have; use momentum=0 or 0.9")
    size = model.get("hidden_size", [])
    values = {
        "kind": kinds[name],
        "layers": size if isinstance(size, list) else model["num_layers"] * [size],
        "optimizer": optimizers[momentum],
        "lr": model["lr"],
        "regularization": "l2" if model["weight_decay"] else "none",
        "regularization_rate": model["weight_decay"],
        "seed": options.seed_everything,
        "stop_epoch": options.trainer.max_epochs,
    }
    values |= {key: model[key] for key in ("activation", "dropout") if key in model}
    shared = ("shape", "num_classes", "num_samples", "noise", "train_share", "points_seed", "batch_size", "features")
    values |= {key: data[key] for key in shared}
    if data["points_file"] is not None:
        values |= read_points(Path(data["points_file"]).expanduser().read_text())
    try:
        return Settings(**values)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def write_curves(network: Network) -> str:
    """Writes the curves of a network for TensorBoard, with epochs on the x axis. Returns their folder."""
    logger = TensorBoardLogger(RUNS / "playground", name=run_name(network))
    for epoch, metrics in enumerate(network.history):
        for split, (loss, accuracy) in zip(("train", "test"), metrics, strict=True):
            values = {f"{split}/loss": loss} | ({} if accuracy is None else {f"{split}/acc": accuracy})
            logger.log_metrics(values, epoch)
    logger.finalize("success")
    return logger.log_dir
