"""Where numbers were measured: machine, versions and the state of the code."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from comparison.processes import num_cores
from engine.paths import PROJECT
from engine.results import Row


def environment() -> Row:
    """Describes this machine, the versions of the libraries, and the commit of this project."""
    import torch  # noqa: PLC0415  # takes seconds; compare.py calls this function in a child process

    changes = git("status", "--porcelain")
    return {
        "machine": processor(),
        "system": platform.platform(),
        "cores": num_cores(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("torch", "torchvision", "lightning")},
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def git(*arguments: str) -> str | None:
    """The output of git in this project, or None without git or without a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor() -> str:
    """The name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
