"""The data modules. A name in `__all__` is a data module that `--data` accepts."""

from datamodules.base import BaseDataModule
from datamodules.mnist import MNIST
from datamodules.sequence import SequenceMNIST

__all__ = ["MNIST", "BaseDataModule", "SequenceMNIST"]
