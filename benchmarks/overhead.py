"""What `train.py fit` costs over a hand-written loop: wall time and CPU time per training step.

python -m benchmarks.overhead            # 20 minutes; --rounds 1 for a first look
python -m benchmarks.overhead --write    # also saves the result and rewrites the table in benchmarks/README.md

Whole runs are compared. `train.py fit` runs as shipped: TensorBoard, checkpoints, step curves, metrics, progress line.
The hand-written loop takes the same steps on the same tensors, with the same optimizer, scheduler and clipping, and
does nothing else. Both are timed from the first step to the end of training. The time of validation is subtracted.

Both take turns in one process, and the fastest run of each counts, because other programs on the machine only ever slow
a run down. The median over several processes is reported.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
from torch import nn
from torch.nn import functional as F

from benchmarks.committed import markdown
from benchmarks.timing import command_line, in_new_process, quietly, ratio, wait
from engine.cli import CLI
from engine.results import Row


class Plan(NamedTuple):
    """How one config is measured."""

    batch_sizes: tuple[int, ...]
    epochs: int  # per run
    repeats: int  # runs of each per process
    rounds: int  # processes


LARGE = Plan((128, 512), epochs=1, repeats=2, rounds=3)
PLANS = {
    "mnist/shallow_mlp": Plan((64, 128, 512), epochs=2, repeats=6, rounds=5),
    **dict.fromkeys(("mnist/deep_mlp", "mnist/fast_cnn", "mnist/resnet", "sequence/lstm"), LARGE),
}


def now() -> np.ndarray:
    """Wall time, and CPU time of all threads of the process, in seconds."""
    wait()
    return np.array([time.perf_counter(), time.process_time()])


class Stopwatch(L.Callback):
    """Times training from the first step to its end, without validation.

    Attributes:
        seconds: Wall and CPU time.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validation: Any = trainer.fit_loop.epoch_loop.val_loop
        validate: Callable[[], Any] = validation.run
        self.validation = np.zeros(2)

        def run() -> Any:
            start = now()
            metrics = validate()
            self.validation += now() - start
            return metrics

        validation.run = run

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:  # after `on_train_start` of the callbacks, which draw the graph of the model
            self.start = now()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = now() - self.start - self.validation


def fit(arguments: list[str]) -> tuple[CLI, np.ndarray]:
    """A run of `train.py fit`, and the wall and CPU time of its training.

    Raises:
        RuntimeError: Lightning's own loop took some of the steps.
    """
    cli = quietly([*arguments, f"--trainer.callbacks+={__name__}.Stopwatch", "--test_checkpoint=none"])
    trainer: Any = cli.trainer
    num_fast_steps = getattr(trainer.fit_loop.epoch_loop, "num_fast_steps", 0)
    if num_fast_steps != trainer.global_step:
        raise RuntimeError(f"the fast loop took {num_fast_steps} of {trainer.global_step} steps")
    (stopwatch,) = [one for one in trainer.callbacks if isinstance(one, Stopwatch)]
    return cli, stopwatch.seconds


def fit_by_hand(arguments: list[str]) -> tuple[CLI, np.ndarray]:
    """The same training by a hand-written loop, and its time. The returned CLI holds the trained model."""
    cli = quietly(arguments, run=False)
    trainer: Any = cli.trainer
    model: Any = cli.model.to(trainer.strategy.root_device).train()
    data: Any = cli.datamodule
    data.trainer = trainer  # which says where the samples go
    data.prepare_data()
    data.setup("fit")
    loader, optimizer = data.train_dataloader(), model.make_optimizer()
    scheduler = model.make_scheduler(optimizer, trainer.max_epochs * len(loader))
    smoothing, clip = model.label_smoothing, trainer.gradient_clip_val
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    start = now()
    for epoch in range(trainer.max_epochs):
        loader.set_epoch(epoch)
        for inputs, targets in loader:
            loss = F.cross_entropy(model(inputs), targets, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            scheduler.step()
    return cli, now() - start


def one_round(repeats: int, arguments: list[str]) -> Row:
    """Milliseconds per step of the fastest run of each, after a run to warm up."""
    runs: dict[str, list[np.ndarray]] = {"as_shipped": [], "by_hand": []}
    num_steps = 0
    for _ in range(1 + repeats):
        for name, subject in (("as_shipped", fit), ("by_hand", fit_by_hand)):
            cli, seconds = subject(arguments)
            num_steps = max(num_steps, cli.trainer.global_step)
            runs[name].append(seconds)
    found = {}
    for name, taken in runs.items():
        found[name], found[f"{name}_cpu"] = (np.min(taken[1:], axis=0) / num_steps * 1000).tolist()
    return found


def measure(rounds: int | None = None) -> Row:
    cells: list[Row] = []
    for config, plan in PLANS.items():
        for batch_size in plan.batch_sizes:
            flags = [f"--data.batch_size={batch_size}", f"--trainer.max_epochs={plan.epochs}"]
            arguments = ["-c", f"configs/{config}.yaml", *flags]
            found = [in_new_process(one_round, plan.repeats, arguments) for _ in range(rounds or plan.rounds)]
            measured = {name: [one[name] for one in found] for name in found[0]}
            cells.append({"config": config, "batch_size": batch_size, **measured})
            print(f"{config}, batch {batch_size}: {ratio(measured['as_shipped'], measured['by_hand'])}", flush=True)
    return {"cells": cells}


def table(found: Row) -> str:
    lines = []
    for cell in found["cells"]:
        wall = ratio(cell["as_shipped"], cell["by_hand"])
        cpu = ratio(cell["as_shipped_cpu"], cell["by_hand_cpu"])
        lines.append([cell["config"], cell["batch_size"], f"{statistics.median(cell['by_hand']):.3g}", wall, cpu])
    columns = ["config", "batch", "by hand, ms per step", "wall time, `fit` ÷ by hand", "CPU time, `fit` ÷ by hand"]
    return markdown(pd.DataFrame(lines, columns=columns))


if __name__ == "__main__":
    command_line("overhead", measure, table)
