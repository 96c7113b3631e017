"""What the commands do: fit, validate, test and predict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks import Predictions
from callbacks.history import stage_metrics
from callbacks.insight import evaluation_mode
from callbacks.text_samples import write_text
from datamodules import Text, TimeSeries
from datamodules.loader import TensorLoader
from engine import report, results
from engine.checkpoints import read_checkpoint
from engine.parser import CLI
from engine.paths import RUNS
from models import BaseModel
from models.metrics import IGNORE_INDEX

# the options of `predict` for files of the user, and what they are
OWN_FILES = {"images": "an image, or of a folder of images", "audio": "a recording, or of a folder of recordings"}
# the options of `predict` for text, and their defaults
WRITING: dict[str, Any] = {"prompt": "\n", "temperature": 0.8, "length": 500}


def fit(cli: CLI, **arguments: Any) -> None:
    """Trains, tests the chosen checkpoint, and prints and records the result."""
    trainer: Any = cli.trainer
    trainer.fit(**arguments)
    which = cli.options.test_checkpoint
    checkpoint = cli.best if which != "last" and cli.best.best_model_path else cli.last  # no validation: no best
    path = checkpoint.best_model_path
    if not path:
        if trainer.is_global_zero:
            print("No checkpoint was saved, so nothing is tested.", flush=True)
        return
    saved = torch.load(path, weights_only=True, map_location="cpu")
    train = stage_metrics("train", trainer.callback_metrics)
    rows = {"train": train, "val": cli.history.validation.get(saved["global_step"], {})}
    if which != "none":
        if "SLURM_JOB_ID" in os.environ:  # else Lightning would test this checkpoint
            for file in Path(trainer.default_root_dir).glob("hpc_ckpt_*.ckpt"):
                file.unlink(missing_ok=True)
        trainer.strategy.barrier()
        # with ckpt_path, Lightning would test the original weights instead of averaged ones
        cli.model.load_state_dict(saved["state_dict"])
        trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
        rows["test"] = stage_metrics("test", trainer.callback_metrics)
    if not trainer.is_global_zero:
        return
    cli.checkpoint = path
    cli.result = {
        **report.describe(cli),
        "train_loss": train.get("loss"),
        **{f"{split}_{name}": value for split in ("val", "test") for name, value in rows.get(split, {}).items()},
    }
    if isinstance(trainer.logger, TensorBoardLogger):
        results.write(cli.result, Path(trainer.logger.log_dir))
        epochs: Any = cli.history.num_epochs
        trainer.logger.log_hyperparams(*results.hyperparameters(cli.result), step=epochs)
        trainer.logger.save()
    reason = f"the first with the best {checkpoint.monitor}" if checkpoint.monitor else "last epoch"
    print(report.summary(cli, rows, f"epoch {saved['epoch'] + 1}, {reason}: {path}"), flush=True)


def validate(cli: CLI, **arguments: Any) -> None:
    """Prints the metrics of a checkpoint on the validation samples."""
    if not getattr(cli.datamodule, "has_validation", True):
        raise ValueError("validate has no samples, because val_size=0; type test instead")
    cli.trainer.validate(**arguments, verbose=False)
    print_metrics(cli, "val")


def test(cli: CLI, **arguments: Any) -> None:
    """Prints the metrics of a checkpoint on the test samples."""
    cli.trainer.test(**arguments, verbose=False)
    print_metrics(cli, "test")


def print_metrics(cli: CLI, stage: str) -> None:
    if cli.trainer.is_global_zero:
        print(f"{type(cli.model).__name__} on {report.data_title(cli.datamodule)}\n")
        print(report.metrics_table({stage: stage_metrics(stage, cli.trainer.callback_metrics)}), flush=True)


def predict(cli: CLI, **arguments: Any) -> None:
    """Writes a prediction for each test sample, or for each file of `--images` or `--audio`.

    A network of `Text` writes text. For a model that is not a `BaseModel`, the outputs of `predict_step` are saved.
    """
    trainer: Any = cli.trainer
    files = None
    if trainer.world_size > 1:
        raise ValueError(f"predict takes one device, not {trainer.world_size}; type --trainer.devices 1")
    folder = Path(TensorBoardLogger(RUNS, "predictions").log_dir)  # a new one, by Lightning's numbering
    own = {name: path for name in OWN_FILES if (path := cli.options[name]) is not None}
    if isinstance(cli.datamodule, Text) and isinstance(cli.model, BaseModel) and not own:
        write(cli, folder)
        return
    for name in WRITING:
        if (value := cli.options[name]) is not None and not isinstance(cli.datamodule, Text):
            raise ValueError(f"{name}={value} is for networks that write text; leave it out")
    for name, path in own.items():
        if not Path(path).expanduser().exists():
            raise ValueError(f"there is no {name}={path}; type the path of {OWN_FILES[name]}")
        if not hasattr(cli.datamodule, f"read_{name}"):
            raise ValueError(f"{report.data_title(cli.datamodule)} cannot read {name}={path}; leave it out")
        inputs, *lengths, files = getattr(cli.datamodule, f"read_{name}")(Path(path))
        unknown = torch.full((len(inputs),), IGNORE_INDEX)
        arguments["datamodule"] = None
        arguments["dataloaders"] = TensorLoader((inputs, unknown, *lengths), cli.datamodule.batch_size)
    if not isinstance(cli.model, BaseModel):
        folder.mkdir(parents=True)
        cli.predictions = folder / "predictions.pt"
        torch.save(trainer.predict(**arguments), cli.predictions)
        print(f"Predictions are in {cli.predictions}", flush=True)
        return
    cli.predictions = folder / "predictions.csv"
    classes, to_table = (getattr(cli.datamodule, name, None) for name in ("classes", "to_table"))
    trainer.callbacks.append(Predictions(cli.predictions, files, classes, to_table))
    trainer.predict(**arguments, return_predictions=False)
    if isinstance(cli.datamodule, TimeSeries):
        with evaluation_mode(cli.model):
            outputs = cli.model(cli.datamodule.last_inputs.to(cli.model.device)).float().cpu().numpy()
        table = cli.datamodule.forecast(outputs)
        table.to_csv(folder / "forecast.csv", float_format="%.6g")
        print(f"\nAfter the last row of the file:\n{table}\n\nThe forecast is in {folder / 'forecast.csv'}", flush=True)


def write(cli: CLI, folder: Path) -> None:
    """Continues the text of `--prompt`, prints it and saves it in the folder."""
    model, data = cli.model, cli.datamodule
    typed = {name: default if cli.options[name] is None else cli.options[name] for name, default in WRITING.items()}
    prompt, temperature, length = (typed[name] for name in WRITING)
    if not prompt:
        raise ValueError("prompt is empty; type at least one character, or leave it out")
    if temperature < 0:
        raise ValueError(f"temperature={temperature} must be 0 or more")
    if length < 1:
        raise ValueError(f"length={length} must be 1 or more")
    model.load_state_dict(read_checkpoint(Path(cli.options.ckpt_path))["state_dict"])
    model.to(cli.trainer.strategy.root_device)
    generator = torch.Generator().manual_seed(cli.options.seed_everything)
    with evaluation_mode(model):
        text = data.decode(write_text(model, data.encode(prompt), length, temperature, generator))
    folder.mkdir(parents=True)
    cli.predictions = folder / "text.txt"
    cli.predictions.write_text(text, encoding="utf-8")
    print(f"{text}\n\nThe text is in {cli.predictions}", flush=True)
