"""What `train.py fit` costs over a hand-written loop, in milliseconds per training step.

python -m benchmarks.overhead            # 20 minutes; --rounds 1 for a first look
python -m benchmarks.overhead --write    # also saves the result and rewrites the table in benchmarks/README.md

benchmarks/README.md describes what is compared.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import lightning as L
import pandas as pd
from torch import nn
from torch.nn import functional as F

from benchmarks.committed import Found, now, quietly, ratio, speed_program
from engine.cli import CLI

PLANS = {  # batch sizes, epochs per run, and runs of each per process
    "mnist/shallow_mlp": ((64, 128, 512), 2, 6),
    **dict.fromkeys(("mnist/deep_mlp", "mnist/fast_cnn", "mnist/resnet", "sequence/lstm"), ((128, 512), 1, 2)),
}


class Stopwatch(L.Callback):
    """Times training from the first step to its end, without validation, in `seconds`."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:  # after `on_train_start` of the callbacks, which draw the graph of the model
            self.start = now()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.pause = now()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start += now() - self.pause

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = now() - self.start


def fit(arguments: list[str]) -> tuple[CLI, float]:
    """A run of `train.py fit`, and the seconds of its training.

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


def fit_by_hand(arguments: list[str]) -> tuple[CLI, float]:
    """The same training by a hand-written loop, and its seconds. The returned CLI holds the trained model."""
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


def one_round(cell: str, number: int) -> dict[str, float]:
    """Milliseconds per step of the fastest run of each, after a run to warm up."""
    config, batch_size = cell.split()
    _, epochs, repeats = PLANS[config]
    flags = [f"--data.batch_size={batch_size}", f"--trainer.max_epochs={epochs}"]
    arguments = ["-c", f"configs/{config}.yaml", *flags]
    runs: dict[str, list[float]] = {"as_shipped": [], "by_hand": []}
    for _ in range(1 + repeats):
        cli, seconds = fit(arguments)
        runs["as_shipped"].append(seconds)
        runs["by_hand"].append(fit_by_hand(arguments)[1])
    return {name: min(taken[1:]) / cli.trainer.global_step * 1000 for name, taken in runs.items()}


def table(found: Found) -> pd.DataFrame:
    lines = [
        [*cell.split(), f"{median(own['by_hand']):.3g}", ratio(own["as_shipped"], own["by_hand"])]
        for cell, own in found.items()
    ]
    return pd.DataFrame(lines, columns=["config", "batch", "by hand, ms per step", "`fit` ÷ by hand"])


if __name__ == "__main__":
    cells = [f"{config} {batch_size}" for config, (batch_sizes, _, _) in PLANS.items() for batch_size in batch_sizes]
    speed_program("overhead", cells, one_round, table)
