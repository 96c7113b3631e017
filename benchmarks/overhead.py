"""What `train.py fit` costs over a hand-written loop: wall time and CPU time per training step.

python -m benchmarks.overhead

Whole runs are compared. `train.py fit` runs as shipped: TensorBoard, checkpoints, step curves, metrics, progress line.
The hand-written loop takes the same steps on the same tensors, with the same optimizer, scheduler and clipping, and
does nothing else. Both are timed from the first step to the end of training. The time of validation is subtracted.

Both take turns in one process, and the fastest run of each counts, because other programs on the machine only ever slow
a run down. The median over several processes is reported.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import in_a_process, markdown, quietly, ratio, shown, wait
from engine.cli import CLI
from engine.results import Row

CELLS = [("mnist/shallow_mlp", batch_size) for batch_size in (64, 128, 512)] + [
    (config, batch_size)
    for config in ("mnist/deep_mlp", "mnist/fast_cnn", "mnist/resnet", "sequence/lstm")
    for batch_size in (128, 512)
]
EPOCHS, DEFAULT_EPOCHS = {"mnist/shallow_mlp": 2}, 1  # per run
REPEATS, DEFAULT_REPEATS = {"mnist/shallow_mlp": 6}, 2  # runs of each per process
GOALS, DEFAULT_GOAL = {"mnist/shallow_mlp": 1.10}, 1.05  # the highest ratio of wall times
CUDA_GOAL = 1.10
ROUNDS, DEFAULT_ROUNDS = {"mnist/shallow_mlp": 5}, 3  # processes


class Seconds(NamedTuple):
    """Wall time, and CPU time of all threads of the process."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> Seconds:
        wait()
        return Seconds(time.perf_counter(), time.process_time())

    def since(self, start: Seconds) -> Seconds:
        return Seconds(self.wall - start.wall, self.cpu - start.cpu)


class Stopwatch(L.Callback):
    """Times training from the first step to its end, without validation.

    Attributes:
        taken: The time of training.
    """

    taken: Seconds

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validation: Any = trainer.fit_loop.epoch_loop.val_loop
        validate: Callable[[], Any] = validation.run
        self.validation = Seconds(0.0, 0.0)

        def run() -> Any:
            start = Seconds.now()
            metrics = validate()
            wall, cpu = Seconds.now().since(start)
            self.validation = Seconds(self.validation.wall + wall, self.validation.cpu + cpu)
            return metrics

        validation.run = run
        self.start = Seconds.now()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.taken = Seconds.now().since(self.start).since(self.validation)


def fit(arguments: list[str]) -> tuple[CLI, Seconds]:
    """A run of `train.py fit`, and the time of its training.

    Raises:
        RuntimeError: Lightning's own loop took some of the steps.
    """
    cli = quietly([*arguments, f"--trainer.callbacks+={__name__}.Stopwatch", "--test_checkpoint=none"])
    trainer: Any = cli.trainer
    num_fast_steps = getattr(trainer.fit_loop.epoch_loop, "num_fast_steps", 0)
    if num_fast_steps != trainer.global_step:
        raise RuntimeError(f"the fast loop took {num_fast_steps} of {trainer.global_step} steps")
    (stopwatch,) = [one for one in trainer.callbacks if isinstance(one, Stopwatch)]
    return cli, stopwatch.taken


def fit_by_hand(arguments: list[str]) -> tuple[CLI, Seconds]:
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

    start = Seconds.now()
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
    return cli, Seconds.now().since(start)


def one_round(repeats: int, arguments: list[str]) -> Row:
    """Milliseconds per step of the fastest run of each, after a run to warm up."""
    runs: dict[str, list[Seconds]] = {"as_shipped": [], "by_hand": []}
    num_steps = 0
    for _ in range(1 + repeats):
        for name, subject in (("as_shipped", fit), ("by_hand", fit_by_hand)):
            cli, seconds = subject(arguments)
            num_steps = max(num_steps, cli.trainer.global_step)
            runs[name].append(seconds)
    found = {}
    for name, taken in runs.items():
        found[name] = min(run.wall for run in taken[1:]) / num_steps * 1000
        found[f"{name}_cpu"] = min(run.cpu for run in taken[1:]) / num_steps * 1000
    return found


def measure(rounds: int | None = None, batch_sizes: tuple[int, ...] = (64, 128, 512)) -> Row:
    cells: list[Row] = []
    for config, batch_size in CELLS:
        if batch_size not in batch_sizes:
            continue
        repeats, epochs = REPEATS.get(config, DEFAULT_REPEATS), EPOCHS.get(config, DEFAULT_EPOCHS)
        flags = ["-c", f"configs/{config}.yaml", f"--data.batch_size={batch_size}", f"--trainer.max_epochs={epochs}"]
        found = [
            in_a_process("benchmarks.overhead", str(repeats), *flags)
            for _ in range(rounds or ROUNDS.get(config, DEFAULT_ROUNDS))
        ]
        measured = {name: [one[name] for one in found] for name in found[0]}
        cells.append({"config": config, "batch_size": batch_size, **measured})
        print(table({"cells": cells}).splitlines()[-1], flush=True)
    return {"cells": cells}


def table(found: Row) -> str:
    rows = []
    for cell in found["cells"]:
        wall = shown(ratio(cell["as_shipped"], cell["by_hand"]))
        cpu = shown(ratio(cell["as_shipped_cpu"], cell["by_hand_cpu"]))
        milliseconds = f"{statistics.median(cell['by_hand']):.3g}"
        rows.append([cell["config"], str(cell["batch_size"]), milliseconds, wall, cpu])
    columns = ["config", "batch", "by hand, ms per step", "wall time, `fit` ÷ by hand", "CPU time, `fit` ÷ by hand"]
    return markdown(columns, rows)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(one_round(int(sys.argv[1]), sys.argv[2:])))
    else:
        measure()
