"""Parses a command and builds its model, data and trainer. The model takes its sizes from the data."""

from __future__ import annotations

import argparse
import functools
import os
import zlib
from pathlib import Path
from pydoc import locate
from typing import Any, Literal

import lightning as L
import yaml
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.model_helpers import is_overridden

from callbacks import BroadcastBuffers, EpochCurves, History, ModelGraph, StepCurves
from callbacks.progress import progress
from datamodules import BaseDataModule
from engine import checkpoints
from engine.errors import SIZES, InputError, wrong_input
from engine.explain import class_names, explain, place_of, read_config, stray_word, wrong_choice
from engine.fast_loop import use_fast_loop
from engine.paths import DEFAULTS, RUNS
from engine.results import Row
from engine.setup import set_up_process
from engine.usage import HINT, PREDICT
from models import BaseModel

ABSTRACT = (BaseModel, BaseDataModule, L.LightningModule, L.LightningDataModule)
LARGEST_SEED = 2**32 - 1  # of NumPy


def build(arguments: list[str]) -> CLI:
    """Parses the arguments and builds model, data and trainer, or raises InputError. Does not run the command."""
    set_up_process()
    command, *rest = arguments
    configs, path, flags = split(rest)
    if flags and not flags[0].startswith("-"):
        raise InputError(stray_word(flags[0]))
    if path is None:
        named = (read_config(config).get("ckpt_path") for config in reversed(configs))
        path = next((value for value in named if value), None)
    options = [*(word for config in configs for word in ("-c", config)), *flags]  # flags win wherever they are typed
    if path is None and command == "fit":
        return CLI([command, *options])
    checkpoint = checkpoints.find_checkpoint(path, command)
    stored = checkpoints.stored_config(checkpoint, command)
    options.append(f"--ckpt_path={checkpoint}")
    if stored is not None:  # else another program wrote the checkpoint
        options = ["--config", stored, *options]
    if command != "fit":
        if any(flag.startswith("--trainer.logger") for flag in flags):
            raise InputError(f"--trainer.logger belongs to fit, because {command} prints its metrics; leave it out")
        options.append("--trainer.logger=false")
    return CLI([command, *options], stored)


