"""LightningCLI as used here: sizes from the data, runs from a checkpoint alone, a quiet console."""

from __future__ import annotations

import argparse
import ctypes
import functools
import hashlib
import inspect
import logging
import os
import platform
import re
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.model_helpers import is_overridden

from callbacks import (
    BroadcastBuffers,
    EpochCurves,
    History,
    ModelGraph,
    Predictions,
    StepCurves,
    StopWhenDiverged,
)
from callbacks.divergence import Diverged
from callbacks.history import stage_metrics
from callbacks.predictions import new_folder
from callbacks.progress import progress
from datamodules import BaseDataModule
from datamodules.loader import TensorLoader
from engine import results, sizes
from engine.arguments import DECIDED_BY, RunFailed, check, configs_to_type, flags, settings
from engine.checkpoints import (
    LastCheckpoint,
    Resume,
    SaveConfig,
    StopAtMaxSteps,
    refuse_an_ended_run,
    refuse_another_network,
    stored_config,
)
from engine.fast_loop import use_fast_loop
from engine.names import nearest
from engine.paths import DEFAULTS, RUNS
from models import BaseModel
from models.metrics import IGNORE_INDEX

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
LIMITS = [f"limit_{split}_batches" for split in ("train", "val", "test", "predict")] + ["overfit_batches"]


def quiet() -> None:
    """The one place where messages are filtered, each with its reason."""
    # what Lightning tells at each start, such as hardware found and the model's table, and its advertising
    for logger in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    # but a profiler's report and a model's summary that were asked for are printed
    for logger in ("lightning.pytorch.profilers", "lightning.pytorch.callbacks.model_summary"):
        logging.getLogger(logger).setLevel(logging.INFO)
    # Lightning 2.6 asks what torch 2.15 deprecates; it works, and only Lightning can change it
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # Lightning 2.6 calls what jsonargparse 4.49 deprecates; pyproject.toml keeps to versions that still have it
    for start in (
        "``ArgumentParser.add_instantiator`` was deprecated",
        "``instantiate_classes`` was deprecated",
        "skip_none parameter was deprecated",
        "By default only one JsonargparseDeprecationWarning per type is shown",
    ):
        warnings.filterwarnings("ignore", message=rf"\s*{start}", category=DeprecationWarning)
    # a checkpoint tested or gone on from in a new run: that run keeps its own record of what is best
    warnings.filterwarnings("ignore", message=r"The dirpath has changed from")
    # what averaged the weights in training has no part in a test
    warnings.filterwarnings("ignore", message=r"Be aware that when using `ckpt_path`, callbacks used to create")
    # data in memory needs no workers
    warnings.filterwarnings("ignore", message=r"The 'predict_dataloader' does not have many workers")
    # PyTorch's recurrent layers keep their weights in a list too, which an exported program leaves out
    warnings.filterwarnings("ignore", message=r"The tensor attributes self\.layers\._flat_weights")
    # PyTorch 2.14 deprecates a function that its own export of recurrent layers to ONNX calls
    warnings.filterwarnings("ignore", message=r"_check_is_size will be removed in a future PyTorch release")
    # `accelerator: cpu` on a machine with a GPU means it
    warnings.filterwarnings("ignore", message=r"GPU available but not used")
    # `val_size: 0` means it
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")
    # a kernel of one input channel has its numbers in the same places whatever the strides of its gradient
    warnings.filterwarnings("ignore", message=r"Grad strides do not match bucket view strides")
    # step/ curves count steps across epochs, so an epoch may be shorter than the logging interval
    warnings.filterwarnings("ignore", message=r"The number of training batches \(\d+\) is smaller")


