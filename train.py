"""One run: any model on any data, from a config and flags.

python train.py fit -c configs/mnist/shallow_mlp.yaml --model.hidden_size 256
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks import History, ModelGraph, Progress
from datamodules import BaseDataModule
from models import BaseModel

PROJECT = Path(__file__).parent
DEFAULTS = PROJECT / "configs" / "defaults.yaml"
DECIDED_BY = {  # values that CLI links, and what to type to change them
    "model.input_shape": "the data, chosen by --data and its options",
    "model.num_outputs": "the data, chosen by --data and its options",
    "model.task": "the data, chosen by --data and its options",
    "data.seed": "--seed_everything",
    "checkpoint.monitor": "the task of the data: val/loss for regression, else val/acc",
    "checkpoint.mode": "the task of the data: min for regression, else max",
}


def quiet() -> None:
    """The one place where messages are filtered, each with its reason."""
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
    # `accelerator: cpu` on a machine with a GPU means it
    warnings.filterwarnings("ignore", message=r"GPU available but not used")
    # `val_size: 0` means it
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")
    # step/ curves count steps across epochs, so an epoch may be shorter than the logging interval
    warnings.filterwarnings("ignore", message=r"The number of training batches \(\d+\) is smaller")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(is_told)


def is_told(record: logging.LogRecord) -> bool:
    """Whether a message of Lightning's is shown: not its advertising, nor word of hardware that nobody has."""
    return not record.getMessage().startswith(("💡 Tip", "TPU available"))


def found(argument: str) -> str:
    """A config path that is not in the working directory is looked for in the project."""
    option, equals, path = argument.rpartition("=")
    inside = PROJECT / path
    if path.endswith(".yaml") and not Path(path).exists() and inside.is_file():
        return f"{option}{equals}{inside}"
    return argument


def refuse_linked(arguments: list[str]) -> None:
    """Raises a ValueError if a flag or a config sets a value that a link would override without a word."""
    names = [argument.removeprefix("--").partition("=")[0] for argument in arguments if argument.startswith("--")]
    for argument in arguments:
        path = Path(argument.rpartition("=")[2])
        if path.suffix == ".yaml" and path.is_file():
            config = yaml.safe_load(path.read_text()) or {}
            for part in ("model", "data", "checkpoint"):
                options = config.get(part)
                if isinstance(options, dict):
                    names += [f"{part}.{name}" for name in options.get("init_args", options)]
    for name in names:
        linked = name.replace(".init_args", "")
        if linked in DECIDED_BY:
            raise ValueError(f"{linked} cannot be set: it is decided by {DECIDED_BY[linked]}")


class SaveConfig(SaveConfigCallback):
    """Writes the whole config beside the checkpoints, and with the data's name into TensorBoard's text tab."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(trainer.logger, TensorBoardLogger):
            config = self.parser.dump(self.config, skip_none=False)
            datamodule: Any = getattr(trainer, "datamodule", None)
            trainer.logger.experiment.add_text("data", datamodule.title)
            trainer.logger.experiment.add_text("config", f"```yaml\n{config}\n```")


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest epoch in `last.ckpt`; the option `save_last` keeps the newest that was best (Lightning 2.6)."""

    def __init__(self) -> None:
        super().__init__(filename="last", save_on_train_epoch_end=True, enable_version_counter=False)


