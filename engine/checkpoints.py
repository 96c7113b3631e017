"""What a checkpoint holds besides the weights, and how a run resumes from it."""

from __future__ import annotations

import inspect
import pickle
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from engine.errors import InputError
from engine.paths import RUNS
from engine.usage import FIRST, nearest
from models import BaseModel

INTERVAL = 1.0  # seconds between two writings of `last.ckpt`
# options that may differ from those of the checkpoint: how to train, and how to load and augment the data; not
# val_size, because validation would use samples of the training
FREE = {
    "model": {*inspect.signature(BaseModel).parameters, "dropout"},
    "data": {"batch_size", "seed", "data_dir", "file", "rows", "source", "shift", "rotation", "scale"},
}


class SaveConfig(L.Callback):
    """Writes the whole config into every checkpoint, beside them, and to TensorBoard's text tab."""

    def __init__(self, parser: ArgumentParser, config: Namespace) -> None:
        self.parser, self.config = parser, config
        self.text = ""  # made once, because that takes longer than writing the weights of a small network

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage != "fit" or not trainer.is_global_zero:
            return
        config = self.config.clone()
        config.ckpt_path = None  # running this config again starts a new run
        datamodule: Any = getattr(trainer, "datamodule", None)
        if getattr(datamodule, "has_subset", False):
            config.data.init_args.source = datamodule.source  # instead of `auto`
        self.text = str(self.parser.dump(config, skip_none=False))
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.experiment.add_text("data", getattr(datamodule, "title", type(datamodule).__name__))
            trainer.logger.experiment.add_text("config", f"```yaml\n{self.text}\n```")
            Path(trainer.logger.log_dir, "config.yaml").write_text(self.text, encoding="utf-8")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            checkpoint["config"] = self.text


class Resume(L.Callback):
    """Corrects how Lightning 2.6 resumes.

    - If `max_steps` or `max_time` ends a run inside an epoch, Lightning saves that epoch as finished. Here it is saved
      as unfinished.
    - With `max_steps`, Lightning ends the last epoch a second time, without a batch. Here the next epoch begins.
    - Lightning replaces the optimizer options with the saved ones. Here the options of this run are used.
    - Lightning counts `max_time` over all runs. Here each run has that time.
    """

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        epochs, batches = positions(checkpoint)
        is_inside = batches["current"]["ready"] > 0 and not batches["is_last_batch"]
        if is_inside and epochs["current"]["processed"] == epochs["current"]["ready"]:
            for counts in (epochs["current"], epochs["total"]):
                counts["processed"] -= 1

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["callbacks"].pop("Timer", None)
        epochs, batches = positions(checkpoint)
        is_whole_epoch = batches["is_last_batch"] and epochs["current"]["processed"] == epochs["current"]["ready"]
        if trainer.max_steps >= 0 and is_whole_epoch:
            for counts in (epochs["current"], epochs["total"]):
                counts["completed"] = counts["processed"]
            batches["current"] = dict.fromkeys(batches["current"], 0)
            batches["is_last_batch"] = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.ckpt_path is None or type(pl_module).configure_optimizers is not BaseModel.configure_optimizers:
            return
        model: Any = pl_module
        (optimizer,), (config,) = trainer.optimizers, trainer.lr_scheduler_configs
        scheduler: Any = config.scheduler
        groups = model.make_optimizer().param_groups
        scheduler.base_lrs = [group["lr"] for group in groups]
        factor = model.lr_factor(scheduler.last_epoch, model.total_steps())
        for group, wanted in zip(optimizer.param_groups, groups, strict=True):
            group.update({name: value for name, value in wanted.items() if name != "params"})
            group["initial_lr"], group["lr"] = wanted["lr"], wanted["lr"] * factor