def in_one_line(message: str) -> str:
    """What the parser says is wrong, without what it tried, and with the nearest class where one was misspelt."""
    tried = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a <class", "Expected a path but")
    lines = [line.strip(" -") for line in message.splitlines()]
    said = " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(tried)))
    if said.endswith(":"):  # what it tried is all it says
        said = " ".join(line for line in lines if line)
    unknown = re.search(r"given class_path '[\w.]*?(\w+)': Option '(\w+)' is not accepted", said)
    if unknown:
        (chosen,) = [one for one in known_classes() if one.__name__ == unknown[1]][:1] or [object]
        near = nearest(unknown[2], set(inspect.signature(chosen).parameters))
        return f"{unknown[1]} has no option {unknown[2]}" + (f"; type {near}" if near else "")
    misspelt = re.search(r"Expected a dot import path string: (\w+)$", said)
    if misspelt:
        near = nearest(misspelt[1], {one.__name__ for one in known_classes()})
        said = f"there is no {misspelt[1]}; " + (f"type {near}" if near else "type the import path of the class")
    return said


def known_classes() -> list[type[Any]]:
    """Callbacks and loggers, of Lightning and of ours."""
    return [one for base in (L.Callback, Logger) for one in subclasses(base)]


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from subclasses(one)


def metrics_table(rows: dict[str, dict[str, float]]) -> str:
    """Loss and accuracy of each set of samples, right-aligned."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"{'':8}" + "".join(f"{name:>10}" for name in names)]
    for title, row in rows.items():
        cells = [f"{row[name]:.2%}" if name == "acc" else f"{row[name]:.4f}" for name in names if name in row]
        lines.append(f"{title:8}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


class CLI(LightningCLI):
    """LightningCLI in which the data module tells the model its sizes, and `fit` ends with a test.

    Args:
        stored: the text of the config that the checkpoint given by `--ckpt_path` holds.
        arguments: all others as `LightningCLI` has them.

    Attributes:
        history: seconds and validations of the run.
        result: what `fit` came to, with the columns of `results.py`.
        predictions: the file that `predict` wrote.
    """

    history: History
    result: results.Row
    predictions: Path
    checkpoint_path = ""  # what `fit` tested

    def __init__(self, *arguments: Any, stored: str | None = None, **options: Any) -> None:
        self.stored = stored
        super().__init__(*arguments, **options)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        # how results are shown is decided below
        return {name: {*skip, "verbose", "return_predictions"} for name, skip in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name in ("input_shape", "num_outputs", "task"):
            size = functools.partial(self.size_of_model, name)
            parser.link_arguments("data", f"model.init_args.{name}", compute_fn=size, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        for name, choice in (("monitor", monitor), ("mode", monitor_mode)):
            parser.link_arguments(("data", "model"), f"checkpoint.{name}", compute_fn=choice, apply_on="instantiate")
        parser.set_defaults({"checkpoint.filename": "best"})
        parser.add_argument(
            "--test_checkpoint",
            type=Literal["best", "last", "none"],
            default="best",
            help="which checkpoint `fit` tests when it ends; best is the best on validation",
        )
        parser.add_argument(
            "--images", type=str | None, help="what `predict` predicts on: an image or a folder of them"
        )

    def size_of_model(self, name: str, data: L.LightningDataModule) -> Any:
        """The value of an argument of the model: the data's own, else what was typed.

        Raises:
            ValueError: the model needs it and the data does not have it, or both were given and differ.
        """
        model = self._get(self.config, "model")
        options, kind = model.init_args, model.class_path.split(".")[-1]
        if not hasattr(data, name):
            if name in options and options[name] is None:
                raise ValueError(
                    f"{kind} needs {name}, which {type(data).__name__} does not supply; "
                    f"set self.{name} in its __init__, or type --model.{name}"
                )
            return options.get(name)
        value, typed = getattr(data, name), options.get(name)
        is_default = name == "task" and typed == "classification"  # it looks the same, typed or not
        if typed is not None and typed != value and not is_default:
            raise ValueError(
                f"model.{name}={typed} cannot be used, because {type(data).__name__} has {name}={value}; leave it out"
            )
        return value

    def _parse_ckpt_path(self) -> None:
        """Lightning's own lets the options stored in a checkpoint win over configs and flags; here flags win."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.arguments: list[str] = args
        # Lightning's own warns of a command line beside `args`, which a notebook and a test runner have
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            raise ValueError(in_one_line(str(error))) from None
        # jsonargparse reads 1 batch as 1.0, all of them
        command = self.config.get("subcommand")
        given = {setting.name: setting.value for setting in settings(args[1:] if command else args)}
        self.batches = {name: given[f"trainer.{name}"] for name in LIMITS if type(given.get(f"trainer.{name}")) is int}
        trainer = (self.config[command] if command else self.config).trainer
        for name, number in self.batches.items():
            trainer[name] = number

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand] if self.subcommand else self.config
        self.refuse_what_cannot_be(config)
        self.name_run(config)

    def refuse_what_cannot_be(self, config: Any) -> None:
        """Raises a ValueError where the parts of a config do not go together, or with this machine."""
        if self.stored:
            text = self._parser(self.subcommand).dump(config, skip_none=False)
            refuse_another_network(yaml.safe_load(self.stored), yaml.safe_load(text))
        if self.subcommand == "fit" and config.ckpt_path is not None:
            refuse_an_ended_run(config)
        has_gpu = torch.cuda.is_available() or (config.trainer.accelerator == "gpu" and torch.mps.is_available())
        if config.trainer.accelerator in ("cuda", "gpu") and not has_gpu:
            raise ValueError(
                f"trainer.accelerator={config.trainer.accelerator}, but PyTorch finds none here; "
                "type --trainer.accelerator cpu"
            )
        on_cuda = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "cuda", "gpu")
        if config.trainer.sync_batchnorm and not on_cuda:
            raise ValueError(
                "trainer.sync_batchnorm=True needs CUDA: on a CPU each process normalises its own share of a batch; "
                "type --trainer.sync_batchnorm false"
            )
        if config.trainer.enable_checkpointing is False:
            raise ValueError("trainer.enable_checkpointing=False would leave nothing to test; leave it out")
        if config.checkpoint.save_weights_only:
            raise ValueError("checkpoint.save_weights_only=True would leave out what test and fit need; leave it out")

    def name_run(self, config: Any) -> None:
        """Names the run after its config file, or after its model if there is none.

        Raises:
            ValueError: a folder of the run is a file, or holds a run already.
        """
        folder = config.checkpoint.dirpath
        given = config.trainer.logger
        loggers = [one for one in (given if isinstance(given, list) else [given]) if not isinstance(one, bool | None)]
        for path in [folder, config.trainer.default_root_dir, *(one.init_args.get("save_dir") for one in loggers)]:
            if path is not None and Path(path).expanduser().is_file():
                raise ValueError(f"{path} is a file; type the path of a folder")
        if self.subcommand == "fit" and folder and Path(folder, "last.ckpt").expanduser().exists():
            raise ValueError(f"{folder} holds a run already; type another --checkpoint.dirpath")
        experiments = [Path(os.fspath(path)) for path in config.config or [] if path is not None]
        experiments = [path for path in experiments if path.parent.name != "extras" and path != DEFAULTS]
        name = experiments[0].stem if experiments else config.model.class_path.split(".")[-1]
        if given is False and self.subcommand == "fit" and config.checkpoint.dirpath is None:
            config.checkpoint.dirpath = str(new_folder(RUNS / name) / "checkpoints")
        for one in loggers:
            if "name" not in one.init_args:
                continue
            if one.init_args.name == "lightning_logs":
                one.init_args.name = name
            version = one.init_args.get("version")
            if version is not None and self.subcommand == "fit":
                version = version if isinstance(version, str) else f"version_{version}"
                place = Path(one.init_args.save_dir, one.init_args.name, version).expanduser()
                if place.exists():
                    raise ValueError(f"{place} holds a run already; type another --trainer.logger.init_args.version")

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            # jsonargparse hides what a constructor raised behind the types it then tried in vain
            original: BaseException = error
            while original.__cause__ is not None:
                original = original.__cause__
            raise original from None

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        last = LastCheckpoint(self._get(self.config_init, "checkpoint").dirpath)
        self.history, self.last_checkpoint, self.result = History(), last, {}
        trainer = self._get(self.config_init, "trainer")
        others = [
            StepCurves(),
            EpochCurves(),
            BroadcastBuffers(),
            StopWhenDiverged(),
            Resume(),
            *([StopAtMaxSteps()] if trainer.max_steps >= 0 else []),
        ]
        self.trainer_defaults["callbacks"] = [self.history, self.last_checkpoint, ModelGraph(), *others]
        typed = trainer.callbacks if isinstance(trainer.callbacks, list) else [trainer.callbacks]
        if trainer.enable_progress_bar is not False and not any(isinstance(one, ProgressBar) for one in typed):
            self.trainer_defaults["callbacks"].append(progress(self.history))
        if "SLURM_JOB_ID" in os.environ:
            kwargs["default_root_dir"] = str(slurm_folder(Path(trainer.default_root_dir or RUNS), self.arguments))
        try:
            built = super().instantiate_trainer(**self.batches, **kwargs)
        except (ValueError, MisconfigurationException) as error:
            raise ValueError(" ".join(str(error).split())) from None
        # torchrun says how many it started, here and in all; Lightning, which sets the same numbers, starts as many as
        # it is told
        if "TORCHELASTIC_RUN_ID" in os.environ:
            here, in_all = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
            if (here, in_all) != (built.num_devices, built.num_devices * built.num_nodes):  # each might train alone
                raise ValueError(
                    f"{in_all} processes, {here} on this machine, were started for trainer.devices={built.num_devices} "
                    f"and trainer.num_nodes={built.num_nodes}; type --trainer.devices with torchrun's "
                    "--nproc_per_node and --trainer.num_nodes with its --nnodes"
                )
        use_fast_loop(built)
        return built

    def fit(self, **arguments: Any) -> None:
        try:
            self.trainer.fit(**arguments)
        except ValueError as error:
            logger = self.trainer.logger
            if self.history.start is None and self.trainer.is_global_zero and isinstance(logger, TensorBoardLogger):
                self.remove_run(Path(logger.log_dir))
            if str(error).startswith("Expected more than 1 value per channel when training"):  # PyTorch's
                raise ValueError(
                    "batch norm needs at least 2 samples per device in training; use a larger --data.batch_size"
                ) from None
            raise
        except Diverged as error:
            raise RunFailed(str(error)) from None
        except RuntimeError as error:
            if "/gloo/" not in str(error):  # the file that gloo says it stands in; it has no type of its own
                raise
            path = self.last_checkpoint.best_model_path
            told = f"to resume: python train.py fit --ckpt_path {path}" if path else "no checkpoint was saved"
            reason = str(error).split("] ", 1)[-1].split(". ")[0]
            raise RunFailed(f"another process of this run has ended or does not answer ({reason}); {told}") from error

    def remove_run(self, folder: Path) -> None:
        """Removes the folder of a run that was refused before its first step: it holds nothing but its config."""
        curves = list(folder.glob("events.out.tfevents.*"))
        for file in (*curves, folder / "config.yaml") if len(curves) == 1 else ():  # two: another run is here too
            file.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def after_fit(self) -> None:
        """Tests the chosen checkpoint, says which it was, and keeps what the run came to in `self.result`."""
        trainer: Any = self.trainer
        which = self.config.fit.test_checkpoint
        best: ModelCheckpoint = self._get(self.config_init, "checkpoint")
        # without validation there is no best
        checkpoint = best if which != "last" and best.best_model_path else self.last_checkpoint
        path = checkpoint.best_model_path
        if not path:
            print("No checkpoint was kept, so nothing is tested.", flush=True)
            return
        saved = torch.load(path, weights_only=True, map_location="cpu")
        validation = self.history.validation.get(saved["global_step"], {})
        rows = {"train": stage_metrics("train", trainer.callback_metrics), "val": validation}
        self.result = {
            **self.described(),
            "train_loss": rows["train"].get("loss"),
            **{f"val_{name}": value for name, value in validation.items()},
        }
        if which != "none":
            if "SLURM_JOB_ID" in os.environ and trainer.is_global_zero:  # else Lightning would test this checkpoint
                for file in Path(trainer.default_root_dir).glob("hpc_ckpt_*.ckpt"):
                    file.unlink()
            trainer.strategy.barrier()
            # with ckpt_path, a callback that averages weights would load the weights that are not averaged
            self.model.load_state_dict(saved["state_dict"])
            trainer.test(self.model, datamodule=self.datamodule, verbose=False)
            rows["test"] = stage_metrics("test", trainer.callback_metrics)
            self.result |= {f"test_{name}": value for name, value in rows["test"].items()}
        if trainer.is_global_zero:
            self.keep_result()
            about = f"{self.result['model']}, {self.result['parameters']:,} parameters, on {self.result['data']}"
            reason = f"best {checkpoint.monitor}" if checkpoint.monitor else "the last"
            measured = " and ".join(name for name in ("val", "test") if rows.get(name))
            epochs = f"{round(self.history.num_epochs, 2):g} epoch{'s' * (self.history.num_epochs != 1)}"
            print(f"\n{about}: {epochs} in {self.history.seconds:.1f} s\n")
            print(metrics_table({name: row for name, row in rows.items() if row}))
            last = list(self.history.validation.values())[-1:] or [rows["train"]]
            print(doubt(self.model, self.datamodule, rows["train"].get("loss"), last[0].get("loss")), end="")
            smoothed = ", its loss with label smoothing" if self.model.hparams.get("label_smoothing") else ""
            print(f"\ntrain: epoch {trainer.current_epoch}{smoothed}")
            print(f"{measured or 'saved'}: epoch {saved['epoch'] + 1}, {reason}: {path}", flush=True)
            self.checkpoint_path = path

    def next_commands(self) -> str:
        """What to type after `fit`, one command per line, each with its purpose."""
        path = shlex.quote(self.checkpoint_path)
        reads_images = getattr(type(self.datamodule), "read_images", None) not in (None, BaseDataModule.read_images)
        predict = f"python train.py predict --ckpt_path {path}"
        commands = {
            **(
                {f"python -m tensorboard.main --logdir {self.trainer.logger.save_dir}": "curves"}
                if isinstance(self.trainer.logger, TensorBoardLogger)
                else {}
            ),
            f"python train.py test --ckpt_path {path}": "evaluate on the test set",
            **({f"{predict} --images PATH": "predict your own images"} if reads_images else {predict: "predict"}),
        }
        return "\nNext:\n" + "\n".join(f"  {command}\n      # {purpose}" for command, purpose in commands.items())

    def described(self) -> results.Row:
        """What was run and what it cost, as a row of results has it."""
        logger, model, data = self.trainer.logger, self.model, self.datamodule
        batch_size = getattr(data, "batch_size", None)
        return {
            "config": (logger and logger.name) or type(self.model).__name__,
            "model": type(model).__name__,
            "data": title(data),
            "depth": getattr(model, "depth", None),
            "parameters": sizes.num_parameters(model),
            "flops": sizes.flops(model) if isinstance(model, BaseModel) else None,
            "activation": activation(model),
            **{name: model.hparams.get(name) for name in ("optimizer", "lr")},
            "batch_size": batch_size,
            "seed": self._get(self.config, "seed_everything"),
            "epochs": self.history.num_epochs,
            "seconds": self.history.seconds,
            "seconds_per_epoch": self.history.seconds_per_epoch,
            "samples_per_second": self.history.samples_per_second(batch_size) if batch_size else None,
            "peak_memory_mib": peak_memory(self.trainer.strategy.root_device),
        }

    def keep_result(self) -> None:
        """Writes the run's row beside its curves, and to TensorBoard's HPARAMS page, in the same run."""
        logger = self.trainer.logger
        if isinstance(logger, TensorBoardLogger):
            results.write(self.result, Path(logger.log_dir))
            logger.log_hyperparams(*results.hyperparameters(self.result), step=self.result["epochs"])
            logger.save()

    def validate(self, **arguments: Any) -> None:
        if getattr(self.datamodule, "val_size", None) == 0:
            raise ValueError("validate has no samples, since val_size=0 held none back; type test instead")
        self.trainer.validate(**arguments, verbose=False)
        self.show("val")

    def test(self, **arguments: Any) -> None:
        self.trainer.test(**arguments, verbose=False)
        self.show("test")

    def show(self, stage: str) -> None:
        if self.trainer.is_global_zero:
            print(f"{type(self.model).__name__} on {title(self.datamodule)}\n")
            print(metrics_table({stage: stage_metrics(stage, self.trainer.callback_metrics)}), flush=True)

    def predict(self, model: L.LightningModule, datamodule: Any, **arguments: Any) -> None:
        """Writes what the model makes of each test sample, or of each image it was given.

        Of a model that is no `BaseModel`, the outputs of `predict_step` are saved as they are.
        """
        if self.trainer.world_size > 1:
            raise ValueError(f"predict takes one device, not {self.trainer.world_size}; type --trainer.devices 1")
        if not isinstance(model, BaseModel):
            self.predictions = new_folder(RUNS / "predictions") / "predictions.pt"
            torch.save(self.trainer.predict(model, datamodule=datamodule, **arguments), self.predictions)
            print(f"Predictions are in {self.predictions}", flush=True)
            return
        images, files = self.config.predict.images, None
        source: dict[str, Any] = {"datamodule": datamodule}
        if images is not None:
            if not hasattr(datamodule, "read_images"):
                raise ValueError(f"{title(datamodule)} has no read_images; leave out --images")
            inputs, files = datamodule.read_images(Path(images))
            unknown = torch.full((len(inputs),), IGNORE_INDEX)
            source = {"dataloaders": TensorLoader((inputs, unknown), datamodule.batch_size)}
        writer = Predictions(RUNS / "predictions", files, getattr(datamodule, "classes", None))
        callbacks: Any = self.trainer
        callbacks.callbacks.append(writer)
        self.trainer.predict(model, **source, return_predictions=False, **arguments)
        self.predictions = writer.path


