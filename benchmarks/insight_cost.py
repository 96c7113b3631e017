"""What looking inside costs: seconds in each callback of insight.yaml, as a share of those of training."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import lightning as L

import train
from callbacks.insight import Insight
from engine.cli import CLI
from engine.results import Row

RUNS = {  # of every kind, from seconds to minutes
    "mnist/shallow_mlp": [],
    "mnist/resnet": [],
    "sequence/gru": [],
    "mnist1d/cnn": [],
    "depth/mnist_residual": ["--model.num_layers=50"],
    "depth/spiral_relu": ["--model.num_layers=3", "--model.hidden_size=64"],
    "plane/bumps": [],
}
SEEDS = (0, 1, 2)
LOOKS = ("on_train_start", "on_train_epoch_end", "on_train_end")  # hooks whose time History leaves out


def costs(config: str, flags: list[str], seed: int) -> tuple[float, dict[str, float]]:
    """Seconds of training alone, and those in the hooks of each callback, in one run."""
    seconds: dict[tuple[str, str], float] = defaultdict(float)

    def timed(name: str, hook: str, method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            start = time.perf_counter()
            method(*arguments, **options)
            seconds[name, hook] += time.perf_counter() - start

        return call

    def fit(self: CLI, **arguments: Any) -> None:
        trainer: Any = self.trainer
        for callback in trainer.callbacks:
            for hook in dir(callback) if isinstance(callback, Insight) else []:
                # a hook that it does not override costs nothing, and would cost something if it were timed
                if hook.startswith("on_") and getattr(type(callback), hook) is not getattr(L.Callback, hook):
                    setattr(callback, hook, timed(type(callback).__name__, hook, getattr(callback, hook)))
        trainer.fit(**arguments)

    with tempfile.TemporaryDirectory() as folder, patch.object(CLI, "fit", fit):
        options = [f"--trainer.logger.init_args.save_dir={folder}", "--test_checkpoint=none", *flags]
        files = ["-c", f"configs/{config}.yaml", "-c", "configs/extras/insight.yaml"]
        cli = train.main(["fit", *files, f"--seed_everything={seed}", *options])
    inside = sum(value for (_, hook), value in seconds.items() if hook not in LOOKS)
    names = list(dict.fromkeys(name for name, _ in seconds))
    return cli.history.seconds - inside, {
        name: sum(value for (owner, _), value in seconds.items() if owner == name) for name in names
    }


def measure() -> list[Row]:
    """A row for each run and callback: the median over the seeds, and the lowest and highest share."""
    rows = []
    for config, flags in RUNS.items():
        measured = [costs(config, flags, seed) for seed in SEEDS]
        training = statistics.median(alone for alone, _ in measured)
        for callback in measured[0][1]:
            own = [spent[callback] for _, spent in measured]
            shares = [spent[callback] / alone for alone, spent in measured]
            row = {
                "config": " ".join([config, *flags]),
                "training_seconds": f"{training:.1f}",
                "callback": callback,
                "seconds": f"{statistics.median(own):.2f}",
                "share": f"{statistics.median(shares):.4f}",
                "lowest_share": f"{min(shares):.4f}",
                "highest_share": f"{max(shares):.4f}",
            }
            rows.append(row)
            print(" ".join(row.values()), flush=True)
    return rows
