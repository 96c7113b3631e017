"""The confusion matrix, and the mistakes that the network is most confident of."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.drawing import colour_scale, enlarged, panels, show, show_samples
from callbacks.insight import Insight, class_names, data_of, is_ink
from callbacks.parts import array, is_picture, pictures

NUM_WORST, COLUMNS = 20, 5
MOST_WRITTEN = 20  # classes whose counts and accuracies are written down
RANGE = LogNorm(1e-3, 1)  # of the shares in every confusion matrix: a class may be wrong once in a thousand


class Mistakes(Insight):
    """Draws the confusion matrix and the most confident mistakes on the validation samples.

    `mistakes/confusion`: a row is a true class, with its accuracy; a column is a predicted class. The colours have the
    same logarithmic scale in every run. `mistakes/most_confident`: the pictures whose wrong class had the highest
    probability, when training ends. Curves `class_acc/<class>` at finished epochs.

    It keeps the outputs of the validation instead of computing them again. With several devices, it has those of the
    first device only.
    """

    def why_not(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        datamodule = data_of(trainer)
        if datamodule.task == "regression":
            return "regression has no classes"
        return None if datamodule.val_size and trainer.limit_val_batches else "no samples validate"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []  # inputs and logits of each batch of the last validation
        self.targets: list[Tensor] = []
        self.validated: int | None = None  # finished epochs when they were
        super().on_train_start(trainer, pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seen, self.targets = [], []
        if self.is_on:
            self.handle = pl_module.register_forward_hook(lambda _, inputs, logits: self.seen.append((*inputs, logits)))

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: object
    ) -> None:
        if self.is_on:
            self.targets.append(batch[1])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_on:
            self.validated = trainer.current_epoch + 1
            self.handle.remove()

    def look(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        if self.validated != self.epoch:  # an epoch without validation, or before the first
            return
        targets, logits = torch.cat(self.targets), torch.cat([logits for _, logits in self.seen]).float()
        counts = confusion(logits, targets)
        if len(counts) <= MOST_WRITTEN:
            accuracies = counts.diagonal() / counts.sum(1)
            known = accuracies.isfinite()  # a class may have no sample
            names = [name.replace(" ", "_") for name in class_names(trainer)]  # TensorBoard takes no spaces in a tag
            curves = {
                f"class_acc/{names[number]}": float(accuracies[number]) for number in known.nonzero().flatten().tolist()
            }
            self.write_curves(trainer, curves, step=self.epoch)
        self.draw(trainer, "mistakes/confusion", confusion_figure(array(counts), class_names(trainer)))

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        if model.hparams["task"] == "classification" and self.seen and is_picture(self.seen[0][0]):
            inputs, logits = (torch.cat(tensors) for tensors in zip(*self.seen, strict=True))
            targets = torch.cat(self.targets)
            figure = worst_figure(inputs, logits.float(), targets, class_names(trainer), is_ink(trainer))
            self.draw(trainer, "mistakes/most_confident", figure)


def confusion(logits: Tensor, targets: Tensor) -> Tensor:
    """How often each class, in rows, was predicted as each: `(K, K)`; targets below 0 do not count."""
    num_classes = logits.shape[-1]
    is_counted = targets.flatten() >= 0
    pairs = targets.flatten() * num_classes + logits.argmax(-1).flatten()
    return torch.bincount(pairs[is_counted], minlength=num_classes**2).view(num_classes, num_classes)


def confusion_figure(counts: np.ndarray, names: list[str]) -> Figure:
    figure, (axes,) = panels(4.8, 4.4, is_plot=False)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    drawn = show(axes, np.where(shares > 0, shares, np.nan), RANGE, "Blues")
    numbers = np.arange(len(counts))
    if len(counts) <= MOST_WRITTEN:
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[row, column] > 0.1 else "black"
            axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(numbers, names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=9)
        known = counts.sum(1) > 0
        texts = [f"{names[one]}  {shares[one, one]:6.1%}" if known[one] else f"{names[one]}  none" for one in numbers]
        texts = [text.replace(" ", "\N{FIGURE SPACE}") for text in texts]  # as wide at 9 % as at 100
        axes.set_yticks(numbers, texts, fontsize=9)
    else:
        axes.set_xticks(numbers[::5], numbers[::5])
        axes.set_yticks(numbers[::5], numbers[::5])
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class, and its accuracy")
    colour_scale(figure, axes, drawn, "share of the true class")
    return figure


def worst_figure(inputs: Tensor, logits: Tensor, targets: Tensor, names: list[str], is_ink: bool) -> Figure:
    probabilities, predicted = logits.softmax(-1).max(-1)
    is_wrong = (predicted != targets) & (targets >= 0)
    num_wrong = int(is_wrong.sum())
    worst = (probabilities * is_wrong).argsort(descending=True)[: min(NUM_WORST, num_wrong)]
    figure, (axes,) = panels(4.8, 4.6, is_plot=False)
    axes.set_title(f"{num_wrong:,} of {len(targets):,} are wrong; true class as predicted, probability", fontsize=10)
    if num_wrong == 0:
        axes.set_axis_off()
        return figure
    tiles = np.full((NUM_WORST, *enlarged(pictures(inputs[:1])).shape[1:]), np.nan)
    tiles[: len(worst)] = enlarged(pictures(inputs[worst]))
    gap = math.ceil(tiles.shape[1] / 3)
    show_samples(axes, tiles, COLUMNS, gap, is_ink)
    height, width = tiles.shape[1] + gap, tiles.shape[2] + gap
    axes.set_ylim(axes.get_ylim()[0], -gap)  # room for the text of the first row
    between, size = (" ", 7) if max(map(len, names)) <= 2 else ("\n", 6)
    for place, one in enumerate(worst.tolist()):
        row, column = divmod(place, COLUMNS)
        text = f"{names[int(targets[one])]}{between}as {names[int(predicted[one])]}, {probabilities[one]:.1%}"
        axes.text(column * width + (width - gap) / 2, row * height - 1, text, ha="center", va="bottom", fontsize=size)
    return figure
