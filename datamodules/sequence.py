"""MNIST as a sequence: row by row, pixel by pixel (Le et al. 2015), or pixels in a fixed, shuffled order."""

from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.mnist import MNIST

PERMUTATION_SEED = 0  # of the shuffled order: the same in every run, whatever its seed


class SequenceMNIST(MNIST):
    """Handwritten digits as sequences: 28 rows of 28 pixels, or 784 steps of one pixel.

    Args:
        order: `rows` gives `[28, 28]`; `pixels`, row after row, gives `[784, 1]`; `permuted` gives the pixels in
            one random order, the same for every digit: neighbours in the picture are then far apart.
        variant: `mnist`, `fashion` or `kmnist`; see `MNIST`.
        data_dir: folder that has, or gets, the files; see `MNIST`.
        source: `auto`, `full` or `subset`; see `MNIST`.
        batch_size: samples an optimizer step, over all devices.
        val_size: training samples held back for validation, a tenth of it in the subset; 0 holds none back.
        steps_per_execution: optimizer steps a call of `training_step`.
        seed: of the order of samples; comes from `seed_everything`.

    Raises:
        ValueError: as `MNIST`.
    """

    def __init__(
        self,
        order: Literal["rows", "pixels", "permuted"] = "rows",
        variant: Literal["mnist", "fashion", "kmnist"] = "mnist",
        data_dir: str | None = None,
        source: Literal["auto", "full", "subset"] = "auto",
        batch_size: int = 128,
        val_size: int = 5000,
        steps_per_execution: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(variant, data_dir, source, batch_size, val_size, steps_per_execution, seed)
        self.order = order
        self.input_shape = [28, 28] if order == "rows" else [784, 1]

    def inputs(self, images: Tensor) -> Tensor:
        sequences = super().inputs(images)  # (N, T, D)
        if self.order != "permuted":
            return sequences
        generator = torch.Generator().manual_seed(PERMUTATION_SEED)
        return sequences[:, torch.randperm(784, generator=generator)]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "order": self.order}