def with_flags(error: ValueError) -> str:
    """The message of an error with each argument as its flag: `--data.batch_size=128` for `batch_size=128`."""
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    owners = [one for one in owners if isinstance(one, L.LightningModule | L.LightningDataModule)]
    if not owners:
        return str(error)
    part = "model" if isinstance(owners[-1], L.LightningModule) else "data"
    kinds = [one for one in type(owners[-1]).__mro__ if issubclass(one, L.LightningModule | L.LightningDataModule)]
    known = {name for kind in kinds for name in inspect.signature(kind).parameters}
    return re.sub(
        r"(?<![\w.-])(\w+)=",
        lambda match: (
            f"--{part}.{match[0]}" if f"{part}.{match[1]}" not in DECIDED_BY and match[1] in known else match[0]
        ),
        str(error),
    )


def doubt(model: L.LightningModule, data: L.LightningDataModule, train: float | None, last: float | None) -> str:
    """A warning if the last loss is not below the loss of a constant output, else an empty string.

    Args:
        model: Models with a loss of their own are not judged.
        data: The data of the run.
        train: Training loss of the last epoch.
        last: Last validation loss, or the training loss without validation.
    """
    is_known = isinstance(model, BaseModel) and type(model).loss is BaseModel.loss
    if not is_known or not isinstance(data, BaseDataModule) or last is None:
        return ""
    constant = data.constant_loss()
    if last < constant or constant == 0:
        return ""
    has_learned = train is not None and train < constant
    reason = "the network overfits" if has_learned else "the network has not learned; try another --model.lr"
    return f"\nThe loss ended at {last:.4f}, not below {constant:.4f}, the loss of a constant output: {reason}.\n"


