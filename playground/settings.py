"""The settings of the playground: their limits, and the options of data and networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

import models
from datamodules import Plane, csv_file
from models import BaseModel

POINTS = "points"  # the shape of one's own points
MAX_LAYERS, MAX_UNITS, MAX_POINTS, MAX_EPOCHS = 50, 16, 2000, 20_000
KINDS: dict[str, type[BaseModel]] = {"plain": models.DeepMLP, "residual": models.ResidualMLP}
LIMITS: dict[str, tuple[float, float]] = {
    "num_classes": (2, csv_file.MOST_CLASSES),
    "num_samples": (10, MAX_POINTS),
    "noise": (0, 0.8),
    "train_share": (0.1, 0.9),
    "points_seed": (0, 2**31 - 1),
    "batch_size": (1, 256),
    "lr": (1e-5, 10),
    "regularization_rate": (0, 10),
    "dropout": (0, 0.9),
    "seed": (0, 2**31 - 1),
    "stop_epoch": (1, MAX_EPOCHS),
    "stop_loss": (0, math.inf),
}
ORIGINAL = {"kind": "plain", "second_kind": "plain", "optimizer": "sgd", "dropout": 0.0}  # all that the rule has
LIVE = ("lr", "stop_epoch", "stop_loss")  # do not reset the networks
OPTIMIZERS: dict[str, dict[str, Any]] = {  # options of BaseModel
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adamw": {"optimizer": "adamw"},
}
CONSTANT = {"schedule": "constant", "warmup_ratio": 0.0}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run of the playground.

    Args:
        rule: `package` trains the package's modules as `train.py` does, `original` as TensorFlow Playground does.
        shape: A shape of `Plane`, or `points` for one's own points.
        num_classes: Number of classes of `spiral` and `gauss`.
        points: One's own points as `[x, y, target]`, with `shape="points"`.
        points_task: The task of one's own points: `classification` or `regression`.
        num_samples: Number of points for training and test together.
        noise: As in `Plane`.
        train_share: As in `Plane`.
        points_seed: As in `Plane`.
        batch_size: Points per optimizer step.
        features: Inputs of the network, in the order of `Plane`.
        kind: `plain` for `DeepMLP`, `residual` for `ResidualMLP`.
        layers: Units of each hidden layer.
        second_kind: As `kind`, for the second network.
        second_layers: As `layers`, for the second network. None: there is no second network.
        activation: Activation function of the hidden layers.
        optimizer: `sgd`, `momentum` (SGD with Nesterov momentum 0.9) or `adamw`.
        lr: Learning rate. It is constant.
        regularization: `none`, `l1` or `l2`. `l2` is weight decay under the rule `package`.
        regularization_rate: Factor of the regularisation.
        dropout: Fraction of hidden units set to 0 in training.
        seed: Seed of the initial weights and of the order of the points.
        stop_epoch: Training stops after this epoch.
        stop_loss: Training stops after an epoch with a lower training loss.

    Raises:
        ValueError: If a value is outside its limits, or does not go with another.
    """

    rule: Literal["package", "original"] = "package"
    shape: Literal["circle", "xor", "gauss", "spiral", "plane", "bumps", "points"] = "circle"
    num_classes: int = 2
    points: list[list[float]] | None = None
    points_task: Literal["classification", "regression"] = "classification"
    num_samples: int = 500
    noise: float = 0.0
    train_share: float = 0.5
    points_seed: int = 0
    batch_size: int = 10
    features: list[str] = field(default_factory=lambda: ["x", "y"])
    kind: Literal["plain", "residual"] = "plain"
    layers: list[int] = field(default_factory=lambda: [4, 2])
    second_kind: Literal["plain", "residual"] = "plain"
    second_layers: list[int] | None = None
    activation: Literal["relu", "tanh", "sigmoid", "linear"] = "tanh"
    optimizer: Literal["sgd", "momentum", "adamw"] = "sgd"
    lr: float = 0.03
    regularization: Literal["none", "l1", "l2"] = "none"
    regularization_rate: float = 0.0
    dropout: float = 0.0
    seed: int = 0
    stop_epoch: int | None = None
    stop_loss: float | None = None

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Settings).items():
            value, types = getattr(self, name), get_args(kind) or (kind,)
            if get_origin(kind) is Literal and value not in types:
                raise ValueError(f"{name}={value!r} must be one of {', '.join(types)}")
            if name in LIMITS and not (value is None and type(None) in types):
                lowest, highest = LIMITS[name]
                if type(value) not in (int, *types) or not lowest <= value <= highest:
                    number = "a whole number" if int in types else "a number"
                    raise ValueError(f"{name}={value!r} must be {number} from {lowest} to {highest}")
        for kind, layers in self.networks():
            check_network(kind, layers)
        if self.rule == "original":
            for name, wanted in ORIGINAL.items():
                value, hint = getattr(self, name), f"use {name}={wanted!r} or rule='package'"
                if value != wanted:
                    raise ValueError(f"{name}={value!r} belongs to the rule package; {hint}")
        elif self.regularization == "l1":
            raise ValueError("regularization='l1' belongs to the rule original; use l2, or rule='original'")
        if (self.points is None) == (self.shape == POINTS):
            raise ValueError(f"shape={self.shape!r} does not go with points; draw points, and use shape='points'")
        if self.points is not None:
            check_points(self.points)
            csv_file.read_points(StringIO(self.points_csv()))

    def networks(self) -> list[tuple[str, list[int]]]:
        """The kind and the hidden layers of each network."""
        second = [] if self.second_layers is None else [(self.second_kind, self.second_layers)]
        return [(self.kind, self.layers), *second]

    def data_options(self, points_file: str) -> dict[str, Any]:
        """The options of `Plane`."""
        drawn = {"num_samples": self.num_samples, "noise": self.noise}
        if self.num_classes > 2:
            drawn["num_classes"] = self.num_classes
        return {
            "shape": self.shape,
            **({"points_file": points_file} if self.shape == POINTS else drawn),
            "features": self.features,
            "train_share": self.train_share,
            "points_seed": self.points_seed,
            "batch_size": self.batch_size,
            "val_size": 0,
        }

    def training_options(self) -> dict[str, Any]:
        """The options of `BaseModel`."""
        decay = self.regularization_rate if self.regularization == "l2" else 0.0
        return {**OPTIMIZERS[self.optimizer], "lr": self.lr, "weight_decay": decay, **CONSTANT}

    def model_options(self, kind: str, layers: list[int]) -> tuple[type[BaseModel], dict[str, Any]]:
        """The class of a network, and its options without sizes of the data."""
        if not layers:
            return models.Linear, self.training_options()
        size = layers[0] if len(set(layers)) == 1 else layers
        options = {"hidden_size": size, "num_layers": len(layers), "activation": self.activation}
        return KINDS[kind], {**options, "dropout": self.dropout, **self.training_options()}

    def make_data(self) -> Plane:
        """The data, set up."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "points.csv"
            path.write_text(self.points_csv())
            data = Plane(**self.data_options(str(path)), seed=self.seed)
        data.setup()
        return data

    def points_csv(self) -> str:
        """One's own points as the file that `Plane` reads."""
        header = "x,y,class" if self.points_task == "classification" else "x,y,value"
        return "\n".join([header, *(f"{x},{y},{target}" for x, y, target in self.points or []), ""])


