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
    """
    first_runs = [Run(entry, plan.seeds[0], Path("unused", entry.name, "seed")) for entry in plan.entries]
    answer = in_child(inspect_runs, first_runs, plan.command["match"] is not None)
    if "error" in answer:
        raise InputError(answer["error"])
    for entry, about in zip(plan.entries, answer["entries"], strict=True):
        entry.argv += about.pop("flags", [])
        entry.about = about
    if plan.command["match"]:
        plan.parameters = plan.entries[0].about["parameters"]
    names = {entry.about["task"]: entry.name for entry in plan.entries if entry.about}
    if len(names) > 1:
        tasks = ", ".join(f"{name} is {task}" for task, name in names.items())
        raise InputError(f"{tasks}: different tasks have different scores; compare each task separately")


def inspect_runs(runs: list[Run], match: bool, sources: dict[tuple[str, ...], str] | None = None) -> Row:
    """Builds all runs, one per entry, and prepares their data. Runs in the child, and prints to stderr.

    Args:
        runs: One per entry.
        match: Whether all models get as many parameters as the first.
        sources: Source of each data set that is prepared, by the arguments that decide it.
    """
    found: list[Row] = []
    sources = sources or {}
    with contextlib.redirect_stdout(sys.stderr):
        for run in runs:
            try:
                found.append(inspect_run(run, found[0]["parameters"] if match and found else None, sources))
            except ValueError as error:
                unknown = re.match(r"--(\w+) is not an option; type --([\w.]+)", str(error))
                is_varied = unknown is not None and unknown[1] in run.entry.varied
                answer = f"type --vary {unknown[2]}=..." if unknown and is_varied else str(error)
                return {"error": f"{run.entry.name}: {answer}"}
            except Exception as error:  # a bug, which the run will report, or a class without sizes
                if match and not found:
                    return {"error": f"--match needs the size of {run.entry.name}, which fails: {error!r}"}
                found.append({})
    if {"full", "subset"} <= set(sources.values()):
        return inspect_runs(runs, match, {(): "subset"})  # a table never mixes a data set with its subset
    return {"entries": found}


def inspect_run(run: Run, parameters: int | None, sources: dict[tuple[str, ...], str]) -> Row:
    """Describes a run. `flags` are further arguments of `train.py`: the source of data and the matched width.

    Raises:
        ValueError: the run cannot start.
    """
    import torch  # noqa: PLC0415  # in the child only
    from lightning.pytorch.loggers import TensorBoardLogger  # noqa: PLC0415

    from engine import cli, sizes  # noqa: PLC0415

    built = cli.build(run.argv)
    num_devices = built.trainer.num_devices * built.trainer.num_nodes
    if num_devices > 1:
        raise ValueError(f"a comparison uses one device per run, not {num_devices}; use train.py instead")
    options = built.options
    if options.ckpt_path or options.checkpoint.dirpath or options.trainer.fast_dev_run:
        raise ValueError("leave ckpt_path, checkpoint.dirpath and fast_dev_run out of the configs of a comparison")
    if not isinstance(built.trainer.logger, TensorBoardLogger):
        raise ValueError("a comparison needs a TensorBoardLogger; leave trainer.logger out of its configs")
    data: Any = built.datamodule
    has_subset, flags = getattr(data, "has_subset", False), []
    decided_by = tuple(argument for argument in run.entry.argv if not argument.startswith("--model."))
    if has_subset:  # once MNIST could not be downloaded, it is not tried again
        data.source = "subset" if "subset" in sources.values() else sources.get(decided_by, data.source)
    if decided_by not in sources:
        data.prepare_data()
        sources[decided_by] = data.settle_source() if has_subset else ""
    if has_subset:
        flags.append(f"--data.source={data.source}")
    model: Any = built.model
    if parameters is not None and model.width_option is not None:
        option = f"--model.{model.width_option}"
        if option in [argument.partition("=")[0] for argument in run.entry.argv]:
            raise ValueError(f"--match chooses {option}; leave out one of the two")
        width: Any = sizes.matched_width(model, parameters)
        flags.append(f"{option}={width}")
        model = sizes.on_meta(model, **{model.width_option: width})
    device = built.trainer.strategy.root_device
    return {
        "model": type(model).__name__,
        "data": data.title,
        "task": data.task,
        "depth": model.depth,
        "parameters": sizes.num_parameters(model),
        "flops": sizes.flops(model),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "flags": flags,
    }