def monitor(data: L.LightningDataModule, model: L.LightningModule) -> str | None:
    """The metric that tells the best epoch; None without validation, and for a model that is no `BaseModel`."""
    if not isinstance(model, BaseModel):
        return None  # it logs what it likes: a ModelCheckpoint among the callbacks may name it
    if hasattr(data, "monitor"):
        return data.monitor
    if not is_overridden("val_dataloader", data):
        return None
    return "val/loss" if model.task == "regression" else "val/acc"


def monitor_mode(data: L.LightningDataModule, model: L.LightningModule) -> str:
    return str(getattr(data, "monitor_mode", "max" if monitor(data, model) == "val/acc" else "min"))


def title(data: L.LightningDataModule) -> str:
    """What the data is called where results are shown."""
    return str(getattr(data, "title", type(data).__name__))


def activation(model: L.LightningModule) -> str:
    """The nonlinearity: an option of the model, the cell of a recurrent one, or the layers that are one."""
    chosen = model.hparams.get("activation") or model.hparams.get("cell")
    layers = {
        type(one).__name__.lower() for one in model.modules() if type(one).__module__ == "torch.nn.modules.activation"
    }
    return str(chosen or "+".join(sorted(layers)) or "none")


def peak_memory(device: torch.device) -> float | None:
    """The most memory in use, in MiB: tensors on a GPU, else all of the process; none where nobody counts it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def keep_freed_memory() -> None:
    """Has glibc keep freed memory for what is taken next; other C libraries stay as they are.

    It gives tensors of more than 32 MiB back as soon as they are freed, and the system clears every page that is taken
    anew: nearly half of each step of an LSTM over 200 time steps on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)  # no block for itself, which would end with what is in it
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # the heap never shrinks