def check_network(kind: str, layers: Any) -> None:
    """Raises a ValueError if a network is too large, or cannot be built."""
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise ValueError(f"hidden layers {layers!r} must be a list of at most {MAX_LAYERS}")
    for size in layers:
        if type(size) is not int or not 1 <= size <= MAX_UNITS:
            raise ValueError(f"hidden layers {layers}: {size!r} must be 1 to {MAX_UNITS} neurons")
    if kind == "residual" and len(set(layers)) != 1:
        raise ValueError(f"hidden layers {layers} do not go with kind='residual'; use one or more of equal size")


def check_points(points: Any) -> None:
    """Raises a ValueError if these are not points of the page. `csv_file.read_points` checks their values."""
    if not 4 <= len(points) <= MAX_POINTS:
        raise ValueError(f"there are {len(points)} points; draw or upload 4 to {MAX_POINTS}")
    for point in points:
        if [type(value) in (int, float) for value in point] != 3 * [True]:
            raise ValueError(f"the point {point!r} must be 3 numbers: x, y and the class or value")


def read_points(text: str) -> dict[str, Any]:
    """The settings `shape`, `points` and `points_task` for the text of a CSV file.

    Raises:
        ValueError: If it is not what `Plane` reads.
    """
    points, targets, task = csv_file.read_points(StringIO(text))
    return {"shape": POINTS, "points": np.column_stack([points, targets]).tolist(), "points_task": task}
