"""A network of the playground with its optimizer: one step, and the metrics of every epoch."""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer

from datamodules import Plane
from models.metrics import EpochMetrics
from playground.original import OriginalMLP, OriginalSGD, batches, to_values
from playground.settings import Settings

Batch = tuple[Tensor, Tensor]
Metrics = tuple[float, float | None]  # loss, and accuracy except for regression


class Network:
    """A network that trains. Under the rule `package`, it uses the module's own `training_step` and optimizer.

    Attributes:
        epoch: Number of finished epochs.
        batch: Number of finished batches in this epoch.
        history: Training and test metrics before training, then after each epoch. Under the rule `package`, the
            training metrics are means over the batches of the epoch, as those that `train.py fit` logs.

    Raises:
        ValueError: If the points do not fill a batch, or have more classes than the rule allows.
    """

    def __init__(self, settings: Settings, kind: str, layers: list[int], data: Plane) -> None:
        self.settings, self.kind, self.layers, self.data = settings, kind, layers, data
        self.is_original = settings.rule == "original"
        torch.manual_seed(settings.seed)
        if self.is_original and data.num_outputs > 2:
            raise ValueError(f"{data.num_outputs} classes belong to the rule package; use 2 classes or rule='package'")
        if self.is_original:
            is_regression = data.task == "regression"
            self.model: Any = OriginalMLP(len(settings.features), layers, settings.activation, is_regression)
            regularization = settings.regularization, settings.regularization_rate
            self.optimizer: Optimizer = OriginalSGD(self.model.parameters(), settings.lr, *regularization)
        else:
            model_class, options = settings.model_options(kind, layers)
            self.model = model_class(data.input_shape, data.num_outputs, task=data.task, **options)
            self.model.update_metrics = partial(record, self.model.epoch_metrics["train_0"])
            self.optimizer = self.model.make_optimizer()
        self.copy = copy.deepcopy(self.model).eval()
        self.random_state = torch.get_rng_state()  # dropout draws from the global generator, which networks share
        self.epoch = self.batch = 0
        self.history: list[tuple[Metrics, Metrics]] = [(self.evaluate("train"), self.evaluate("test"))]
        self.start_epoch()
        self.next_batch = next(self.batches)

    def start_epoch(self) -> None:
        loader: Any = self.data.train_dataloader()
        loader.set_epoch(self.epoch)
        self.num_batches = len(loader)
        if self.is_original:
            inputs, targets = self.data.splits["train"]
            updates = batches(len(targets), self.settings.batch_size, self.epoch)
            loader = [(inputs[indices], to_values(targets[indices])) for indices in updates]
        self.batches: Iterator[Batch] = iter(loader)

    def step(self) -> None:
        """Trains on the next batch."""
        self.update()
        self.batch += 1
        if self.batch == self.num_batches:
            self.epoch, self.batch = self.epoch + 1, 0
            self.history.append((self.training_metrics(), self.evaluate("test")))
            self.start_epoch()
        self.next_batch = next(self.batches)

    def update(self) -> None:
        """Takes one optimizer step."""
        if self.settings.dropout:
            torch.set_rng_state(self.random_state)
        self.optimizer.zero_grad()
        self.model.training_step(self.next_batch, self.batch).backward()
        self.optimizer.step()
        if self.settings.dropout:
            self.random_state = torch.get_rng_state()

    def training_metrics(self) -> Metrics:
        """The metrics of the epoch that has just ended."""
        if self.is_original:
            return self.evaluate("train")
        metrics = self.model.epoch_metrics["train_0"].metrics
        return float(metrics["loss"].compute()), float(metrics["acc"].compute()) if "acc" in metrics else None

    @torch.no_grad()
    def evaluate(self, split: str) -> Metrics:
        """Loss and accuracy on the points of a split, in evaluation mode."""
        inputs, targets = self.data.splits[split]
        self.model.eval()
        outputs = self.model(inputs)
        self.model.train()
        loss = float(self.model.loss(outputs, targets))
        if self.data.task == "regression":
            return loss, None
        labels = outputs[:, 0] > 0 if self.is_original else outputs.argmax(1)
        return loss, float((labels == targets).float().mean())

    @torch.no_grad()
    def edit(self, layer: int, unit: int, source: int | None, value: float) -> None:
        """Sets one weight, or the bias if `source` is None. The last epoch then has the metrics of the new weights."""
        linear = weight_layers(self.model)[layer]
        values = linear.bias if source is None else linear.weight[:, source]
        values[unit] = value
        self.history[-1] = self.evaluate("train"), self.evaluate("test")

    def weights(self) -> Tensor:
        """All present weights and biases, as one vector."""
        return parameters_to_vector(self.model.parameters()).detach()

    def at(self, weights: Tensor | None) -> Any:
        """Returns the network in evaluation mode, with a vector of weights, or with its present weights.

        It is always the same copy, because copying a LightningModule takes longer than everything else in a frame.
        """
        vector_to_parameters(self.weights() if weights is None else weights, self.copy.parameters())
        return self.copy

    def after_next_step(self) -> Any:
        """A copy of the model after the step that comes next. This network does not change."""
        twin = copy.copy(self)
        twin.model, twin.optimizer = copy.deepcopy((self.model, self.optimizer))
        twin.update()
        return twin.model


def record(metrics: EpochMetrics, stage: str, loss: Tensor, outputs: Tensor, targets: Tensor, loader: int) -> None:
    """Replaces the `update_metrics` of a module, which does nothing without a Trainer."""
    metrics.add(loss, outputs, targets)


def hidden_layers(model: Any) -> list[nn.Module]:
    """The hidden layers of a network of the page, from input to output. Each maps `(B, D)` to `(B, U)`."""
    return [*([model.stem] if hasattr(model, "stem") else []), *getattr(model, "blocks", [])]


def weight_layers(model: Any) -> list[nn.Linear]:
    """The linear layer of each hidden layer, then the head."""
    return [part for part in model.modules() if isinstance(part, nn.Linear)]


def outputs_by_layer(model: Any, inputs: Tensor) -> list[Tensor]:
    """Returns the output `(B, U)` of each hidden layer, and last the output `(B, K)` of the network."""
    outputs = [inputs]
    for layer in hidden_layers(model):
        outputs.append(layer(outputs[-1]))
    return [*outputs[1:], getattr(model, "output_activation", nn.Identity())(model.head(outputs[-1]))]