def slurm_folder(root: Path, arguments: list[str]) -> Path:
    """Where Lightning saves and looks for the checkpoint of a job that SLURM requeues: a folder of this run alone.

    A requeued job has the same number and the same arguments. Any other run must not load its checkpoint.
    """
    job = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ["SLURM_JOB_ID"])
    run = hashlib.sha256(" ".join(arguments).encode()).hexdigest()[:8]
    return root / "slurm" / "_".join([job, os.environ.get("SLURM_ARRAY_TASK_ID", "0"), run])


def start(arguments: list[str], run: bool) -> CLI:
    """Parses what `arguments.check` has let through and, if `run`, does it; else builds everything only.

    Raises:
        ValueError: wrong input that only the real parser, the checkpoint or the data could see.
    """
    quiet()
    keep_freed_memory()
    # gradients shrink with every time step that a recurrent network looks back, and below 1e-38 a number takes many
    # CPUs a hundred times as long: a step of a GRU over 392 time steps took five times as long on an Intel Xeon
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():
        # Lightning sets it to 1, and AdamW looks for a GPU at every step: through NVML that takes 30 times as long,
        # more than the rest of Python's part in the step of a small network
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    stored = None
    if run:
        command, *options = arguments
        paths = [str(setting.value) for setting in settings(options) if setting.name == "ckpt_path" and setting.value]
        stored = stored_config(paths[-1], command) if paths else None
        if paths and stored is None and not {"config", "model"} & {name for name, _ in flags(options)}:
            raise ValueError(f"{paths[-1]} holds no config, as those of train.py do; {configs_to_type()}")
        before = ["--config", stored] if stored else []
        check([command, *before, *options])  # again, now that the network of the checkpoint is known
        if command != "fit":
            before.append("--trainer.logger=false")  # what it measures is printed; a run's folder is made by fit
        arguments = [command, *before, *options]
    defaults = {"default_config_files": [str(DEFAULTS)]}
    strict = {"allow_abbrev": False, "exit_on_error": False}  # no misspelt option passes for another; errors are ours
    build = functools.partial(
        CLI,
        L.LightningModule,
        L.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_defaults={
            "default_root_dir": str(RUNS),
            "logger": {
                "class_path": "TensorBoardLogger",
                "init_args": {"save_dir": str(RUNS), "default_hp_metric": False},
            },
        },
        save_config_callback=SaveConfig,
        save_config_kwargs={"save_to_log_dir": False},  # which without a logger would be a folder of all runs
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={
            **strict,
            **({name: {**strict, **defaults} for name in CLI.subcommands()} if run else defaults),
        },
        args=arguments,
        run=run,
        stored=stored,
    )
    try:
        return build()
    except SIGTERMException:  # its own exit code is 0
        raise SystemExit(128 + signal.SIGTERM) from None


class InputError(ValueError):
    """Wrong input. The message is one line that says what to type."""


def build(arguments: list[str]) -> CLI:
    """Parses the arguments of `train.py` and builds model, data and trainer, without running the command.

    Raises:
        InputError: wrong input.
    """
    return _called(arguments[1:], run=False)


def main(arguments: list[str]) -> CLI:
    """Does what `train.py` does with these arguments.

    Raises:
        InputError: wrong input.
        RunFailed: the run ended without a result.
    """
    return _called(arguments, run=True)


def _called(arguments: list[str], run: bool) -> CLI:
    import train  # noqa: PLC0415

    try:
        return train.main(arguments, run=run)
    except ValueError as error:
        if train.is_refusal(error):
            raise InputError(str(error)) from error
        raise
