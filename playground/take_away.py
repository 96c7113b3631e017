"""What a visitor takes away from the playground: a config of `train.py`, and curves for TensorBoard."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import TensorBoardLogger

from engine.cli import InputError, build
from engine.explain import read_config
from engine.paths import RUNS
from playground.network import Network
from playground.settings import CONSTANT, OPTIMIZERS, Settings, own_points

DEFAULT_EPOCHS = 10  # of a config, if nothing was trained
KINDS = {"DeepMLP": "plain", "ResidualMLP": "residual", "Linear": "plain"}
ALLOWED: dict[str, tuple[Any, ...]] = {  # values of options that the page does not have
    **{option: (value,) for option, value in CONSTANT.items()},
    "batch_norm": (False,),
    "noise": (0.0,),
    "label_smoothing": (0.0,),
    "val_size": (0,),
    "momentum": (0, 0.9),
    "accelerator": ("cpu",),
}


def run_name(network: Network) -> str:
    """A name for files and folders, such as `spiral_plain_8_8`."""
    return "_".join([network.settings.shape, network.kind, *map(str, network.layers)])


def take_away(network: Network, changes: list[str]) -> dict[str, str | None]:
    """The config with which `train.py fit` repeats the run of a network, its command, and one's own points as CSV.

    Comments in the config list the `changes` by hand, which it does not repeat.
    """
    settings = network.settings
    if settings.rule == "original":
        raise ValueError("rule='original' trains in the playground only; use rule='package' to take a config away")
    model_class, options = settings.model_options(network.kind, network.layers)
    epochs = network.epoch or settings.stop_epoch or DEFAULT_EPOCHS
    config = {
        "seed_everything": settings.seed,
        "model": {"class_path": model_class.__name__, "init_args": options},
        "data": {"class_path": "Plane", "init_args": settings.data_options("points.csv")},
        "trainer": {"max_epochs": epochs, "accelerator": "cpu"},  # as the page trains
    }
    name = f"{run_name(network)}.yaml"
    command = f"python train.py fit -c {name}"
    notes = [f"# Not in this config: {change}." for change in dict.fromkeys(changes)]
    text = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
    csv = settings.points_csv() if settings.points is not None else None
    return {"yaml": "\n".join([f"# {command}", *notes, text]), "name": name, "command": command, "csv": csv}


def from_config(path: str) -> Settings:
    """The settings of a config of `train.py` that trains a network of the page on `Plane`.

    Raises:
        InputError: If `train.py` would refuse the config, or the page does not have one of its options.
    """
    if not Path(path).expanduser().is_file():
        raise InputError(f"there is no config {path}; try configs/plane/spiral_deep.yaml")
    options = build(["fit", "-c", path, "--trainer.logger=false"]).options
    name, data_name = (options[part].class_path.split(".")[-1] for part in ("model", "data"))
    if name not in KINDS or data_name != "Plane":
        known = ", ".join(KINDS)
        raise InputError(f"{path} trains {name} on {data_name}; the playground opens configs of {known} on Plane")
    model, data = vars(options.model.init_args), vars(options.data.init_args)
    trainer = read_config(path).get("trainer", {})
    given = {**model, "val_size": data["val_size"], "accelerator": trainer.get("accelerator", "cpu")}
    for option, allowed in ALLOWED.items():
        if given.get(option, allowed[0]) not in allowed:
            hint = f"use {option}={' or '.join(map(str, allowed))}"
            raise InputError(f"{path} has {option}={given[option]}, which the page does not have; {hint}")
    if unknown := trainer.keys() - {"max_epochs", "accelerator"}:
        names = ", ".join(sorted(unknown))
        raise InputError(f"{path} sets {names} of the trainer, which the page does not have; leave it out")
    size, own = model.get("hidden_size", []), {field.name for field in fields(Settings)}
    values = {name: value for name, value in {**model, **data}.items() if name in own} | {
        "kind": KINDS[name],
        "layers": size if isinstance(size, list) else model["num_layers"] * [size],
        "optimizer": next(name for name, chosen in OPTIMIZERS.items() if chosen.items() <= model.items()),
        "regularization": "l2" if model["weight_decay"] else "none",
        "regularization_rate": model["weight_decay"],
        "seed": options.seed_everything,
        "stop_epoch": options.trainer.max_epochs,
    }
    if data["points_file"] is not None:
        values |= own_points(Path(data["points_file"]).expanduser().read_text())
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
