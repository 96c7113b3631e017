"""Folders that the commands use."""

from pathlib import Path

PROJECT = Path(__file__).parent.parent
CONFIGS = PROJECT / "configs"
DEFAULTS = CONFIGS / "defaults.yaml"  # read before every other config
RUNS = Path("runs")  # below the working directory
