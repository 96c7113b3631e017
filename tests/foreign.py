"""A LightningModule and LightningDataModules as in Lightning's documentation, which know nothing of this project."""

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Net(L.LightningModule):
    def __init__(self, hidden: int = 8, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.hparams["lr"])


class Loaders(L.LightningDataModule):
    def __init__(self, batch_size: int = 32) -> None:
        super().__init__()
        self.batch_size = batch_size

    def loader(self) -> DataLoader[Any]:
        inputs = torch.randn(160, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(inputs, inputs.flatten(1)[:, :10].argmax(1)), batch_size=self.batch_size)

    train_dataloader = val_dataloader = test_dataloader = loader


class SizedLoaders(Loaders):
    def __init__(self) -> None:
        super().__init__()
        self.input_shape = [1, 28, 28]
        self.num_outputs = 10
        self.task = "classification"
