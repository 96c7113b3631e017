"""Small data of the kinds that a sequence can have, and the figures that a callback draws of it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

import callbacks
from callbacks.insight import Insight
from datamodules import BaseDataModule
from datamodules.loader import Samples
from tests.conftest import stock_trainer

TEXT = b"The cat sat.\nIt sat on a mat.\nThe dog ran."  # 42 characters
LENGTHS = [5, 12, 3, 9]  # of every four samples


class Letters(BaseDataModule):
    """A text whose next character is the target: tokens, tagging, 256 classes."""

    task = "tagging"
    num_tokens = num_outputs = 256

    def __init__(self, sequence_length: int = 40) -> None:
        super().__init__(batch_size=4, val_size=4)
        self.input_shape = [sequence_length]

    def load(self) -> tuple[Samples, Samples]:
        text = torch.tensor(list(TEXT)).expand(8, -1)
        end = self.input_shape[0]
        samples = text[:, :end].contiguous(), text[:, 1 : end + 1].contiguous()
        return samples, samples

    def decode(self, tokens: Iterable[int]) -> str:
        return bytes(tokens).decode(errors="replace")


class Unequal(BaseDataModule):
    """Sequences of 3 to 12 steps with 6 values, in three classes.

    Args:
        padding: Value of the steps behind the end.
    """

    task = "classification"
    num_outputs = 3
    has_lengths = True

    def __init__(self, padding: float = 0.0) -> None:
        super().__init__(batch_size=4, val_size=8)
        self.input_shape = [12, 6]
        self.padding = padding

    def load(self) -> tuple[Samples, Samples]:
        generator = torch.Generator().manual_seed(0)
        lengths = torch.tensor(LENGTHS).repeat(5)
        inputs = torch.randn(20, 12, 6, generator=generator)
        inputs[torch.arange(12) >= lengths[:, None]] = self.padding
        samples = inputs, torch.arange(20) % 3, lengths
        return samples, samples


class Series(BaseDataModule):
    """Windows of 120 steps with 1 or more values, and the 96 numbers that follow."""

    task = "regression"
    num_outputs = 96

    def __init__(self, num_columns: int) -> None:
        super().__init__(batch_size=4, val_size=8)
        self.input_shape = [120, num_columns]

    def load(self) -> tuple[Samples, Samples]:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(20, *self.input_shape, generator=generator)
        samples = inputs, torch.randn(20, 96, generator=generator)
        return samples, samples


def inspect(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: L.LightningModule,
    data: BaseDataModule,
    *names: str,
    is_written: bool = False,
) -> dict[str, Figure]:
    """Trains for one step, and inspects the network after it. Returns the figures by tag.

    Only if `is_written`, the figures are also drawn and written to TensorBoard, which takes most of the time.
    """
    figures: dict[str, Figure] = {}
    draw = Insight.draw

    def remember(self: Insight, tag: str, figure: Figure) -> Any:
        figures[tag] = figure
        return draw(self, tag, figure) if is_written else None

    with monkeypatch.context() as patch:
        patch.setattr(Insight, "draw", remember)
        patch.setattr(Insight, "inspect_if_due", lambda *_: None)  # only after training
        chosen = [getattr(callbacks, name)() for name in names]
        logger = TensorBoardLogger(folder, name="")
        trainer = stock_trainer(max_epochs=1, limit_train_batches=1, logger=logger, callbacks=chosen)
        trainer.fit(model, datamodule=data)
    return figures