class CLI(LightningCLI):
    """LightningCLI in which the data module tells the model its sizes, and `fit` ends with a test.

    Attributes:
        history: seconds and validations of the run.
        result: what `fit` came to: epochs, seconds, the training loss of the last epoch, and loss and accuracy of the
            tested checkpoint on validation and test data.
    """

    history: History
    result: dict[str, float]

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name != "predict"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name in ("input_shape", "num_outputs", "task"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.link_arguments("data.monitor", "checkpoint.monitor", apply_on="instantiate")
        parser.link_arguments("data.monitor_mode", "checkpoint.mode", apply_on="instantiate")
        parser.set_defaults({"checkpoint.filename": "best"})
        parser.add_argument(
            "--test_checkpoint",
            type=Literal["best", "last", "none"],
            default="best",
            help="which checkpoint `fit` tests when it ends; best is the best on validation",
        )

    def _parse_ckpt_path(self) -> None:
        """Lightning's own lets the options stored in a checkpoint win over configs and flags; here flags win."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        # Lightning's own warns of a command line beside `args`, which a notebook and a test runner have
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """A run is called after its config file, or after its model where there is none."""
        config = self.config[self.subcommand] if self.subcommand else self.config
        logger = config.trainer.logger
        if isinstance(logger, bool | list) or logger is None or "name" not in logger.init_args:
            return
        if logger.init_args.name == "lightning_logs":
            experiments = [Path(os.fspath(path)) for path in config.config or []]
            experiments = [path for path in experiments if path.parent.name != "extras" and path != DEFAULTS]
            logger.init_args.name = experiments[0].stem if experiments else config.model.class_path.split(".")[-1]
        version = logger.init_args.get("version")
        if isinstance(version, str) and self.subcommand == "fit":
            folder = Path(logger.init_args.save_dir, logger.init_args.name, version)
            if folder.exists():
                raise ValueError(f"{folder} holds a run already; type another --trainer.logger.init_args.version")

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
        self.history, self.last_checkpoint, self.result = History(), LastCheckpoint(), {}
        self.trainer_defaults["callbacks"] = [self.history, self.last_checkpoint, ModelGraph()]
        if self._get(self.config_init, "trainer").enable_progress_bar is not False:
            self.trainer_defaults["callbacks"].append(Progress())
        return super().instantiate_trainer(**kwargs)

    def before_validate(self) -> None:
        self.require_checkpoint("validate")

    def before_test(self) -> None:
        self.require_checkpoint("test")

    def require_checkpoint(self, subcommand: str) -> None:
        """Refuses to measure weights that nobody trained."""
        if self.config[subcommand].ckpt_path is None:
            raise ValueError(
                f"{subcommand} needs a trained model; type --ckpt_path runs/<config>/<run>/checkpoints/best.ckpt"
            )

    def after_fit(self) -> None:
        """Tests the chosen checkpoint, says which it was, and keeps what the run came to in `self.result`."""
        trainer: Any = self.trainer
        which = self.config.fit.test_checkpoint
        best: ModelCheckpoint = self._get(self.config_init, "checkpoint")
        # without validation there is no best
        checkpoint = best if which != "last" and best.best_model_path else self.last_checkpoint
        path = checkpoint.best_model_path
        if not path or "train/loss" not in trainer.callback_metrics:
            print("No epoch was trained to its end, so nothing is tested.", flush=True)
            return
        saved = torch.load(path, weights_only=True, map_location="cpu")
        validation = self.history.validation.get(saved["global_step"], {})
        self.result = {
            "epochs": trainer.current_epoch,
            "seconds": self.history.seconds,
            "train_loss": float(trainer.callback_metrics["train/loss"]),
            **{f"val_{name}": value for name, value in validation.items()},
        }
        if which == "none":
            return
        (metrics,) = trainer.test(
            self.model, datamodule=self.datamodule, ckpt_path=path, weights_only=True, verbose=False
        )
        tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
        self.result |= {name.replace("/", "_"): value for name, value in tested.items()}
        reason = f"best {checkpoint.monitor}" if checkpoint.monitor else "the last"
        shown = "  ".join(f"{name} {value:.4f}" for name, value in tested.items())
        if trainer.is_global_zero:
            print(f"{shown}  (epoch {saved['epoch'] + 1}, {reason}: {path})", flush=True)


def main(args: list[str] | None = None, run: bool = True) -> CLI:
    """Parses `args` (by default the command line) and, if `run`, does what they say; else builds everything only."""
    quiet()
    arguments = [found(argument) for argument in (sys.argv[1:] if args is None else args)]
    refuse_linked(arguments)
    defaults = {"default_config_files": [str(DEFAULTS)]}
    return CLI(
        BaseModel,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_defaults={
            "default_root_dir": str(PROJECT / "runs"),
            "logger": {
                "class_path": "TensorBoardLogger",
                "init_args": {"save_dir": str(PROJECT / "runs"), "default_hp_metric": False},
            },
        },
        save_config_callback=SaveConfig,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        auto_configure_optimizers=False,
        # abbreviated options would let a misspelt one pass for another
        parser_kwargs={
            "allow_abbrev": False,
            **({name: dict(defaults) for name in CLI.subcommands()} if run else defaults),
        },
        args=arguments,
        run=run,
    )


if __name__ == "__main__":
    main()
