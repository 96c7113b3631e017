"""The same network in other libraries: seconds per epoch of 60,000 samples for 784-128-10 in batches of 128, on a CPU.

python -m benchmarks.against            # Keras and scikit-learn are optional: pip install --editable '.[bench]'
python -m benchmarks.against --write    # also saves the result and rewrites the table in benchmarks/README.md

A `fit` of Lightning runs several epochs, with checkpoints. Its time is divided by the number of epochs.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.committed import Found, now, quietly, ratio, speed_program

BATCH_SIZE, NUM_SAMPLES = 128, 60_000
Epoch = Callable[[], Any]  # runs an epoch; returns its seconds if it measures them itself


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and labels, as many as MNIST has. Their values do not change the time."""
    random = np.random.default_rng(0)
    return random.random((NUM_SAMPLES, 784), np.float32), random.integers(0, 10, NUM_SAMPLES)


def by_hand(fused: bool = False) -> Epoch:
    """The loop of every tutorial, on tensors in memory.

    Args:
        fused: Whether to use the faster calls: AdamW that updates all parameters at once, and `index_select`.
    """
    inputs, targets = (torch.from_numpy(array) for array in numbers())
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused or None)

    def epoch() -> None:
        order = torch.randperm(NUM_SAMPLES)[: NUM_SAMPLES // BATCH_SIZE * BATCH_SIZE]
        for indices in order.split(BATCH_SIZE):
            if fused:
                batch, labels = inputs.index_select(0, indices), targets.index_select(0, indices)
            else:
                batch, labels = inputs[indices], targets[indices]
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels).backward()
            optimizer.step()

    return epoch


class Compile(L.Callback):
    """Compiles the model after its graph is drawn, because a compiled model cannot be traced."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.compile()


def ours(*flags: str) -> Epoch:
    """`train.py fit` as shipped, for 5 epochs."""
    arguments = ["-c", "configs/mnist/shallow_mlp.yaml", f"--data.batch_size={BATCH_SIZE}", "--data.val_size=0"]
    arguments += ["--model.label_smoothing=0", "--trainer.max_epochs=5", "--trainer.accelerator=cpu"]
    return lambda: float(quietly([*arguments, "--test_checkpoint=none", *flags]).result["seconds"]) / 5


class Usual(L.LightningModule):
    """The network as Lightning's documentation writes it. Every loss is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = F.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


def lightning_as_usual() -> Epoch:
    """Lightning with a DataLoader of tensors, for 3 epochs."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    samples = TensorDataset(*(torch.from_numpy(array) for array in numbers()))
    loader = DataLoader(samples, BATCH_SIZE, shuffle=True, drop_last=True)

    def epoch() -> float:
        timer = Timer()
        options: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "callbacks": [timer]}
        with tempfile.TemporaryDirectory() as folder:
            L.Trainer(max_epochs=3, default_root_dir=folder, **options).fit(Usual(), loader)
        return timer.time_elapsed("train") / 3

    return epoch


def scikit_learn() -> Epoch:
    from sklearn.neural_network import MLPClassifier

    inputs, targets = numbers()
    network = MLPClassifier((128,), solver="adam", batch_size=BATCH_SIZE)
    return lambda: network.partial_fit(inputs, targets, classes=range(10))


def keras_on_jax() -> Epoch:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    inputs, targets = numbers()
    layers = keras.layers
    network = keras.Sequential([keras.Input((784,)), layers.Dense(128, "relu"), layers.Dense(10)])
    network.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: network.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=1, verbose=0)


CONTESTANTS: dict[str, Callable[[], Epoch]] = {
    "Keras 3 on JAX": keras_on_jax,
    "scikit-learn, MLPClassifier": scikit_learn,
    "a loop by hand, eager": by_hand,
    "the same, fused AdamW and index_select": lambda: by_hand(fused=True),
    "ours, train.py fit": ours,
    "ours, train.py fit, model.compile()": lambda: ours("--trainer.callbacks+=benchmarks.against.Compile"),
    "Lightning as usual, DataLoader": lightning_as_usual,
}
OPTIONAL = {"Keras 3 on JAX": "keras", "scikit-learn, MLPClassifier": "sklearn"}
INSTALLED = [name for name in CONTESTANTS if importlib.util.find_spec(OPTIONAL.get(name, "torch"))]


def one_round(name: str, number: int) -> dict[str, float]:
    """Seconds of the first epoch, which includes compilation, and of an epoch after two to warm up."""
    epoch, taken = CONTESTANTS[name](), []
    for _ in range(3):
        start = now()
        own = epoch()
        taken.append(own if isinstance(own, float) else now() - start)
    return {"first": taken[0], "seconds": taken[-1]}


def table(found: Found) -> pd.DataFrame:
    eager = found["a loop by hand, eager"]["seconds"]
    lines = [
        [name, f"{median(own['seconds']):.3f}", ratio(own["seconds"], eager), f"{own['first'][0]:.1f}"]
        for name, own in found.items()
    ]
    return pd.DataFrame(lines, columns=["an epoch by", "seconds", "÷ by hand", "first epoch, s"])


if __name__ == "__main__":
    speed_program("against", INSTALLED, one_round, table)
