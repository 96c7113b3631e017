"""The data modules. The command line finds a data module in `__all__` by its name."""

from datamodules.base import BaseDataModule
from datamodules.memory import AddingProblem, CopyMemory
from datamodules.mnist import MNIST
from datamodules.plane import Plane
from datamodules.sequence import MNIST1D, SequenceMNIST
from datamodules.text import Text
from datamodules.time_series import TimeSeries

__all__ = [
    "MNIST",
    "MNIST1D",
    "AddingProblem",
    "BaseDataModule",
    "CopyMemory",
    "Plane",
    "SequenceMNIST",
    "Text",
    "TimeSeries",
]
