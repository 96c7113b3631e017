"""A network of the playground with its optimizer: one step, and the metrics of every epoch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer

from datamodules import Plane
from models.metrics import EpochMetrics
from playground.original import OriginalMLP, OriginalSGD, batches
from playground.settings import Settings

Batch = tuple[Tensor, Tensor]
Metrics = tuple[float, float | None]  # loss, and accuracy except for regression


class Network:
    """A network under the rule `package`: it trains with the module's own `training_step` and optimizer.

    Args:
        settings: The settings of the page.
        kind: `plain` or `residual`.
        layers: Units of each hidden layer.
        data: The data, set up.

    Attributes:
        model: The network that trains.
        epoch: Number of finished epochs.
        batch: Number of finished batches in this epoch.
        next_batch: The inputs and targets of the next step.
        history: Training and test metrics before training, then after each epoch. The training metrics are means over
            the batches of the epoch, as those that `train.py fit` logs.
        snapshot: The weights at the end of the last epoch, as one vector.
    """

    def __init__(self, settings: Settings, kind: str, layers: list[int], data: Plane) -> None:
        self.settings, self.kind, self.layers, self.data = settings, kind, layers, data
        torch.manual_seed(settings.seed)
        self.model: Any = self.make_model()
        self.optimizer = self.make_optimizer()
        self.copy = copy.deepcopy(self.model).eval()
        self.random_state = torch.get_rng_state()  # dropout draws from the global generator, which networks share
        self.epoch = self.batch = 0
        self.history: list[tuple[Metrics, Metrics]] = [(self.evaluate("train"), self.evaluate("test"))]
        self.snapshot = parameters_to_vector(self.model.parameters()).detach()
        self.batches = self.make_batches()
        self.next_batch, self.is_last = next(self.batches)

    # what a rule decides

    def make_model(self) -> nn.Module:
        model_class, options = self.settings.model_options(self.kind, self.layers)
        model = model_class(self.data.input_shape, self.data.num_outputs, task=self.data.task, **options)
        model.update_metrics = partial(record, model.epoch_metrics["train_0"])  # type: ignore[method-assign]
        return model

    def make_optimizer(self) -> Optimizer:
        return self.model.make_optimizer()

    def make_batches(self) -> Iterator[tuple[Batch, bool]]:
        """The batches of all epochs, each with whether it is the last one of its epoch."""
        loader: Any = self.data.train_dataloader()
        while True:
            loader.set_epoch(self.epoch)
            for number, batch in enumerate(loader, start=1):
                yield batch, number == len(loader)

    def training_loss(self, batch: Batch) -> Tensor:
        return self.model.training_step(batch, self.batch)

    def training_metrics(self) -> Metrics:
        """The metrics of the epoch that has just ended."""
        metrics = self.model.epoch_metrics["train_0"].metrics
        return float(metrics["loss"].compute()), float(metrics["acc"].compute()) if "acc" in metrics else None

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss."""
        return self.model.loss(outputs, targets)

    def labels(self, outputs: Tensor) -> Tensor:
        """The predicted classes."""
        return outputs.argmax(1)

    # training

    def step(self) -> bool:
        """Trains on the next batch. Returns whether it was the last one of the epoch."""
        self.update()
        self.batch += 1
        ends_epoch = self.is_last
        if ends_epoch:
            self.epoch, self.batch = self.epoch + 1, 0
            self.history.append((self.training_metrics(), self.evaluate("test")))
            self.snapshot = parameters_to_vector(self.model.parameters()).detach()
        self.next_batch, self.is_last = next(self.batches)
        return ends_epoch

    def update(self) -> None:
        """Takes one optimizer step."""
        if self.settings.dropout:
            torch.set_rng_state(self.random_state)
        self.optimizer.zero_grad()
        self.training_loss(self.next_batch).backward()
        self.optimizer.step()
        if self.settings.dropout:
            self.random_state = torch.get_rng_state()

    @torch.no_grad()
    def edit(self, layer: int, unit: int, source: int | None, value: float) -> None:
        """Sets one weight, or the bias if `source` is None. The last epoch then has the metrics of the new weights."""
        linear = weight_layers(self.model)[layer]
        if source is None:
            linear.bias[unit] = value
        else:
            linear.weight[unit, source] = value
        self.history[-1] = self.evaluate("train"), self.evaluate("test")
        self.snapshot = parameters_to_vector(self.model.parameters())

    def set_lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    @torch.no_grad()
    def evaluate(self, split: str) -> Metrics:
        """Loss and accuracy on the points of a split, in evaluation mode."""
        inputs, targets = self.data.splits[split]
        self.model.eval()
        outputs = self.model(inputs)
        self.model.train()
        loss = float(self.loss(outputs, targets))
        if self.data.task == "regression":
            return loss, None
        return loss, float((self.labels(outputs) == targets).float().mean())

    def at(self, snapshot: Tensor | None) -> Any:
        """Returns the network in evaluation mode, with the weights of a snapshot, or with its present weights.

        It is always the same copy, because copying a LightningModule takes longer than everything else in a frame.
        """
        weights = parameters_to_vector(self.model.parameters()).detach() if snapshot is None else snapshot
        vector_to_parameters(weights, self.copy.parameters())
        return self.copy

    def after_next_step(self) -> Any:
        """A copy of the model after the step that comes next. This network does not change."""
        twin = copy.copy(self)
        twin.model, twin.optimizer = copy.deepcopy((self.model, self.optimizer))
        twin.update()
        return twin.model


