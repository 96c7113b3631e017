"""Where numbers were measured: machine, versions and the state of the code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from comparison.processes import num_cores
from engine.paths import PROJECT
from engine.results import Row


def environment() -> Row:
    """Describes this machine, the versions of the libraries, and the commit of this project."""
    changes = git("status", "--porcelain", "--", "*.py", "*.yaml")
    return {
        "machine": processor(),
        "system": platform.platform(),
        "cores": num_cores(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", num_cores())),
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
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
