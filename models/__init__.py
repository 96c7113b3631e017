"""The models. The command line finds a model in `__all__` by its name."""

from models.alexnet import AlexNet
from models.base import BaseModel
from models.cnn1d import CNN1D
from models.deep_mlp import DeepMLP
from models.fast_cnn import FastCNN
from models.lenet import LeNet
from models.linear import Linear
from models.recurrent import RNN
from models.residual_mlp import ResidualMLP
from models.resnet import ResNet
from models.shallow_mlp import ShallowMLP
from models.tcn import TCN
from models.transformer import Transformer
from models.vgg import VGG

__all__ = [
    "CNN1D",
    "RNN",
    "TCN",
    "VGG",
    "AlexNet",
    "BaseModel",
    "DeepMLP",
    "FastCNN",
    "LeNet",
    "Linear",
    "ResNet",
    "ResidualMLP",
    "ShallowMLP",
    "Transformer",
]