class OriginalNetwork(Network):
    """A network that trains as in TensorFlow Playground, which is the rule `original`."""

    def make_model(self) -> nn.Module:
        classes = self.data.num_outputs
        if classes > 2:
            raise ValueError(f"{classes} classes belong to the rule package; use 2 classes or rule='package'")
        is_regression = self.data.task == "regression"
        return OriginalMLP(len(self.settings.features), self.layers, self.settings.activation, is_regression)

    def make_optimizer(self) -> Optimizer:
        settings = self.settings
        parameters = self.model.parameters()
        return OriginalSGD(parameters, settings.lr, settings.regularization, settings.regularization_rate)

    def make_batches(self) -> Iterator[tuple[Batch, bool]]:
        inputs, targets = self.data.splits["train"]
        targets = self.values(targets)
        for indices, is_last in batches(len(targets), self.settings.batch_size):
            yield (inputs[indices], targets[indices]), is_last

    def training_loss(self, batch: Batch) -> Tensor:
        inputs, targets = batch
        return self.loss(self.model(inputs), targets)

    def training_metrics(self) -> Metrics:
        return self.evaluate("train")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs, self.values(targets)) / 2

    def labels(self, outputs: Tensor) -> Tensor:
        return (outputs[:, 0] > 0).long()

    def values(self, targets: Tensor) -> Tensor:
        """Classes as -1 and 1 `(B, 1)`. Values stay as they are."""
        return targets if targets.is_floating_point() else 2.0 * targets[:, None] - 1


def record(
    metrics: EpochMetrics, stage: str, loss: Tensor, outputs: Tensor, targets: Tensor, dataloader_idx: int = 0
) -> None:
    """Takes the place of a module's `update_metrics`, which does nothing without a Trainer."""
    metrics.add(loss, outputs, targets)


def make_network(settings: Settings, kind: str, layers: list[int], data: Plane) -> Network:
    """A network under the rule of the settings."""
    make = OriginalNetwork if settings.rule == "original" else Network
    return make(settings, kind, layers, data)


def hidden_layers(model: Any) -> list[nn.Module]:
    """The hidden layers of a network of the page, from input to output. Each maps `(B, D)` to `(B, U)`."""
    return [*([model.stem] if hasattr(model, "stem") else []), *getattr(model, "blocks", [])]


def weight_layers(model: Any) -> list[nn.Linear]:
    """The linear layer of each hidden layer, then the head."""
    found = [next(part for part in layer.modules() if isinstance(part, nn.Linear)) for layer in hidden_layers(model)]
    return [*found, model.head]


def outputs_by_layer(model: Any, inputs: Tensor) -> list[Tensor]:
    """Returns the output `(B, U)` of each hidden layer, and last the output `(B, K)` of the network."""
    outputs, x = [], inputs
    for layer in hidden_layers(model):
        x = layer(x)
        outputs.append(x)
    final = getattr(model, "output_activation", nn.Identity())
    return [*outputs, final(model.head(x))]
