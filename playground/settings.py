"""The settings of the playground: their limits, and the options of data and networks."""

import math
from dataclasses import dataclass, field, fields
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

import models
from datamodules import Plane
from datamodules.csv_file import MOST_CLASSES, read_points
from models import BaseModel

MAX_LAYERS, MAX_UNITS, MAX_POINTS, MAX_EPOCHS = 50, 16, 2000, 20_000
KINDS: dict[str, type[BaseModel]] = {"plain": models.DeepMLP, "residual": models.ResidualMLP}
ORIGINAL = {"kind": "plain", "second_kind": "plain", "optimizer": "sgd", "dropout": 0.0}  # all that the rule has
LIVE = ("lr", "stop_epoch", "stop_loss")  # do not reset the networks
OPTIMIZERS: dict[str, dict[str, Any]] = {  # options of BaseModel
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adamw": {"optimizer": "adamw"},
}
CONSTANT = {"schedule": "constant", "warmup_ratio": 0.0}


def number(default: float | None, lowest: float, highest: float) -> Any:
    """A field for a number within limits."""
    return field(default=default, metadata={"limits": (lowest, highest)})


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run of the playground. `num_samples` to `features` are options of `Plane`.

    Args:
        rule: `package` trains the package's modules as `train.py` does, `original` as TensorFlow Playground does.
        shape: A shape of `Plane`, or `points` for one's own points.
        points: One's own points as `[x, y, target]`, for a task of `points_task`.
        kind: `plain` for `DeepMLP`, `residual` for `ResidualMLP`.
        layers: Units of each hidden layer.
        second_layers: The same for the second network. None: there is no second network.
        optimizer: `sgd`, `momentum` (SGD with Nesterov momentum 0.9) or `adamw`.
        regularization: `none`, `l1` or `l2`. `l2` is weight decay under the rule `package`.
        seed: Seed of the initial weights and of the order of the points.
        stop_epoch: Training stops after this epoch.
        stop_loss: Training stops after an epoch with a lower training loss.

    Raises:
        ValueError: If a value is outside its limits, or does not go with another.
    """

    rule: Literal["package", "original"] = "package"
    shape: Literal["circle", "xor", "gauss", "spiral", "plane", "bumps", "points"] = "circle"
    num_classes: int = number(2, 2, MOST_CLASSES)
    points: list[list[float]] | None = None
    points_task: Literal["classification", "regression"] = "classification"
    num_samples: int = number(500, 10, MAX_POINTS)
    noise: float = number(0.0, 0, 0.8)
    train_share: float = number(0.5, 0.1, 0.9)
    points_seed: int = number(0, 0, 2**31 - 1)
    batch_size: int = number(10, 1, 256)
    features: list[str] = field(default_factory=lambda: ["x", "y"])
    kind: Literal["plain", "residual"] = "plain"
    layers: list[int] = field(default_factory=lambda: [4, 2])
    second_kind: Literal["plain", "residual"] = "plain"
    second_layers: list[int] | None = None
    activation: Literal["relu", "tanh", "sigmoid", "linear"] = "tanh"
    optimizer: Literal["sgd", "momentum", "adamw"] = "sgd"
    lr: float = number(0.03, 1e-5, 10)
    regularization: Literal["none", "l1", "l2"] = "none"
    regularization_rate: float = number(0.0, 0, 10)
    dropout: float = number(0.0, 0, 0.9)
    seed: int = number(0, 0, 2**31 - 1)
    stop_epoch: int | None = number(None, 1, MAX_EPOCHS)
    stop_loss: float | None = number(None, 0, math.inf)

    def __post_init__(self) -> None:
        kinds = get_type_hints(Settings)
        for item in fields(self):
            name, value, kind = item.name, getattr(self, item.name), kinds[item.name]
            types = get_args(kind) or (kind,)
            if get_origin(kind) is Literal and value not in types:
                raise ValueError(f"{name}={value!r} must be one of {', '.join(types)}")
            if item.metadata and not (value is None and type(None) in types):
                lowest, highest = item.metadata["limits"]
                if type(value) not in (int, *types) or not lowest <= value <= highest:
                    whole = "a whole number" if int in types else "a number"
                    raise ValueError(f"{name}={value!r} must be {whole} from {lowest} to {highest}")
        for kind, layers in self.networks():
            check_network(kind, layers)
        if self.rule == "original":
            for name, wanted in ORIGINAL.items():
                if (value := getattr(self, name)) != wanted:
                    hint = f"use {name}={wanted!r} or rule='package'"
                    raise ValueError(f"{name}={value!r} belongs to the rule package; {hint}")
        elif self.regularization == "l1":
            raise ValueError("regularization='l1' belongs to the rule original; use l2, or rule='original'")
        if (self.points is None) == (self.shape == "points"):
            raise ValueError(f"shape={self.shape!r} does not go with points; draw points, and use shape='points'")
        if self.points is not None:
            if not 4 <= len(self.points) <= MAX_POINTS:
                raise ValueError(f"there are {len(self.points)} points; draw or upload 4 to {MAX_POINTS}")
            read_points(StringIO(self.points_csv()))

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
            **({"points_file": points_file} if self.shape == "points" else drawn),
            "features": self.features,
            "train_share": self.train_share,
            "points_seed": self.points_seed,
            "batch_size": self.batch_size,
            "val_size": 0,
        }

    def model_options(self, kind: str, layers: list[int]) -> tuple[type[BaseModel], dict[str, Any]]:
        """The class of a network, and its options without sizes of the data."""
        decay = self.regularization_rate if self.regularization == "l2" else 0.0
        training = {**OPTIMIZERS[self.optimizer], "lr": self.lr, "weight_decay": decay, **CONSTANT}
        if not layers:
            return models.Linear, training
        size = layers[0] if len(set(layers)) == 1 else layers
        options = {"hidden_size": size, "num_layers": len(layers), "activation": self.activation}
        return KINDS[kind], {**options, "dropout": self.dropout, **training}

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
        return "\n".join([header, *(",".join(map(str, point)) for point in self.points or []), ""])


def check_network(kind: str, layers: list[int]) -> None:
    """Raises a ValueError if a network is too large, or cannot be built."""
    if len(layers) > MAX_LAYERS or any(size not in range(1, MAX_UNITS + 1) for size in layers):
        raise ValueError(f"hidden layers {layers} must be at most {MAX_LAYERS}, with 1 to {MAX_UNITS} neurons each")
    if kind == "residual" and len(set(layers)) != 1:
        raise ValueError(f"hidden layers {layers} do not go with kind='residual'; use one or more of equal size")


def own_points(text: str) -> dict[str, Any]:
    """The settings `shape`, `points` and `points_task` for the text of a CSV file that `Plane` reads."""
    points, targets, task = read_points(StringIO(text))
    return {"shape": "points", "points": np.column_stack([points, targets]).tolist(), "points_task": task}