def split(arguments: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The configs, the checkpoint and all other flags, each in the order in which they were typed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    parser.add_argument("--ckpt_path")
    try:
        found, flags = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        is_config = "config" in str(error.argument_name)
        answer = f"-c needs a config file; {HINT}" if is_config else "--ckpt_path needs a value: --ckpt_path FILE"
        raise InputError(answer) from None
    return found.config, found.ckpt_path, flags


class CLI:
    """A parsed command line, with model, data and trainer. `engine.commands` runs it. Raises InputError.

    Args:
        arguments: With the command first.
        stored: The config in the checkpoint of `--ckpt_path`, as YAML.
    """

    history: History
    best: ModelCheckpoint
    last: ModelCheckpoint
    checkpoint = ""  # that `fit` chose; empty after other commands
    predictions: Path  # the file that `predict` wrote

    def __init__(self, arguments: list[str], stored: str | None = None) -> None:
        self.arguments, self.command = arguments, arguments[0]
        self.result: Row = {}  # of `fit`
        self.started: list[bool] = []  # empty before the first loop starts: a ValueError is then wrong input
        self.parser = self.make_parser()
        try:
            self.options: Any = self.parser.parse_args(arguments[1:])
        except argparse.ArgumentError as error:
            raise InputError(explain(str(error), self.parser, arguments)) from None
        self.check(stored)
        L.seed_everything(self.options.seed_everything, workers=True)
        try:
            built = self.parser.instantiate_classes(self.options)
            self.model: Any = built.model
            self.datamodule: Any = built.data
            self.trainer = self.make_trainer(dict(**built.trainer))
        except (ValueError, MisconfigurationException) as error:
            original: BaseException = error
            while original.__cause__ is not None:  # jsonargparse wraps what a constructor raised
                original = original.__cause__
            raise wrong_input(original, self.options) from error
        for folder in (logger.log_dir for logger in self.trainer.loggers):
            if folder is not None and Path(folder).exists():
                raise InputError(f"{folder} already contains a run; type another --trainer.logger.init_args.version")

    def make_parser(self) -> LightningArgumentParser:
        """The parser of the command."""
        files, header = [str(DEFAULTS)], [f"lightning.pytorch=={L.__version__}"]  # the header of saved configs
        strict: Any = {"allow_abbrev": False, "exit_on_error": False}
        parser = LightningArgumentParser(default_config_files=files, dump_header=header, **strict)
        parser.add_argument("-c", "--config", action="config")
        parser.add_argument("--seed_everything", type=int, default=0, help="seed of the weights and of the order")
        # with weights only, a checkpoint would lack the config that `test` needs
        for group, name, skip in ((L.Trainer, "trainer", ""), (ModelCheckpoint, "checkpoint", "save_weights_only")):
            parser.add_class_arguments(
                group, name, fail_untyped=False, instantiate=False, sub_configs=True, skip={skip}
            )
        for split in ("train", "val", "test", "predict"):
            # `typing` may put float first in Lightning's type, which turns 1 batch into 1.0, all batches
            action: Any = parser._option_string_actions[f"--trainer.limit_{split}_batches"]
            action._typehint = int | float | None
        logger = {"class_path": "TensorBoardLogger", "init_args": {"save_dir": str(RUNS), "default_hp_metric": False}}
        defaults = {"trainer.default_root_dir": str(RUNS), "trainer.logger": logger, "checkpoint.filename": "best"}
        parser.set_defaults(defaults)
        parser.add_subclass_arguments(L.LightningModule, "model", fail_untyped=False, required=True)
        parser.add_subclass_arguments(L.LightningDataModule, "data", fail_untyped=False, required=True)
        for name in SIZES:
            size = functools.partial(self.size_of_model, name)
            parser.link_arguments("data", f"model.init_args.{name}", compute_fn=size, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        parser.add_argument("--ckpt_path", type=str | None, help="a checkpoint")
        parser.add_argument("--weights_only", type=bool | None, help="how `torch.load` reads it")
        if self.command == "fit":
            which = Literal["best", "last", "none"]
            parser.add_argument("--test_checkpoint", type=which, default="best", help="which checkpoint `fit` tests")
        if self.command == "predict":
            for name, (default, purpose) in PREDICT.items():
                kind = str | None if default is None else type(default)
                parser.add_argument(f"--{name}", type=kind, default=default, help=purpose)
        return parser

    def size_of_model(self, name: str, data: L.LightningDataModule) -> Any:
        """The value of an argument of the model: that of the data, else the typed one. They must not differ."""
        kind, options, source = self.options.model.class_path, self.options.model.init_args, type(data).__name__
        typed = options.get(name)
        if not hasattr(data, name):
            if typed is None and name != "num_tokens" and name in options:
                raise ValueError(
                    f"{kind.split('.')[-1]} needs {name}, which {source} does not have; "
                    f"set self.{name} in its __init__, or type --model.{name}"
                )
            return typed
        value = getattr(data, name)
        # the default of `task` cannot be told from a typed value
        if typed not in (None, value) and (name, typed) != ("task", "classification"):
            raise ValueError(f"model.{name}={typed} cannot be used, because {source} has {name}={value}; leave it out")
        return value

    def check(self, stored: str | None) -> None:
        """Raises an InputError for options that can be parsed, but cannot be run."""
        options = self.options
        if place := place_of("data.seed", self.arguments):
            raise InputError(f"{place} cannot be set; one seed is used for everything: type --seed_everything")
        for part in ("model", "data"):
            if locate(options[part].class_path) in ABSTRACT:
                place, name = place_of(part, self.arguments) or f"--{part}", options[part].class_path.split(".")[-1]
                raise InputError(wrong_choice(place, name, class_names(part)))
        if not 0 <= options.seed_everything <= LARGEST_SEED:
            raise InputError(f"--seed_everything={options.seed_everything} must be between 0 and {LARGEST_SEED}")
        if stored:
            text = self.parser.dump(options, skip_none=False)
            checkpoints.refuse_another_network(yaml.safe_load(stored), yaml.safe_load(text))
        if self.command == "fit":
            if options.ckpt_path is not None:
                checkpoints.refuse_a_finished_run(options)
            self.name_run(options)

    def name_run(self, options: Any) -> None:
        """Names the run after its config file, else its model. Refuses a file as a folder, and to overwrite a run."""
        configs = [Path(os.fspath(path)) for path in options.config or [] if path is not None]
        names = [path.stem for path in configs if path.parent.name != "extras" and path != DEFAULTS]
        name = names[0] if names else options.model.class_path.split(".")[-1]
        checkpoint, loggers = options.checkpoint, options.trainer.logger
        loggers = [] if isinstance(loggers, bool | None) else loggers if isinstance(loggers, list) else [loggers]
        folders = [checkpoint.dirpath, options.trainer.default_root_dir]
        for path in [*folders, *(logger.init_args.get("save_dir") for logger in loggers)]:
            if path is not None and Path(path).expanduser().is_file():
                raise InputError(f"{path} is a file; type the path of a folder")
        if options.trainer.logger is False and checkpoint.dirpath is None:  # a new folder, by Lightning's numbering
            checkpoint.dirpath = str(Path(TensorBoardLogger(RUNS, name).log_dir, "checkpoints"))
        if checkpoint.dirpath and Path(checkpoint.dirpath, "last.ckpt").expanduser().exists():
            raise InputError(f"{checkpoint.dirpath} already contains a run; type another --checkpoint.dirpath")
        for logger in loggers:
            if logger.init_args.get("name") == "lightning_logs":
                logger.init_args.name = name

    def make_trainer(self, options: dict[str, Any]) -> L.Trainer:
        """The trainer, with the callbacks of a run after those of the user."""
        best = dict(**self.options.checkpoint)
        typed_mode = {"mode": best["mode"]} if place_of("checkpoint.mode", self.arguments) else {}
        if best["monitor"] is None:
            best |= best_metric(self.datamodule, self.model) | typed_mode
        elif best["monitor"].endswith("acc"):
            best |= {"mode": "max"} | typed_mode
        stages = ("sanity_check", "train", "validation", "test", "predict")
        starts = LambdaCallback(**{f"on_{name}_start": lambda *_: self.started.append(True) for name in stages})
        self.history = History()
        self.best, self.last = ModelCheckpoint(**best), checkpoints.LastCheckpoint(best["dirpath"])
        own = options["callbacks"] or []
        callbacks = [*own] if isinstance(own, list) else [own]
        callbacks += [starts, ModelGraph(), self.history, self.best, self.last, StepCurves(), EpochCurves()]
        callbacks += [BroadcastBuffers(), checkpoints.Resume()]
        callbacks += [checkpoints.StopAtMaxSteps()] if options["max_steps"] >= 0 else []
        if options["enable_progress_bar"] is not False and "ProgressBar" not in str(self.options.trainer.callbacks):
            callbacks.append(progress(self.history))
        if not options["fast_dev_run"]:
            callbacks.append(checkpoints.SaveConfig(self.parser, self.options))
        if job := os.environ.get("SLURM_JOB_ID"):
            # Lightning resumes from the checkpoint in this folder, so a requeued job must find only its own
            run = zlib.crc32(" ".join(self.arguments).encode())
            options["default_root_dir"] = str(Path(options["default_root_dir"] or RUNS, "slurm", f"{job}_{run:08x}"))
        trainer = L.Trainer(**{**options, "callbacks": callbacks})
        if TorchElasticEnvironment.detect():  # Lightning checks this only with a strategy for several processes
            TorchElasticEnvironment().validate_settings(trainer.num_devices, trainer.num_nodes)
        use_fast_loop(trainer)
        return trainer


def best_metric(data: L.LightningDataModule, model: L.LightningModule) -> dict[str, str | None]:
    """`monitor` and `mode` of the best checkpoint. Nothing is monitored without validation, or for a foreign model."""
    if not isinstance(model, BaseModel):
        return {"monitor": None}  # its metrics are unknown
    usual = "val/loss" if model.task == "regression" else "val/acc"
    metric = getattr(data, "monitor", usual if is_overridden("val_dataloader", data) else None)
    return {"monitor": metric, "mode": getattr(data, "monitor_mode", "max" if metric == "val/acc" else "min")}
