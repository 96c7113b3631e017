"""What `Trainer.fit` costs over the loop that one would write by hand.

python -m benchmarks.overhead

Both take the same steps on the same tensors with the same optimizer and schedule. As shipped: TensorBoard, metrics,
progress line, checkpoints, and the config's own `steps_per_execution`. Validation, where a config has it, is left out.
The two take turns in one process, a call of `training_step` and as many steps by hand, so that both meet what else the
machine does: between whole runs its speed changes by more than what is measured here. Each round is a new process, as
a run is.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import lightning as L
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import in_a_process, markdown, quietly, ratio, shown, wait
from checkpoints import LastCheckpoint
from datamodules import BaseDataModule
from datamodules.base import Chunk
from models import BaseModel
from results import Row

EPOCHS = {"mnist/shallow_mlp": 30, "mnist/deep_mlp": 1, "mnist/fast_cnn": 1, "mnist/resnet": 1, "sequence/lstm": 1}
BATCH_SIZES = (64, 128, 512)
GOAL, CUDA_GOAL = 1.05, 1.10  # at batches of 128 and more
ROUNDS = 5


def steps_by_hand(model: BaseModel, data: BaseDataModule, total_steps: int) -> Iterator[None]:
    """A plain loop, which pauses after every step."""
    inputs, targets = data.splits["train"]
    sampler = data.train_dataloader().sampler
    optimizer = model.make_optimizer()
    smoothing, clip = model.hparams["label_smoothing"], model.hparams["gradient_clip"]
    step, epoch = 0, 0
    while True:
        sampler.set_epoch(epoch)
        batches = sampler.order()[: data.steps_per_epoch * data.batch_size].view(-1, data.batch_size)
        for indices in batches.to(inputs.device):
            for group in optimizer.param_groups:
                group["lr"] = model.lr_at(step, total_steps)
            optimizer.zero_grad()
            batch, labels = inputs.index_select(0, indices), targets.index_select(0, indices)
            F.cross_entropy(model(batch), labels, label_smoothing=smoothing).backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            step += 1
            yield
        epoch += 1


class ByHand(L.Callback):
    """After each call of `training_step`, takes as many steps by hand with a model of its own.

    Attributes:
        seconds: what its own steps took.
        validation_seconds: what all of validation took, with what Lightning does around it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.validation_seconds = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.model: Any = copy.deepcopy(pl_module)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        total_steps: Any = pl_module.total_steps
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.steps = steps_by_hand(self.model.to(pl_module.device).train(), datamodule, total_steps)
        loop: Any = trainer.fit_loop.epoch_loop.val_loop
        validate = loop.run

        def run() -> Any:
            start = time.perf_counter()
            found = validate()
            wait()
            self.validation_seconds += time.perf_counter() - start
            return found

        loop.run = run

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: Chunk, batch_idx: int
    ) -> None:
        wait()
        start = time.perf_counter()
        for _ in range(len(batch)):
            next(self.steps)
        wait()
        taken = time.perf_counter() - start
        self.seconds += taken
        for one in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(one, LastCheckpoint):  # whose second between two writings is one of training
                one.next_write += taken


def one_run(arguments: list[str]) -> Row:
    """Milliseconds a step by hand and in `train.py fit`, the latter from the first step to the end of training."""
    beside = [f"--trainer.callbacks+={__name__}.ByHand", "--test_checkpoint=none"]
    cli = quietly([*arguments, *beside])
    (by_hand,) = [one for one in cli.trainer.callbacks if isinstance(one, ByHand)]  # type: ignore[attr-defined]
    as_shipped = cli.history.seconds - by_hand.validation_seconds - by_hand.seconds
    taken = {"by_hand": by_hand.seconds, "as_shipped": as_shipped}
    return {name: seconds / cli.trainer.global_step * 1000 for name, seconds in taken.items()}


def measure(rounds: int = ROUNDS, batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Row:
    cells: list[Row] = [
        {"config": config, "batch_size": batch_size, "by_hand": [], "as_shipped": []}
        for config in EPOCHS
        for batch_size in batch_sizes
    ]
    for cell in cells:
        arguments = [f"--data.batch_size={cell['batch_size']}", f"--trainer.max_epochs={EPOCHS[cell['config']]}"]
        for _ in range(rounds):
            taken = in_a_process("benchmarks.overhead", "-c", f"configs/{cell['config']}.yaml", *arguments)
            for name, milliseconds in taken.items():
                cell[name].append(milliseconds)
        print(table({"cells": [cell]}).splitlines()[-1], flush=True)
    return {"cells": cells}


def table(found: Row) -> str:
    rows = [
        [
            cell["config"],
            str(cell["batch_size"]),
            f"{statistics.median(cell['by_hand']):.3g}",
            shown(ratio(cell["as_shipped"], cell["by_hand"])),
        ]
        for cell in found["cells"]
    ]
    return markdown(["config", "batch", "by hand, ms a step", "`Trainer.fit` ÷ by hand"], rows)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(one_run(sys.argv[1:])))
    else:
        measure()
