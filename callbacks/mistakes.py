"""The confusion matrix, and the mistakes with the highest probability."""

import math

import lightning as L
import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from callbacks.curves import log_metrics
from callbacks.drawing import colour_scale, panels, show, show_samples
from callbacks.insight import Insight
from callbacks.parts import hide_padding, is_picture, to_numpy, to_pictures

NUM_WORST, COLUMNS = 20, 5
MOST_SAMPLES = 10_000
MOST_CLASSES = 100  # in a confusion matrix
MOST_WRITTEN = 20  # classes; with more, counts and curves are not written, and only every fifth class is named
RANGE = LogNorm(1e-3, 1)  # of the fractions in every confusion matrix, so that figures can be compared
IGNORE_INDEX = -100  # the label of a time step that is not counted, as in PyTorch's cross-entropy


class Mistakes(Insight):
    """Draws the confusion matrix and the most confident mistakes on at most 10,000 validation samples.

    - `mistakes/confusion`: rows are true classes with their accuracy, columns are predicted classes. Colours are the
      logarithmic fraction of the true class. torchmetrics' `ConfusionMatrix.plot` has neither.
    - `mistakes/most_confident`: the pictures whose wrong class has the highest probability, after training.
    - Curves `class_acc/<class>` with finished epochs on x.
    """

    def reason_to_skip(self, trainer: L.Trainer, model: L.LightningModule) -> str | None:
        if self.data.task == "regression":
            return "regression has no classes"
        if self.data.num_outputs > MOST_CLASSES:
            return f"a confusion matrix of {self.data.num_outputs} classes cannot be read"
        return None if self.data.has_validation else "there is no validation"

    def inspect(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        inputs, targets, *lengths = self.samples(trainer, MOST_SAMPLES)
        batches = zip(*(values.split(self.data.batch_size) for values in (inputs, *lengths)), strict=True)
        logits = torch.cat([model(*batch) for batch in batches]).float()
        self.latest = (hide_padding(inputs, *lengths) if is_picture(inputs) else inputs), logits, targets
        counts, names = confusion(logits, targets), self.class_names()
        if len(names) <= MOST_WRITTEN:
            tags = [f"class_acc/{name.replace(' ', '_')}" for name in names]  # TensorBoard allows no spaces in a tag
            accuracies = (counts.diagonal() / counts.sum(1)).tolist()
            curves = {tag: one for tag, one in zip(tags, accuracies, strict=True) if math.isfinite(one)}
            log_metrics(trainer, curves, self.epoch)
        self.draw("mistakes/confusion", confusion_figure(to_numpy(counts), names))

    def finish(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        if self.data.task == "classification" and is_picture(self.latest[0]):
            self.draw("mistakes/most_confident", worst_figure(*self.latest, self.class_names(), self.data.is_ink))


def confusion(logits: Tensor, targets: Tensor) -> Tensor:
    """The number of samples `(K, K)` of each true class (rows) and predicted class (columns)."""
    predicted = logits.argmax(-1).flatten()
    return multiclass_confusion_matrix(predicted, targets.flatten(), logits.shape[-1], ignore_index=IGNORE_INDEX)


def confusion_figure(counts: np.ndarray, names: list[str]) -> Figure:
    """The confusion matrix `(K, K)`, with counts if there are few classes."""
    totals = counts.sum(1)
    accuracy = counts.diagonal().sum() / max(counts.sum(), 1)
    title = f"Confusion matrix: {accuracy:.1%} are on the diagonal, the rest are mistakes"
    figure, (axes,) = panels(title, 4.8, 4.0, is_plot=False)
    fractions = counts / np.maximum(totals, 1)[:, None]
    drawn = show(axes, np.where(fractions > 0, fractions, np.nan), RANGE, "Blues")
    if len(counts) <= MOST_WRITTEN:
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if fractions[row, column] > 0.1 else "black"
            axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    shown = range(0, len(counts), 1 if len(counts) <= MOST_WRITTEN else 5)
    accuracies = [f"{names[k]}  {fractions[k, k]:.1%}" if totals[k] else f"{names[k]}  none" for k in shown]
    axes.set_xticks(shown, [names[k] for k in shown], rotation=90 if max(map(len, names)) > 2 else 0, fontsize=9)
    axes.set_yticks(shown, accuracies, fontsize=9)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel="true class, and its accuracy")
    colour_scale(figure, axes, drawn, "fraction of the true class")
    return figure


def worst_figure(inputs: Tensor, logits: Tensor, targets: Tensor, names: list[str], is_ink: bool) -> Figure:
    """The 20 pictures whose wrong class has the highest probability, from B inputs, logits `(B, K)` and targets."""
    probabilities, predicted = logits.softmax(-1).max(-1)
    is_wrong = (predicted != targets) & (targets >= 0)
    num_wrong = int(is_wrong.sum())
    worst = (probabilities * is_wrong).argsort(descending=True)[: min(NUM_WORST, num_wrong)].tolist()
    title = f"{num_wrong:,} of {len(targets):,} are wrong. The most confident: true as predicted class"
    figure, every_axes = panels(title, 0.96, 1.35, NUM_WORST // COLUMNS, COLUMNS, is_plot=False)
    for axes in every_axes:
        axes.set_axis_off()
    for axes, index in zip(every_axes, worst, strict=False):
        show_samples(axes, to_pictures(inputs[index, None]), columns=1, is_ink=is_ink)
        true_class, wrong_class = names[int(targets[index])], names[int(predicted[index])]
        axes.set_title(f"{true_class} as\n{wrong_class}, {probabilities[index]:.1%}", fontsize=8)
    return figure
