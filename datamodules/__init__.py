"""The data sets. A name in `__all__` is a data module that `--data` accepts."""

from datamodules.base import BaseDataModule
from datamodules.mnist import MNIST
from datamodules.plane import Plane
from datamodules.sequence import MNIST1D, SequenceMNIST

__all__ = ["MNIST", "MNIST1D", "BaseDataModule", "Plane", "SequenceMNIST"]
