"""Models that fail or wait, for tests of what a comparison does then, and one whose option is a tuple."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import ShallowMLP


class Raises(ShallowMLP):
    """Has a bug that shows in the first step."""

    def __init__(self, input_shape: list[int], num_outputs: int, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise ZeroDivisionError("a bug in forward")
        return super().forward(x)


class Dies(Raises):
    """Takes its process with it, as a crash in compiled code does."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            os._exit(7)
        return super().forward(x)


class Waits(ShallowMLP):
    """Stands still in its second epoch while the folder `waiting` holds a file named after its seed."""

    def __init__(self, input_shape: list[int], num_outputs: int, waiting: str, **training: Any) -> None:
        super().__init__(input_shape, num_outputs, **training)
        self.file = Path(waiting, str(torch.initial_seed()))

    def forward(self, x: Tensor) -> Tensor:
        while self.training and self.current_epoch == 1 and self.file.exists():
            time.sleep(0.05)
        return super().forward(x)


class Sized(ShallowMLP):
    """Has an option that YAML writes as a list."""

    def __init__(
        self, input_shape: list[int], num_outputs: int, sizes: tuple[int, int] = (1, 2), **training: Any
    ) -> None:
        super().__init__(input_shape, num_outputs, **training)
