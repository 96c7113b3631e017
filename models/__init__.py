"""The models. A name in `__all__` is a model that `--model` accepts."""

from models.base import BaseModel
from models.deep_mlp import DeepMLP
from models.recurrent import RNN
from models.resnet import ResNet
from models.shallow_mlp import ShallowMLP

__all__ = ["RNN", "BaseModel", "DeepMLP", "ResNet", "ShallowMLP"]
