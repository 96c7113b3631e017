"""The data sets. A name in `__all__` is a data module that `--data` accepts."""

from datamodules.base import BaseDataModule
from datamodules.memory import AddingProblem, CopyMemory
from datamodules.mnist import MNIST
from datamodules.plane import Plane
from datamodules.sequence import MNIST1D, SequenceMNIST

__all__ = ["MNIST", "MNIST1D", "AddingProblem", "BaseDataModule", "CopyMemory", "Plane", "SequenceMNIST"]
