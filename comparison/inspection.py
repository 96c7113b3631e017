"""What is done in the processes of a comparison: look at a run before it starts, train it, describe the machine."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from pathlib import Path

from comparison.plan import Entry
from comparison.processes import cores
from engine.paths import PROJECT
from engine.results import Row


def inspect(entry: Entry, take_subset: bool, parameters: int | None) -> Row:
    """Builds a run and fetches its data; says what is known of it, or in `refusal` why it cannot start.

    Args:
        entry: what is to run.
        take_subset: MNIST could not be fetched before, so it is not tried again.
        parameters: how many the network should have; none leaves its width as it is.
    """
    import torch  # noqa: PLC0415  # in the child only

    import train  # noqa: PLC0415
    from engine import sizes  # noqa: PLC0415

    try:
        cli = train.main(["-c", entry.config, *entry.flags], run=False)
        num_devices = cli.trainer.num_devices * cli.trainer.num_nodes
        if num_devices > 1:
            command = shlex.join([sys.executable, str(PROJECT / "train.py"), "fit", "-c", entry.config, *entry.flags])
            raise ValueError(
                f"{entry.config} asks for {num_devices} devices, but a comparison gives each run one; "
                f"train it by itself: {command}"
            )
        has_source = getattr(cli.datamodule, "has_subset", False)
        if has_source and take_subset:
            cli.datamodule.source = "subset"
        cli.datamodule.prepare_data()
        source = cli.datamodule.settle_source() if has_source else None
    except ValueError as error:
        if not train.is_refusal(error):
            raise
        return {"refusal": str(error)}
    model = cli.model
    option = f"--model.{model.width_option}"
    if parameters and option in [flag.partition("=")[0] for flag in entry.flags]:
        return {"refusal": f"--match decides {option} of {entry.name}; leave out one of the two"}
    width = sizes.matched_width(model, parameters) if parameters else None
    if width is not None:
        model = sizes.on_meta(model, **{str(model.width_option): width})
    device = cli.trainer.strategy.root_device
    return {
        "model": type(model).__name__,
        "source": source,
        "data": cli.datamodule.title,
        "task": cli.datamodule.task,
        "depth": model.depth,
        "parameters": sizes.num_parameters(model),
        "flops": sizes.flops(model),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "width": None if width is None else f"{option}={width}",
    }


def train_one(entry: Entry, flags: list[str]) -> Row:
    """One run of train.py; what came of it."""
    import train  # noqa: PLC0415

    result = train.main(["fit", "-c", entry.config, *flags]).result
    return result or {"error": "the run ended before its first epoch did"}


def environment() -> Row:
    """Where the numbers come from: machine, versions and the state of the code."""
    import lightning  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import torchvision  # noqa: PLC0415

    changes = git("status", "--porcelain")
    return {
        "machine": processor(),
        "system": platform.platform(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": lightning.__version__,
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def git(*arguments: str) -> str | None:
    """What git prints of this project; none where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
