"""The models. A name in `__all__` is a model that `--model` accepts."""

from models.base import BaseModel
from models.cnn1d import CNN1D
from models.deep_mlp import DeepMLP
from models.fast_cnn import FastCNN
from models.linear import Linear
from models.recurrent import RNN
from models.residual_mlp import ResidualMLP
from models.resnet import ResNet
from models.shallow_mlp import ShallowMLP

__all__ = [
    "CNN1D",
    "RNN",
    "BaseModel",
    "DeepMLP",
    "FastCNN",
    "Linear",
    "ResNet",
    "ResidualMLP",
    "ShallowMLP",
]
