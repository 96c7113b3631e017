"""What the commands do: fit, validate, test and predict."""

import json
import os
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks import Predictions
from callbacks.curves import Diverged
from callbacks.history import stage_metrics
from callbacks.insight import evaluation_mode
from callbacks.text_samples import write_text
from datamodules import Text, TimeSeries
from datamodules.loader import TensorLoader
from engine import report, results
from engine.build import CLI
from engine.checkpoints import read_checkpoint
from engine.errors import RunFailed, wrong_input
from engine.paths import RUNS
from engine.usage import PREDICT
from models import BaseModel
from models.metrics import IGNORE_INDEX


def run(cli: CLI) -> None:
    """Runs the command. Raises InputError for what only the data or the first batch shows, and RunFailed."""
    command: Any = {"fit": fit, "validate": validate, "test": test, "predict": predict}[cli.command]
    given = {name: cli.options[name] for name in ("ckpt_path", "weights_only")}
    try:
        command(cli, model=cli.model, datamodule=cli.datamodule, **given)
    except SIGTERMException:  # its own exit code is 0
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        if cli.trainer.interrupted:
            raise KeyboardInterrupt from error
        raise
    except (ValueError, MisconfigurationException) as error:
        if cli.started and not str(error).startswith("Expected more than 1 value per channel"):
            raise
        remove_empty_run(cli)
        raise wrong_input(error, cli.options) from error
    except Diverged as error:
        raise RunFailed(str(error)) from error
    except RuntimeError as error:
        if "/gloo/" not in str(error):  # the source file that an error of gloo names; it has no type of its own
            raise
        path = cli.last.best_model_path
        hint = f"to resume: python train.py fit --ckpt_path {shlex.quote(path)}" if path else "no checkpoint was saved"
        reason = str(error).split("] ", 1)[-1].split(". ")[0]
        raise RunFailed(f"another process of this run ended or stopped responding ({reason}); {hint}") from error


def remove_empty_run(cli: CLI) -> None:
    """Removes the folder of a run that ended before its first step, if it contains only its config and empty curves."""
    if cli.trainer.is_global_zero and isinstance(cli.trainer.logger, TensorBoardLogger):
        folder = Path(cli.trainer.logger.log_dir)
        if folder.is_dir() and {path.name.partition(".")[0] for path in folder.iterdir()} <= {"config", "events"}:
            shutil.rmtree(folder)


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
        file = Path(trainer.logger.log_dir, results.FILE)
        results.write_atomically(file, json.dumps(cli.result, indent=2) + "\n")
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
    own = [name for name in ("images", "audio") if cli.options[name] is not None]
    if isinstance(cli.datamodule, Text) and isinstance(cli.model, BaseModel) and not own:
        write(cli, folder)
        return
    for name, (default, purpose) in PREDICT.items():
        value = cli.options[name]
        if value == default:
            continue
        if name not in own:
            raise ValueError(f"{name}={value} is for networks that write text; leave it out")
        if not Path(value).expanduser().exists():
            raise ValueError(f"there is no {name}={value}; type the path of {purpose}")
        if not hasattr(cli.datamodule, f"read_{name}"):
            raise ValueError(f"{report.data_title(cli.datamodule)} cannot read {name}={value}; leave it out")
        inputs, *lengths, files = getattr(cli.datamodule, f"read_{name}")(Path(value))
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
    prompt, temperature, length = (cli.options[name] for name in ("prompt", "temperature", "length"))
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
