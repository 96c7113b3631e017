"""What a run prints and records when it ends."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from datamodules import BaseDataModule, Text
from engine import sizes
from engine.results import Row
from models import BaseModel


def metrics_table(rows: dict[str, dict[str, float]]) -> str:
    """Loss and accuracy of each split, right-aligned."""
    shown = {
        split: {name: f"{value:.2%}" if name == "acc" else f"{value:.4f}" for name, value in row.items()}
        for split, row in rows.items()
    }
    return pd.DataFrame.from_dict(shown, orient="index").fillna("").to_string(col_space=9)


def loss_warning(model: L.LightningModule, data: L.LightningDataModule, train: float | None, last: float | None) -> str:
    """A warning if the last validation loss is not below the loss of a constant output, else an empty string.

    Without validation, `last` is the training loss `train`. Models with a loss of their own are not judged.
    """
    has_usual_loss = isinstance(model, BaseModel) and type(model).loss is BaseModel.loss
    constant = data.constant_loss() if has_usual_loss and isinstance(data, BaseDataModule) else 0.0
    if last is None or last < constant or constant == 0:
        return ""
    has_learned = train is not None and train < constant
    reason = "the network overfits" if has_learned else "the network has not learned; try another --model.lr"
    return f"\nThe loss ended at {last:.4f}, not below {constant:.4f}, the loss of a constant output: {reason}.\n"


def next_commands(cli: Any) -> str:
    """What to type after `fit`, one command per line, each with its purpose. Empty after other commands."""
    if not cli.checkpoint:
        return ""
    checkpoint, logger = shlex.quote(cli.checkpoint), cli.trainer.logger
    commands = {}
    if isinstance(logger, TensorBoardLogger):
        for animation in sorted(Path(logger.log_dir, "insight").glob("*.gif")):
            commands[f"python -m webbrowser {animation.absolute().as_uri()}"] = "watch the network learn"
        commands[f"python -m tensorboard.main --logdir {shlex.quote(str(logger.save_dir))}"] = "curves"
    commands[f"python train.py test --ckpt_path {checkpoint}"] = "evaluate on the test set"
    predict = f"python train.py predict --ckpt_path {checkpoint}"
    if isinstance(cli.datamodule, Text) and isinstance(cli.model, BaseModel):
        commands[f"{predict} --prompt TEXT"] = "continue a text"
    elif hasattr(cli.datamodule, "read_images"):
        commands[f"{predict} --images PATH"] = "predict your own images"
    elif hasattr(cli.datamodule, "read_audio"):
        commands[f"{predict} --audio PATH"] = "predict your own recordings"
    else:
        commands[predict] = "predict"
    return "\nNext:\n" + "".join(f"  {command}\n      # {purpose}\n" for command, purpose in commands.items())


def describe(cli: Any) -> Row:
    """What was trained and what it cost, as the columns of a result."""
    model, data, history = cli.model, cli.datamodule, cli.history
    batch_size = getattr(data, "batch_size", None)
    return {
        "config": (cli.trainer.logger and cli.trainer.logger.name) or type(model).__name__,
        "model": type(model).__name__,
        "data": data_title(data),
        "depth": getattr(model, "depth", None),
        "parameters": sizes.num_parameters(model),
        "flops": sizes.flops(model) if isinstance(model, BaseModel) else None,
        "activation": activation(model),
        **{name: model.hparams.get(name) for name in ("optimizer", "lr")},
        "batch_size": batch_size,
        "seed": cli.options.seed_everything,
        "epochs": history.num_epochs,
        "seconds": history.seconds,
        "seconds_per_epoch": history.seconds_per_epoch,
        "samples_per_second": history.samples_per_second(batch_size) if batch_size else None,
        "peak_memory_mib": peak_memory(cli.trainer.strategy.root_device),
    }


def summary(cli: Any, rows: dict[str, dict[str, float]], checkpoint: str) -> str:
    """The last lines of `fit`: sizes, seconds, loss and accuracy of each split, and the tested checkpoint."""
    history, result = cli.history, cli.result
    epochs = f"{round(history.num_epochs, 2):g} epoch{'s' * (history.num_epochs != 1)}"
    last = [rows["train"], *history.validation.values()][-1]
    smoothed = ", its loss with label smoothing" if cli.model.hparams.get("label_smoothing") else ""
    measured = " and ".join(split for split in ("val", "test") if rows.get(split)) or "saved"
    return (
        f"\n{result['model']}, {result['parameters']:,} parameters, on {result['data']}: "
        f"{epochs} in {history.seconds:.1f} s\n\n"
        f"{metrics_table({split: row for split, row in rows.items() if row})}\n"
        f"{loss_warning(cli.model, cli.datamodule, rows['train'].get('loss'), last.get('loss'))}"
        f"\ntrain: epoch {cli.trainer.current_epoch}{smoothed}\n{measured}: {checkpoint}"
    )


def data_title(data: L.LightningDataModule) -> str:
    return str(getattr(data, "title", type(data).__name__))


def activation(model: L.LightningModule) -> str:
    """The activation function: an option of the model, the cell of a recurrent one, or its activation layers."""
    kinds = {type(layer) for layer in model.modules()}
    layers = sorted(kind.__name__.lower() for kind in kinds if kind.__module__ == "torch.nn.modules.activation")
    return str(model.hparams.get("activation") or model.hparams.get("cell") or "+".join(layers) or "none")


def peak_memory(device: torch.device) -> float | None:
    """Peak memory in MiB: of tensors on a GPU, else of the process. None on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
