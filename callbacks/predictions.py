"""What a model makes of each sample, as a table in a file."""

import csv
import itertools
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

SHOWN = 20  # images whose prediction is printed too


class Predictions(L.Callback):
    """Writes `predictions.csv` during `predict`: a row a sample, or a row a time step for tagging.

    Columns: `index`, or `file` of an image; `step` for tagging; `label` where it is known; `predicted`; and
    `probability_<k>` for each class. Of regression: `target_<k>` and `predicted_<k>` for each dimension.

    Args:
        parent: where a folder is made for the file.
        files: names of the images, in the order of the samples; none if the samples come from a data set.
    """

    path: Path

    def __init__(self, parent: Path, files: list[str] | None) -> None:
        self.parent = parent
        self.files = files
        self.num_samples = self.num_counted = self.num_right = 0

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
        if self.files is None:
            is_known = label >= 0  # a step that does not count has none
            row.append(label if is_known else "")
            self.num_counted += is_known
            self.num_right += is_known and predicted == label
        self.writer.writerow([*row, predicted, *(f"{value:.6f}" for value in probabilities.tolist())])
        if self.files is not None and self.num_samples <= SHOWN:
            print(f"{row[0]}: {predicted}  ({probabilities[predicted]:.1%})", flush=True)

    def header(self, task: str, size: int) -> list[str]:
        known = self.files is None
        if task == "regression":
            targets = [f"target_{k}" for k in range(size)] if known else []
            return ["index" if known else "file", *targets, *(f"predicted_{k}" for k in range(size))]
        names = ["index" if known else "file", *(["step"] if task == "tagging" else []), *(["label"] if known else [])]
        return [*names, "predicted", *(f"probability_{k}" for k in range(size))]

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.file.close()
        if self.num_counted:
            print(f"{self.num_right:,} of {self.num_counted:,} are right", flush=True)
        print(f"Predictions are in {self.path}", flush=True)


def new_folder(parent: Path) -> Path:
    """Makes the first `version_<n>` that nobody has."""
    for number in itertools.count():
        folder = parent / f"version_{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
