"""What a checkpoint keeps of its run besides the weights, and how the next run goes on from it."""

from __future__ import annotations

import inspect
import pickle
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from datamodules import BaseDataModule
from engine.errors import InputError
from engine.paths import RUNS
from engine.usage import FIRST, nearest
from models import BaseModel

INTERVAL = 1.0  # seconds between two writings of `last.ckpt`
# what a checkpoint's network and data leave open: how it is trained, and how its data is loaded
TRAINING = {*inspect.signature(BaseModel).parameters, "dropout"}
# not val_size: what was trained on would validate
AUGMENTATION = {"shift", "rotation", "scale"}
PLACES = {"data_dir", "file", "rows", "source"}
LOADING = {*inspect.signature(BaseDataModule).parameters, *PLACES, *AUGMENTATION} - {"val_size"}


class SaveConfig(SaveConfigCallback):
    """Keeps the whole config in every checkpoint, beside them, and with the data's name in TensorBoard's text tab."""

    text: str  # written once, before the first step: that costs more than writing the weights of a small network

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        config = self.config.clone()
        config.ckpt_path = None  # who runs it again begins anew
        datamodule: Any = getattr(trainer, "datamodule", None)
        if getattr(datamodule, "has_subset", False):
            config.data.init_args.source = datamodule.source  # what `auto` came to
        self.text = str(self.parser.dump(config, skip_none=False))
        if isinstance(trainer.logger, TensorBoardLogger):
            Path(trainer.logger.log_dir, "config.yaml").write_text(self.text, encoding="utf-8")
            trainer.logger.experiment.add_text("data", getattr(datamodule, "title", type(datamodule).__name__))
            trainer.logger.experiment.add_text("config", f"```yaml\n{self.text}\n```")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.is_global_zero:  # the one that writes it
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
        loop = checkpoint["loops"]["fit_loop"]
        epochs, batches = loop["epoch_progress"], loop["epoch_loop.batch_progress"]
        is_inside = batches["current"]["ready"] > 0 and not batches["is_last_batch"]
        if is_inside and epochs["current"]["processed"] == epochs["current"]["ready"]:
            for counts in (epochs["current"], epochs["total"]):
                counts["processed"] -= 1

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["callbacks"].pop("Timer", None)
        loop = checkpoint["loops"]["fit_loop"]
        epochs, batches = loop["epoch_progress"], loop["epoch_loop.batch_progress"]
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


class StopAtMaxSteps(L.Callback):
    """Has what the last steps made validated where `max_steps` ends a run inside an epoch; Lightning would not."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest epoch in `last.ckpt`; the option `save_last` keeps the newest that was best (Lightning 2.6).

    One that ends within `INTERVAL` of the last one written is left out: writing takes 2 % of an epoch of a small
    network. The end of a run is always written, and so is every epoch of several processes, whose clocks differ.
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
    """The checkpoint that was typed.

    Raises:
        InputError: there is none. The message names the nearest or the newest one.
    """
    if path is not None and Path(path).expanduser().is_file():
        return Path(path).expanduser()
    complaint = f"there is no checkpoint {path}" if path else f"{command} needs a trained model"
    saved = {str(file): file for file in sorted(RUNS.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)}
    if not saved:
        raise InputError(f"{complaint}, and {RUNS} contains none; train a model: python train.py fit -c {FIRST}")
    newest = [name for name, file in saved.items() if file.stem == "best"] or list(saved)
    near = (path and nearest(path, saved)) or newest[-1]
    raise InputError(f"{complaint}; type: python train.py {command} --ckpt_path {near}")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. Tensors are read from the file when they are used.

    Raises:
        InputError: the file is not a checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError):
        checkpoint = None
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a checkpoint, or a damaged one; type the path of another")
    return checkpoint


def stored_config(path: Path, command: str) -> str | None:
    """The part of the config in a checkpoint that a command uses, as YAML, or None if there is no config.

    `fit` resumes with all of it but the number of processes. The other commands take the network, its data and the
    precision. A data folder that does not exist on this machine is left out.

    Raises:
        InputError: the file is not a checkpoint.
    """
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint.get("config"), str):
        return None
    config = yaml.safe_load(checkpoint["config"])
    data_dir = config["data"].get("init_args", {}).get("data_dir")
    if data_dir and not Path(data_dir).expanduser().is_dir():
        print(f"The data folder {data_dir} is not on this machine; use --data.data_dir to name another.")
        del config["data"]["init_args"]["data_dir"]
    if command != "fit":
        trainer = {"precision": config["trainer"]["precision"]}
        config = {"model": config["model"], "data": config["data"], "trainer": trainer}
    else:
        loggers = config["trainer"]["logger"]
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            for name in ("save_dir", "version") if isinstance(logger, dict) else ():
                logger["init_args"].pop(name, None)  # a new run, in the usual folder of this machine
        del config["checkpoint"]["dirpath"]
        for name in ("default_root_dir", "devices", "num_nodes", "strategy"):  # this machine may have other devices
            del config["trainer"][name]
    return str(yaml.safe_dump(config, sort_keys=False))


def refuse_another_network(stored: dict[str, Any], config: dict[str, Any]) -> None:
    """Raises an InputError that names what differs between the network or task of a checkpoint and of this run.

    Args:
        stored: The config in the checkpoint.
        config: The config of this run, dumped and loaded like the other one.
    """
    differing = []
    for part, free in (("model", TRAINING), ("data", LOADING)):
        there, here = stored[part], config[part]
        if there["class_path"] != here["class_path"]:
            names = [each["class_path"].split(".")[-1] for each in (there, here)]
            differing.append(f"{part} is {names[0]} there and not {names[1]}")
            continue
        there, here = there.get("init_args", {}), here.get("init_args", {})
        differing += [
            f"{part}.{name} is {there[name]} there and not {here[name]}"
            for name in there
            if name not in free and there[name] != here.get(name, there[name])
        ]
    if differing:
        raise InputError(
            f"the checkpoint holds another network or task: {', '.join(differing)}; "
            "leave out the config or flag that says so"
        )


def refuse_a_finished_run(config: Any) -> None:
    """Raises an InputError if `fit` resumes from a checkpoint at the end of its run."""
    saved = torch.load(config.ckpt_path, map_location="cpu", weights_only=True, mmap=True)
    finished = saved["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    done = {"max_epochs": finished, "max_steps": saved["global_step"]}
    for name, number in done.items():
        limit = config.trainer[name]
        if limit is not None and 0 <= limit <= number:
            raise InputError(
                f"{config.ckpt_path} has reached {name}={number} of {limit}, so nothing is left to train; "
                f"type --trainer.{name} {number + 1} or more"
            )
