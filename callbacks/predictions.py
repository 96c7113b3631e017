"""The prediction for each sample, as a table in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor

MOST_PRINTED = 20  # files whose predictions are also printed
UNSURE = 0.6  # a prediction with a lower probability is unsure


class Predictions(L.Callback):
    """Writes `predictions.csv` during `predict`, with a row per sample, or per time step for tagging.

    Columns: `index`, or `file` for images and recordings; `step` for tagging; `label`; `predicted`; `unsure`, which is
    1 if the probability of the prediction is below 60 %; and `probability_<class>` for each class. For regression:
    `target_<k>` and `predicted_<k>` for each dimension. For forecasts, k is a column and a step, as `OT+1`, and the
    values are in the units of the file. Images and recordings have no `label` and no `target_<k>`.

    Lightning's `BasePredictionWriter` is not used, because it warns about every loader that is not a `DataLoader`.

    Args:
        path: The file. Its folder is made.
        files: Names of the images or recordings, in the order of the samples. None if the samples come from a data set.
        classes: Names of the classes. None writes their numbers.
        to_table: Makes a table of outputs or targets `(N, K)` for regression. None numbers the dimensions.
    """

    def __init__(
        self,
        path: Path,
        files: list[str] | None,
        classes: list[str] | None = None,
        to_table: Callable[[np.ndarray], pd.DataFrame] | None = None,
    ) -> None:
        self.path = path
        self.files = files
        self.classes = classes
        self.to_table = to_table or pd.DataFrame
        self.outputs: list[Tensor] = []
        self.targets: list[Tensor] = []

    def on_predict_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: object
    ) -> None:
        self.outputs.append(outputs.float().cpu())
        self.targets.append(batch[1].cpu())

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        outputs, targets = torch.cat(self.outputs).numpy(), torch.cat(self.targets).numpy()
        is_regression = pl_module.hparams["task"] == "regression"
        table = self.value_table(outputs, targets) if is_regression else self.class_table(outputs, targets)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(self.path, index=False, float_format=None if is_regression else "%.6f")
        if not is_regression:
            self.print_summary(table)
        print(f"Predictions are in {self.path}", flush=True)

    def value_table(self, outputs: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
        """The table for regression, from outputs and targets `(N, K)`."""
        predicted = self.to_table(outputs).add_prefix("predicted_")
        if self.files is not None:
            return predicted.set_axis(self.files).reset_index(names="file")
        return self.to_table(targets).add_prefix("target_").join(predicted).reset_index()

    def class_table(self, outputs: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
        """The table for N samples with K probabilities, `(N, K)`, or per time step for tagging, `(N, T, K)`."""
        num_samples, num_classes = len(outputs), outputs.shape[-1]
        num_steps = outputs.shape[1] if outputs.ndim == 3 else 1
        classes = np.array(self.classes or [str(k) for k in range(num_classes)])
        probabilities = outputs.reshape(-1, num_classes)
        name, samples = ("index", range(num_samples)) if self.files is None else ("file", self.files)
        table = pd.DataFrame({name: np.repeat(np.array(samples), num_steps)})
        if outputs.ndim == 3:
            table["step"] = np.tile(np.arange(num_steps), num_samples)
        if self.files is None:  # a time step without a label is not counted
            labels = targets.ravel()
            table["label"] = np.where(labels >= 0, classes[np.maximum(labels, 0)], "")
        table["predicted"] = classes[probabilities.argmax(1)]
        table["unsure"] = (probabilities.max(1) < UNSURE).astype(int)
        return table.join(pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes]))

    def print_summary(self, table: pd.DataFrame) -> None:
        """Prints the first files or the number of correct predictions, and the number of unsure predictions."""
        if self.files is None:
            is_known = table["label"] != ""
            num_correct = (table["label"] == table["predicted"]).sum()
            print(f"{num_correct:,} of {is_known.sum():,} are right")
        else:
            for _, row in table.head(MOST_PRINTED).iterrows():
                probability = row[f"probability_{row['predicted']}"]
                print(f"{row['file']}: {row['predicted']}  ({probability:.1%}{', unsure' * row['unsure']})")
        if table["unsure"].any():
            print(f"{table['unsure'].sum():,} predictions are unsure (probability below {UNSURE:.0%})")
