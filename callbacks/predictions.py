"""The prediction for each sample, as a table in a file."""

import csv
import itertools
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

SHOWN = 20  # images whose prediction is printed too
UNSURE = 0.6  # predictions with a lower probability are marked


class Predictions(L.Callback):
    """Writes `predictions.csv` during `predict`: a row per sample, or per time step for tagging.

    Columns: `index`, or `file` of an image; `step` for tagging; `label` where it is known; `predicted`; `unsure`, which
    is 1 if the probability of the prediction is below 60 %; and `probability_<class>` for each class. For regression:
    `target_<k>` and `predicted_<k>` for each dimension.

    Args:
        parent: Folder in which a new folder is made for the file.
        files: Names of the images, in the order of the samples. None if the samples come from a data set.
        classes: Names of the classes. None writes their numbers.
    """

    path: Path

    def __init__(self, parent: Path, files: list[str] | None, classes: list[str] | None = None) -> None:
        self.parent = parent
        self.files = files
        self.classes = classes
        self.num_samples = self.num_counted = self.num_right = self.num_unsure = 0

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.path = new_folder(self.parent) / "predictions.csv"
        self.file = self.path.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)

    def on_predict_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: object
    ) -> None:
        task = str(pl_module.hparams["task"])
        outputs, targets = outputs.float().cpu(), batch[1].cpu()
        if self.files is not None:  # of an image nothing is known
            targets = torch.full(outputs.shape[:-1], -100)
        if not self.num_samples:
            self.writer.writerow(self.header(task, outputs.shape[-1]))
        for output, target in zip(outputs, targets, strict=True):
            name = self.files[self.num_samples] if self.files else str(self.num_samples)
            self.num_samples += 1
            if task == "regression":
                self.writer.writerow([name, *([] if self.files else target.tolist()), *output.tolist()])
                continue
            steps = zip(output, target, strict=True) if task == "tagging" else [(output, target)]
            for step, (probabilities, label) in enumerate(steps):
                row = [name, *([step] if task == "tagging" else [])]
                self.write_classes(row, probabilities, int(label))

    def write_classes(self, row: list[Any], probabilities: Tensor, label: int) -> None:
        predicted = int(probabilities.argmax())
        is_unsure = bool(probabilities[predicted] < UNSURE)
        self.num_unsure += is_unsure
        if self.files is None:
            is_known = label >= 0  # a time step that does not count has no label
            row.append(self.name_of(label) if is_known else "")
            self.num_counted += is_known
            self.num_right += is_known and predicted == label
        values = [f"{value:.6f}" for value in probabilities.tolist()]
        self.writer.writerow([*row, self.name_of(predicted), int(is_unsure), *values])
        if self.files is not None and self.num_samples <= SHOWN:
            mark = ", unsure" if is_unsure else ""
            print(f"{row[0]}: {self.name_of(predicted)}  ({probabilities[predicted]:.1%}{mark})", flush=True)

    def name_of(self, label: int) -> str:
        return self.classes[label] if self.classes else str(label)

    def header(self, task: str, size: int) -> list[str]:
        known = self.files is None
        if task == "regression":
            targets = [f"target_{k}" for k in range(size)] if known else []
            return ["index" if known else "file", *targets, *(f"predicted_{k}" for k in range(size))]
        names = ["index" if known else "file", *(["step"] if task == "tagging" else []), *(["label"] if known else [])]
        return [*names, "predicted", "unsure", *(f"probability_{self.name_of(k)}" for k in range(size))]

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.file.close()
        if self.num_counted:
            print(f"{self.num_right:,} of {self.num_counted:,} are right", flush=True)
        if self.num_unsure:
            print(f"{self.num_unsure:,} predictions are unsure (probability below {UNSURE:.0%})", flush=True)
        print(f"Predictions are in {self.path}", flush=True)


def new_folder(parent: Path) -> Path:
    """Makes the first `version_<n>` that does not exist yet."""
    for number in itertools.count():
        folder = parent / f"version_{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