def positions(checkpoint: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lightning's counts of epochs and batches."""
    loop = checkpoint["loops"]["fit_loop"]
    return loop["epoch_progress"], loop["epoch_loop.batch_progress"]


class StopAtMaxSteps(L.Callback):
    """Makes Lightning validate the last steps where `max_steps` ends a run inside an epoch."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True


class LastCheckpoint(ModelCheckpoint):
    """Saves every epoch as `last.ckpt`; Lightning's `save_last` saves only epochs that are also saved as best.

    An epoch that ends within `INTERVAL` of the last save is skipped, because saving takes 2 % of an epoch of a small
    network. The end of a run is always saved, and so is every epoch of several processes, whose clocks differ.
    """

    def __init__(self, dirpath: str | None) -> None:
        super().__init__(dirpath, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        self.next_write = 0.0

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        is_end = (
            trainer.should_stop
            or trainer.received_sigterm
            or trainer.current_epoch + 1 == trainer.max_epochs
            or trainer.global_step == trainer.max_steps
        )
        if is_end or trainer.world_size > 1 or time.monotonic() >= self.next_write:
            super().on_train_epoch_end(trainer, pl_module)
            self.next_write = time.monotonic() + INTERVAL

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if trainer.state.fn != "fit":
            return
        if isinstance(exception, SIGTERMException):  # Lightning raises it between two steps
            super().on_train_epoch_end(trainer, pl_module)
        if isinstance(exception, KeyboardInterrupt | SIGTERMException) and trainer.is_global_zero:
            path = self.best_model_path
            hint = f"To resume: python train.py fit --ckpt_path {path}" if path else "No checkpoint was saved yet."
            print(f"\nStopped. {hint}", flush=True)


def find_checkpoint(path: str | None, command: str) -> Path:
    """The checkpoint that was typed. If it does not exist, an InputError names the nearest or the newest one."""
    if path is not None and (typed := Path(path).expanduser()).is_file():
        return typed
    complaint = f"there is no checkpoint {path}" if path else f"{command} needs a trained model"
    saved = {str(file): file for file in sorted(RUNS.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)}
    if not saved:
        raise InputError(f"{complaint}, and {RUNS} contains none; train a model: python train.py fit -c {FIRST}")
    newest = [name for name, file in saved.items() if file.stem == "best"] or list(saved)
    near = (path and nearest(path, saved)) or newest[-1]
    raise InputError(f"{complaint}; type: python train.py {command} --ckpt_path {near}")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, whose tensors are read when they are used. Raises InputError for another file."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError):
        checkpoint = None
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint, or a damaged one; type the path of another")
    return checkpoint


def stored_config(path: Path, command: str) -> str | None:
    """The part of the config in a checkpoint that a command uses, as YAML, or None if there is no config.

    `fit` resumes with all of it but the number of processes. The other commands take the network, its data and the
    precision. A data folder that does not exist on this machine is left out.
    """
    if not isinstance(text := read_checkpoint(path).get("config"), str):
        return None
    config = yaml.safe_load(text)
    data_dir = config["data"].get("init_args", {}).get("data_dir")
    if data_dir and not Path(data_dir).expanduser().is_dir():
        print(f"The data folder {data_dir} is not on this machine; use --data.data_dir to name another.")
        del config["data"]["init_args"]["data_dir"]
    trainer = config["trainer"]
    if command != "fit":
        config = {"model": config["model"], "data": config["data"], "trainer": {"precision": trainer["precision"]}}
    else:
        for logger in trainer["logger"] if isinstance(trainer["logger"], list) else [trainer["logger"]]:
            for name in ("save_dir", "version") if isinstance(logger, dict) else ():
                logger["init_args"].pop(name, None)  # a new run, in the usual folder of this machine
        del config["checkpoint"]["dirpath"]
        for name in ("default_root_dir", "devices", "num_nodes", "strategy"):  # this machine may have other devices
            del trainer[name]
    return str(yaml.safe_dump(config, sort_keys=False))


def refuse_another_network(stored: dict[str, Any], config: dict[str, Any]) -> None:
    """Raises an InputError if the stored config of a checkpoint has another network or task than that of this run."""
    differing = []
    for part, free in FREE.items():
        there, here = (
            {"class_path": one[part]["class_path"].split(".")[-1], **one[part].get("init_args", {})}
            for one in (stored, config)
        )
        differing += [
            f"{part}.{name} is {there[name]} there and not {here[name]}"
            for name in there
            if name not in free and there[name] != here.get(name, there[name])
        ]
    if differing:
        reason = f"the checkpoint holds another network or task: {', '.join(differing)}"
        raise InputError(f"{reason}; leave out the config or flag that says so")


def refuse_a_finished_run(config: Any) -> None:
    """Raises an InputError if `fit` resumes from a checkpoint at the end of its run."""
    saved = read_checkpoint(Path(config.ckpt_path))
    done = {"max_epochs": positions(saved)[0]["current"]["processed"], "max_steps": saved["global_step"]}
    for name, number in done.items():
        limit = config.trainer[name]
        if limit is not None and 0 <= limit <= number:
            raise InputError(
                f"{config.ckpt_path} has reached {name}={number} of {limit}, so nothing is left to train; "
                f"type --trainer.{name} {number + 1} or more"
            )
