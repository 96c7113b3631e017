"""One run: any model on any data, from a config and flags.

    python train.py fit -c configs/mnist/shallow_mlp.yaml --model.hidden_size 256
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

import callbacks  # noqa: F401  # what is imported can be named without its module
from callbacks import History, ModelGraph, Progress
from datamodules import BaseDataModule
from models import BaseModel

PROJECT = Path(__file__).parent
DEFAULTS = PROJECT / "configs" / "defaults.yaml"
CHECKPOINTS = {"best": "best.ckpt", "last": "last.ckpt"}


class SaveConfig(SaveConfigCallback):
    """Writes the whole config beside the checkpoints, and with the data's name into TensorBoard's text tab."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(trainer.logger, TensorBoardLogger):
            config = self.parser.dump(self.config, skip_none=False)
            trainer.logger.experiment.add_text("data", trainer.datamodule.title)
            trainer.logger.experiment.add_text("config", f"```yaml\n{config}\n```")


class CLI(LightningCLI):
    """LightningCLI in which the data module tells the model its sizes, and `fit` ends with a test."""

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
        parser.set_defaults({"checkpoint.filename": "best", "checkpoint.save_last": True})
        parser.add_argument(
            "--test_checkpoint",
            type=Literal["best", "last", "none"],
            default="best",
            help="which checkpoint `fit` tests when it ends; best is the best on validation",
        )

    def before_instantiate_classes(self) -> None:
        """A run is called after its config file, or after its model where there is none."""
        config = self.config[self.subcommand] if self.subcommand else self.config
        logger = config.trainer.logger
        if isinstance(logger, bool | list) or logger is None or "name" not in logger.init_args:
            return
        if logger.init_args.name == "lightning_logs":
            experiments = [Path(str(path)) for path in config.config or []]
            experiments = [path for path in experiments if path.parent.name != "extras" and path != DEFAULTS]
            logger.init_args.name = experiments[0].stem if experiments else config.model.class_path.split(".")[-1]

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        self.history = History()
        self.trainer_defaults["callbacks"] = [self.history, ModelGraph()]
        if self._get(self.config_init, "trainer").enable_progress_bar is not False:
            self.trainer_defaults["callbacks"].append(Progress())
        return super().instantiate_trainer(**kwargs)

    def after_fit(self) -> None:
        """Tests the chosen checkpoint and keeps what the run came to in `self.result`."""
        which = self.config.fit.test_checkpoint
        if which == "none" or self.trainer.fast_dev_run:
            return
        checkpoint = self.trainer.checkpoint_callback
        print(checkpoint.best_model_path, checkpoint.last_model_path, self.trainer.global_step, checkpoint._last_global_step_saved)


def main(args: list[str] | None = None, run: bool = True) -> CLI:
    """Parses `args` (by default the command line) and, if `run`, does what they say."""
    return CLI(
        BaseModel,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_defaults={
            "logger": {
                "class_path": "TensorBoardLogger",
                "init_args": {"save_dir": str(PROJECT / "runs"), "default_hp_metric": False},
            }
        },
        save_config_callback=SaveConfig,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={"allow_abbrev": False, **{n: {"default_config_files": [str(DEFAULTS)]} for n in CLI.subcommands()}},
        args=args,
        run=run,
    )


if __name__ == "__main__":
    main()
