"""LightningCLI that takes the sizes of the model from the data, and keeps the best and the last epoch."""

from __future__ import annotations

import argparse
import functools
import os
import zlib
from pathlib import Path
from typing import Any, Literal

import lightning as L
import yaml
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.model_helpers import is_overridden

from callbacks import BroadcastBuffers, EpochCurves, History, ModelGraph, StepCurves, StopWhenDiverged
from callbacks.progress import progress
from engine.checkpoints import (
    LastCheckpoint,
    Resume,
    SaveConfig,
    StopAtMaxSteps,
    refuse_a_finished_run,
    refuse_another_network,
)
from engine.errors import SIZES, InputError, wrong_input
from engine.explain import class_names, explain, place_of, wrong_choice
from engine.fast_loop import use_fast_loop
from engine.paths import DEFAULTS, RUNS
from engine.results import Row
from engine.usage import PREDICT
from models import BaseModel

ABSTRACT = ("BaseModel", "BaseDataModule", "LightningModule", "LightningDataModule")


class Started(L.Callback):
    """Records that the run has started. A ValueError before that is reported as wrong input."""

    has_started = False

    def set_started(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.has_started = True

    on_sanity_check_start = on_train_start = on_validation_start = on_test_start = on_predict_start = set_started


class CLI(LightningCLI):
    """A parsed command line, with model, data and trainer. `engine.commands` runs it.

    Args:
        arguments: With the command first.
        stored: The config in the checkpoint of `--ckpt_path`, as YAML.

    Raises:
        InputError: wrong input.
    """

    history: History
    best: ModelCheckpoint
    last: ModelCheckpoint
    checkpoint = ""  # that `fit` chose; empty after other commands
    predictions: Path  # the file that `predict` wrote

    def __init__(self, arguments: list[str], stored: str | None = None) -> None:
        self.arguments, self.stored = arguments, stored
        self.result: Row = {}  # of `fit`
        strict = {"allow_abbrev": False, "exit_on_error": False}
        logger = {"class_path": "TensorBoardLogger", "init_args": {"save_dir": str(RUNS), "default_hp_metric": False}}
        super().__init__(
            L.LightningModule,
            L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            trainer_defaults={"default_root_dir": str(RUNS), "logger": logger},
            save_config_callback=SaveConfig,
            save_config_kwargs={"save_to_log_dir": False},  # without a logger, that would be a folder of all runs
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_kwargs={**strict, arguments[0]: {**strict, "default_config_files": [str(DEFAULTS)]}},
            args=arguments,
        )

    # Parsing

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        # only the command that was typed, because a parser takes 0.1 s to build
        command = self.arguments[0]
        # engine.commands decides how results are shown
        return {command: {*LightningCLI.subcommands()[command], "verbose", "return_predictions"}}

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand == "fit":
            which = Literal["best", "last", "none"]
            parser.add_argument("--test_checkpoint", type=which, default="best", help="which checkpoint `fit` tests")
        if subcommand == "predict":
            for name, (default, purpose) in PREDICT.items():
                kind = str | None if default is None else type(default)
                parser.add_argument(f"--{name}", type=kind, default=default, help=purpose)
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name in SIZES:
            size = functools.partial(self.size_of_model, name)
            parser.link_arguments("data", f"model.init_args.{name}", compute_fn=size, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        # with weights only, a checkpoint would lack the config that `test` needs
        skip = {"save_weights_only"}
        parser.add_class_arguments(ModelCheckpoint, "checkpoint", skip=skip, fail_untyped=False, instantiate=False)
        parser.set_defaults({"checkpoint.filename": "best"})
        for split in ("train", "val", "test", "predict"):
            # `typing` may put float first in Lightning's type, which turns 1 batch into 1.0, all batches
            action: Any = parser._option_string_actions[f"--trainer.limit_{split}_batches"]
            action._typehint = int | float | None

    def size_of_model(self, name: str, data: L.LightningDataModule) -> Any:
        """The value of an argument of the model: that of the data, else the typed one.

        Raises:
            ValueError: neither was given, or they differ.
        """
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

    def _parse_ckpt_path(self) -> None:
        """Lightning's own lets the options stored in a checkpoint win over configs and flags; here flags win."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        # Lightning's own warns if there is a command line beside `args`, as in a notebook
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            raise InputError(explain(str(error), self._parser(args[0]), args)) from None
        if place := place_of("data.seed", args):
            raise InputError(f"{place} cannot be set; one seed is used for everything: type --seed_everything")

    @property
    def options(self) -> Any:
        """The parsed options of the command."""
        return self.config[self.subcommand]

    # Building

    def before_instantiate_classes(self) -> None:
        options = self.options
        for part in ("model", "data"):
            if (name := options[part].class_path.split(".")[-1]) in ABSTRACT:
                raise InputError(wrong_choice(f"--{part}", name, class_names(part)))
        if self.stored:
            text = self._parser(self.subcommand).dump(options, skip_none=False)
            refuse_another_network(yaml.safe_load(self.stored), yaml.safe_load(text))
        if self.subcommand == "fit":
            if options.ckpt_path is not None:
                refuse_a_finished_run(options)
            self.name_run(options)

    def name_run(self, options: Any) -> None:
        """Names the run after its config file, or after its model if there is none.

        Raises:
            InputError: the folder for checkpoints already contains a run.
        """
        configs = [Path(os.fspath(path)) for path in options.config or [] if path is not None]
        names = [path.stem for path in configs if path.parent.name != "extras" and path != DEFAULTS]
        name = names[0] if names else options.model.class_path.split(".")[-1]
        checkpoint, loggers = options.checkpoint, options.trainer.logger
        if loggers is False and checkpoint.dirpath is None:  # a new folder, by Lightning's numbering
            checkpoint.dirpath = str(Path(TensorBoardLogger(RUNS, name).log_dir, "checkpoints"))
        if checkpoint.dirpath and Path(checkpoint.dirpath, "last.ckpt").expanduser().exists():
            raise InputError(f"{checkpoint.dirpath} already contains a run; type another --checkpoint.dirpath")
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            if not isinstance(logger, bool | None) and logger.init_args.get("name") == "lightning_logs":
                logger.init_args.name = name

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, MisconfigurationException) as error:
            original: BaseException = error
            while original.__cause__ is not None:  # jsonargparse wraps what a constructor raised
                original = original.__cause__
            raise wrong_input(original, self.options) from error
        for folder in (logger.log_dir for logger in self.trainer.loggers):
            if folder is not None and Path(folder).exists():
                raise InputError(f"{folder} already contains a run; type another --trainer.logger.init_args.version")

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        given, options = self.options.trainer, dict(self.options.checkpoint)
        typed_mode = {"mode": options["mode"]} if place_of("checkpoint.mode", self.arguments) else {}
        if options["monitor"] is None:
            options |= best_metric(self.datamodule, self.model) | typed_mode
        elif options["monitor"].endswith("acc"):
            options |= {"mode": "max"} | typed_mode
        self.history, self.started = History(), Started()
        self.best, self.last = ModelCheckpoint(**options), LastCheckpoint(options["dirpath"])
        callbacks = [self.started, ModelGraph(), self.history, self.best, self.last, StepCurves(), EpochCurves()]
        callbacks += [BroadcastBuffers(), StopWhenDiverged(), Resume()]
        callbacks += [StopAtMaxSteps()] if given.max_steps >= 0 else []
        if given.enable_progress_bar is not False and "ProgressBar" not in str(given.callbacks):
            callbacks.append(progress(self.history))
        self.trainer_defaults["callbacks"] = callbacks
        if job := os.environ.get("SLURM_JOB_ID"):
            # Lightning resumes from the checkpoint in this folder, so a requeued job must find only its own
            run = zlib.crc32(" ".join(self.arguments).encode())
            kwargs["default_root_dir"] = str(Path(given.default_root_dir or RUNS, "slurm", f"{job}_{run:08x}"))
        trainer = super().instantiate_trainer(**kwargs)
        if TorchElasticEnvironment.detect():  # Lightning checks this only with a strategy for several processes
            TorchElasticEnvironment().validate_settings(trainer.num_devices, trainer.num_nodes)
        use_fast_loop(trainer)
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Called by Lightning at the end of the constructor. `engine.commands` runs the command later."""


def best_metric(data: L.LightningDataModule, model: L.LightningModule) -> dict[str, str | None]:
    """`monitor` and `mode` of the best checkpoint. Nothing is monitored without validation, or for a foreign model."""
    if not isinstance(model, BaseModel):
        return {"monitor": None}  # its metrics are unknown
    usual = "val/loss" if model.task == "regression" else "val/acc"
    metric = getattr(data, "monitor", usual if is_overridden("val_dataloader", data) else None)
    return {"monitor": metric, "mode": getattr(data, "monitor_mode", "max" if metric == "val/acc" else "min")}
