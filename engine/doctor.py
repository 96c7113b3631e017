"""`python train.py doctor`: the versions, devices and data that a run finds on this machine, and what is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import torch

from datamodules import MNIST, SpokenDigits, Text, TimeSeries
from datamodules.mnist import FILES
from engine.fast_loop import TESTED, fingerprint
from engine.paths import RUNS

PACKAGES = ("torch", "torchvision", "lightning", "tensorboard", "jsonargparse", "torchmetrics")


def doctor() -> list[str]:
    """Prints versions, devices and data. Returns the problems, each with what to do about it."""
    problems: list[str] = []
    print(f"{'python':13} {platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        print(f"{name:13} {importlib.metadata.version(name)}")
    print(f"{'cpu':13} {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    print(f"{'gpu':13} {gpu(problems)}")
    for data in (MNIST("mnist", source="full"), MNIST("fashion"), MNIST("kmnist")):
        print(f"{data.title:13} {files(data, problems)}")
    for name, path in (
        ("Text", Text().path),
        ("SpokenDigits", SpokenDigits().folder),
        ("TimeSeries", TimeSeries().path),
    ):
        print(f"{name:13} {path if path.exists() else f'not in {path}; the first run downloads it'}")
    print(f"{'runs':13} {RUNS.absolute()}, {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free")
    if not os.access(Path.cwd(), os.W_OK):
        problems.append(f"runs cannot be saved in {Path.cwd()}; change to another working directory")
    if fingerprint() not in TESTED.values():
        tested = " and ".join(TESTED)
        problems.append(
            f"the fast loop is off and training is slower; install lightning {tested}, which it was tested with"
        )
    return problems


def gpu(problems: list[str]) -> str:
    """The GPU that a run uses. If a driver is installed and the GPU cannot be used, this is a problem."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        number = torch.cuda.device_count()
        return f"{number} x {device.name}, {device.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        problems.append("a GPU driver is installed, but this PyTorch is built for CPUs; install PyTorch with CUDA")
    elif shutil.which("nvidia-smi"):
        problems.append(f"a GPU driver is installed, but CUDA {torch.version.cuda} finds no GPU; run nvidia-smi")
    return "none, so runs use the CPU"


def files(data: MNIST, problems: list[str]) -> str:
    """Where the files of a data set are, or what happens without them."""
    if missing := data.missing_files():
        return f"{len(missing)} of {len(FILES)} files are not in {data.raw}; the first run downloads them"
    try:
        for name in FILES:
            data.read(name)
    except ValueError as error:
        problems.append(str(error))
        return f"damaged in {data.raw}"
    return f"complete in {data.raw}"
