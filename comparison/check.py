"""Checks that every run can start, in one child process, and completes the plan by what is known before training."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import Any

from comparison.plan import Plan, Run
from comparison.processes import in_child
from engine.errors import InputError
from engine.results import Row


def check(plan: Plan) -> None:
    """Completes the entries of a plan: sizes, the width of `--match`, and one source of data for all.

    Raises:
        InputError: a run cannot start, or the runs cannot be compared.
        RunFailed: a run cannot start because of a bug.
    """
    runs = [Run(entry, plan.seeds[0], Path("unused", entry.name, "seed")) for entry in plan.entries]
    for entry, about in zip(plan.entries, in_child(inspect_runs, runs, plan.is_matched), strict=True):
        entry.argv += about.pop("flags")
        entry.about = about
    names = {entry.about["task"]: entry.name for entry in plan.entries if entry.about["task"]}
    if len(names) > 1:
        tasks = ", ".join(f"{name} is {task}" for task, name in names.items())
        raise InputError(f"{tasks}: different tasks have different scores; compare each task separately")


def inspect_runs(runs: list[Run], match: bool) -> list[Row]:
    """Builds all runs, one per entry, and prepares their data. Runs in the child, and prints to stderr.

    Args:
        runs: One per entry.
        match: Whether all models get as many parameters as the first.

    Raises:
        InputError: a run cannot start.
    """
    from engine import cli  # noqa: PLC0415  # in the child only, as it loads PyTorch

    built: list[Any] = []
    with_subset: list[Any] = []  # data modules
    rows: list[Row] = []
    with contextlib.redirect_stdout(sys.stderr):
        try:
            for run in runs:
                built.append(cli.build(run.argv))
                data = built[-1].datamodule
                if getattr(data, "has_subset", False):
                    with_subset.append(data)
                    if with_subset[0].source == "subset":  # do not try to download again
                        data.source = "subset"
                data.prepare_data()
                if data in with_subset and data.settle_source() == "subset":
                    for other in with_subset:  # a table never mixes a data set with its subset
                        other.source = "subset"
            for run, one in zip(runs, built, strict=True):
                rows.append(describe(run, one, rows[0]["parameters"] if match and rows else None))
        except ValueError as error:
            meant = re.match(r"--(\S+) is not an option of \S+; type --(\S+)", str(error))
            message = f"type --vary {meant[2]}=..." if meant and meant[1] in run.entry.varied else str(error)
            raise InputError(f"{run.entry.name}: {message}") from error
    return rows


def describe(run: Run, built: Any, parameters: int | None) -> Row:
    """What is known of a run before training. `flags` are further arguments of `train.py`.

    Args:
        run: The run.
        built: Its model, data and trainer, as `engine.cli.build` returns them.
        parameters: Number of parameters to match, or None.

    Raises:
        ValueError: a comparison cannot have such a run.
    """
    import torch  # noqa: PLC0415
    from lightning.pytorch.loggers import TensorBoardLogger  # noqa: PLC0415

    from engine import report, sizes  # noqa: PLC0415

    trainer, data, model, flags = built.trainer, built.datamodule, built.model, []
    if trainer.num_devices * trainer.num_nodes > 1:
        raise ValueError("a comparison uses one device per run; use train.py, or type -- --trainer.devices=1")
    options = built.options
    if options.ckpt_path or options.checkpoint.dirpath or options.trainer.fast_dev_run:
        raise ValueError("a comparison cannot use ckpt_path, checkpoint.dirpath or fast_dev_run; leave them out")
    if not isinstance(trainer.logger, TensorBoardLogger):
        raise ValueError("a comparison needs a TensorBoardLogger; leave out trainer.logger")
    if getattr(data, "has_subset", False):
        flags.append(f"--data.source={data.source}")
    width_option = getattr(model, "width_option", None)
    if parameters is not None and width_option is not None:
        option = f"--model.{width_option}"
        if any(argument.partition("=")[0] == option for argument in run.entry.argv):
            raise ValueError(f"--match chooses {option}; leave out one of the two")
        width: Any = sizes.matched_width(model, parameters)
        flags.append(f"{option}={width}")
        built.model = sizes.on_meta(model, **{width_option: width})
    described = report.describe(built)
    device = trainer.strategy.root_device
    return {
        **{name: described[name] for name in ("model", "data", "depth", "parameters", "flops")},
        "task": getattr(data, "task", None),
        "score": getattr(data, "score", None),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "flags": flags,
    }
