"""The models. A name in `__all__ = [
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
