"""The settings of the playground: their limits, and the data and networks that they make."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

import models
from datamodules import Plane, plane
from models import BaseModel

POINTS = "points"  # the shape of one's own points
MAX_LAYERS, MAX_UNITS, MAX_POINTS = 50, 16, 2000
KINDS: dict[str, type[BaseModel]] = {"plain": models.DeepMLP, "residual": models.ResidualMLP}
WHOLE_NUMBERS = {
    "num_classes": (2, plane.MOST_CLASSES),
    "num_samples": (10, MAX_POINTS),
    "points_seed": (0, 2**31 - 1),
    "batch_size": (1, 256),
    "seed": (0, 2**31 - 1),
    "stop_epoch": (1, math.inf),
}
NUMBERS: dict[str, tuple[float, float]] = {
    "noise": (0, 0.8),
    "train_share": (0.1, 0.9),
    "lr": (1e-5, 10),
    "regularization_rate": (0, 10),
    "dropout": (0, 0.9),
    "stop_loss": (0, math.inf),
}
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
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of {', '.join(get_args(kind))}")
        for name, (lowest, highest) in {**WHOLE_NUMBERS, **NUMBERS}.items():
            value = getattr(self, name)
            if value is None and name in ("stop_epoch", "stop_loss"):
                continue
            is_number = type(value) is int or (type(value) is float and name in NUMBERS)
            if not is_number or not lowest <= value <= highest:
                kind = "a whole number" if name in WHOLE_NUMBERS else "a number"
                limits = f"from {lowest} to {highest}" if highest < math.inf else f"of {lowest} or more"
                raise ValueError(f"{name}={value!r} must be {kind} {limits}")
        self.check_features()
        for kind, layers in self.networks():
            check_network(kind, layers)
        if self.rule == "original":
            self.check_original()
        elif self.regularization == "l1":
            raise ValueError("regularization='l1' belongs to the rule original; use l2, or rule='original'")
        if self.points is not None:
            check_points(self.points)
        if (self.points is None) == (self.shape == POINTS):
            raise ValueError(f"shape={self.shape!r} does not go with points; draw points, and use shape='points'")

    @classmethod
    def from_message(cls, values: Mapping[str, Any]) -> Settings:
        """The settings that the page sends. What it leaves out has its default.

        Raises:
            ValueError: If a name is unknown, or a value is wrong.
        """
        names = [option.name for option in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise ValueError(f"{name} is not a setting; use {', '.join(names)}")
        return cls(**values)

    def to_message(self) -> dict[str, Any]:
        """The settings as JSON has them."""
        return dataclasses.asdict(self)

    def check_features(self) -> None:
        ordered = [name for name in plane.FEATURES if isinstance(self.features, list) and name in self.features]
        if not ordered or self.features != ordered:
            raise ValueError(
                f"features={self.features!r} must be one or more of {', '.join(plane.FEATURES)}, in this order"
            )

    def check_original(self) -> None:
        """Raises a ValueError for what TensorFlow Playground does not have."""
        is_multiclass = self.task == "classification" and self.outputs > 2
        wanted = {"kind": "plain", "second_kind": "plain", "optimizer": "sgd", "dropout": 0.0}
        wrong = {name: getattr(self, name) for name, value in wanted.items() if getattr(self, name) != value}
        if is_multiclass:
            wrong["num_classes"] = self.outputs
        for name, value in wrong.items():
            expected = wanted.get(name, 2)
            raise ValueError(f"{name}={value!r} belongs to the rule package; use {name}={expected!r} or rule='package'")

    def networks(self) -> list[tuple[str, list[int]]]:
        """The kind and the hidden layers of each network."""
        second = [] if self.second_layers is None else [(self.second_kind, self.second_layers)]
        return [(self.kind, self.layers), *second]

    @property
    def task(self) -> str:
        if self.shape == POINTS:
            return self.points_task
        return "regression" if self.shape in plane.REGRESSION else "classification"

    @property
    def outputs(self) -> int:
        """The number of classes, or 1 for regression."""
        if self.task == "regression":
            return 1
        if self.points is not None:
            return max(2, 1 + int(max(target for _, _, target in self.points)))
        return self.num_classes

    def data_options(self, points_file: str | None) -> dict[str, Any]:
        """The options of `Plane`."""
        shape: dict[str, Any] = (
            {"points_file": points_file} if self.shape == POINTS else {"num_samples": self.num_samples}
        )
        if self.shape in ("spiral", "gauss") and self.num_classes > 2:
            shape["num_classes"] = self.num_classes
        return {
            "shape": self.shape,
            **shape,
            "noise": self.noise if self.shape != POINTS else 0.0,
            "features": list(self.features),
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

    def make_data(self, folder: Path) -> Plane:
        """The data, set up. One's own points are written to a file in the folder, which `Plane` reads."""
        path = folder / "points.csv"
        if self.points is not None:
            path.write_text(self.points_csv())
        data = Plane(**self.data_options(str(path)), seed=self.seed)
        data.setup()
        return data

    def make_model(self, kind: str, layers: list[int], data: Plane) -> BaseModel:
        """A network with the initial weights that `train.py fit` would give it."""
        model_class, options = self.model_options(kind, layers)
        torch.manual_seed(self.seed)
        return model_class(data.input_shape, data.num_outputs, task=data.task, **options)

    def points_csv(self) -> str:
        """One's own points as the file that `Plane` reads."""
        is_class = self.points_task == "classification"
        rows = [f"{x},{y},{int(target) if is_class else target}" for x, y, target in self.points or []]
        return "\n".join([f"x,y,{'class' if is_class else 'value'}", *rows, ""])


def check_network(kind: str, layers: Any) -> None:
    """Raises a ValueError if a network is too large, or cannot be built."""
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise ValueError(f"layers={layers!r} must be a list of at most {MAX_LAYERS} hidden layers")
    for size in layers:
        if type(size) is not int or not 1 <= size <= MAX_UNITS:
            raise ValueError(f"layers={layers} has {size!r}; a hidden layer has 1 to {MAX_UNITS} neurons")
    if kind == "residual" and len(set(layers)) != 1:
        raise ValueError(f"layers={layers} do not go with kind='residual'; use one or more layers of equal size")


def check_points(points: Any) -> None:
    """Raises a ValueError unless these are points of the page. `Plane` checks their values."""
    if not isinstance(points, list) or not 4 <= len(points) <= MAX_POINTS:
        number = len(points) if isinstance(points, list) else "no"
        raise ValueError(f"there are {number} points; draw or upload 4 to {MAX_POINTS}")
    for point in points:
        is_point = isinstance(point, list) and [type(value) in (int, float) for value in point] == 3 * [True]
        if not is_point:
            raise ValueError(f"the point {point!r} must be 3 numbers: x, y and the class or value")


def read_points(text: str) -> dict[str, Any]:
    """The settings `shape`, `points` and `points_task` for the text of a CSV file.

    Raises:
        ValueError: If it is not what `Plane` reads.
    """
    own = plane.read_points(text)
    points = [[*point, target] for point, target in zip(own.points.tolist(), own.targets.tolist(), strict=True)]
    return {"shape": POINTS, "points": points, "points_task": own.task}
