"""The same network in other libraries: seconds per epoch of 60,000 samples for 784-128-10 in batches of 128, on a CPU.

python -m benchmarks.against            # JAX, Keras and scikit-learn are optional: pip install --editable '.[bench]'
python -m benchmarks.against --write    # also saves the result and rewrites the table in benchmarks/README.md

The contestants take turns, each in a process of its own. Two epochs warm up and the third counts. Every epoch is
shuffled. All use AdamW except scikit-learn, which has Adam. scikit-learn and Keras also train on the last 96 samples.
A `fit` of Lightning runs several epochs, with checkpoints. Its time is divided by the number of epochs.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.committed import markdown
from benchmarks.timing import command_line, in_new_process, quietly, ratio
from engine.results import Row

BATCH_SIZE, NUM_SAMPLES = 128, 60_000
NUM_BATCHES = NUM_SAMPLES // BATCH_SIZE
ROUNDS = 5
WARM_UPS = 2
Epoch = Callable[[], float]  # runs an epoch and returns its seconds


def timed(epoch: Callable[[], Any]) -> Epoch:
    """Wraps a function that trains for an epoch."""

    def run() -> float:
        start = time.perf_counter()
        epoch()
        return time.perf_counter() - start

    return run


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and labels, as many as MNIST has. Their values do not change the time."""
    random = np.random.default_rng(0)
    return random.random((NUM_SAMPLES, 784), np.float32), random.integers(0, 10, NUM_SAMPLES)


def matrix_products() -> Epoch:
    """Only the products with the inputs: forward, and for the gradient of the first layer. A lower bound."""
    inputs, weight, gradient = torch.rand(BATCH_SIZE, 784), torch.rand(784, 128), torch.rand(BATCH_SIZE, 128)

    def epoch() -> None:
        for _ in range(NUM_BATCHES):
            inputs @ weight
            inputs.T @ gradient

    return timed(epoch)


def by_hand(fused: bool = False) -> Epoch:
    """The loop of every tutorial, on tensors in memory.

    Args:
        fused: Whether to use the faster calls: AdamW that updates all parameters at once, and `index_select`.
    """
    inputs, targets = (torch.from_numpy(array) for array in numbers())
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused or None)

    def epoch() -> None:
        order = torch.randperm(NUM_SAMPLES)[: NUM_BATCHES * BATCH_SIZE]
        for indices in order.split(BATCH_SIZE):
            if fused:
                batch, labels = inputs.index_select(0, indices), targets.index_select(0, indices)
            else:
                batch, labels = inputs[indices], targets[indices]
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels).backward()
            optimizer.step()

    return timed(epoch)


class Compile(L.Callback):
    """Compiles the model after its graph is drawn, because a compiled model cannot be traced."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.compile()


def ours(is_compiled: bool = False) -> Epoch:
    """`train.py fit` as shipped, for 5 epochs."""
    flags = [f"--data.batch_size={BATCH_SIZE}", "--data.val_size=0", "--model.label_smoothing=0"]
    flags += ["--trainer.max_epochs=5", "--trainer.accelerator=cpu", "--test_checkpoint=none"]
    flags += ["--trainer.callbacks+=benchmarks.against.Compile"] if is_compiled else []
    return lambda: float(quietly(["-c", "configs/mnist/shallow_mlp.yaml", *flags]).result["seconds"]) / 5


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
    return timed(lambda: network.partial_fit(inputs, targets, classes=range(10)))


def keras_on_jax() -> Epoch:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    inputs, targets = numbers()
    layers = keras.layers
    network = keras.Sequential([keras.Input((784,)), layers.Dense(128, "relu"), layers.Dense(10)])
    network.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return timed(lambda: network.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=1, verbose=0))


def jax_scan() -> Epoch:
    """The whole epoch as one compiled program."""
    import jax
    from jax import numpy as jnp

    inputs, targets = (jnp.asarray(array) for array in numbers())
    keys = jax.random.split(jax.random.key(0), 2)
    sizes = ((784, 128), (128, 10))
    weights = [jax.random.normal(key, size) * size[0] ** -0.5 for key, size in zip(keys, sizes, strict=True)]
    parameters = {"w": weights, "b": [jnp.zeros(128), jnp.zeros(10)]}
    zeros = jax.tree.map(jnp.zeros_like, parameters)

    def loss(p: Any, x: Any, y: Any) -> Any:
        logits = jax.nn.relu(x @ p["w"][0] + p["b"][0]) @ p["w"][1] + p["b"][1]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()

    def step(state: Any, indices: Any) -> Any:
        p, first, second, count = state
        gradient = jax.grad(loss)(p, inputs[indices], targets[indices])
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        count += 1

        def moved(w: Any, m: Any, v: Any) -> Any:
            upward = m / (1 - 0.9**count) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            return w * (1 - 1e-3 * 0.01) - 1e-3 * upward

        return (jax.tree.map(moved, p, first, second), first, second, count), None

    whole = jax.jit(lambda state, order: jax.lax.scan(step, state, order)[0])
    state = (parameters, zeros, zeros, 0.0)
    random = np.random.default_rng(0)

    def epoch() -> None:
        nonlocal state
        order = random.permutation(NUM_SAMPLES)[: NUM_BATCHES * BATCH_SIZE].reshape(NUM_BATCHES, BATCH_SIZE)
        state = jax.block_until_ready(whole(state, order))

    return timed(epoch)


CONTESTANTS: dict[str, Callable[[], Epoch]] = {
    "the two large matrix products alone": matrix_products,
    "JAX, one compiled scan": jax_scan,
    "Keras 3 on JAX": keras_on_jax,
    "scikit-learn, MLPClassifier": scikit_learn,
    "a loop by hand, eager": by_hand,
    "the same, fused AdamW and index_select": lambda: by_hand(fused=True),
    "ours, train.py fit": ours,
    "ours, train.py fit, model.compile()": lambda: ours(is_compiled=True),
    "Lightning as usual, DataLoader": lightning_as_usual,
}
OPTIONAL = {"JAX, one compiled scan": "jax", "Keras 3 on JAX": "keras", "scikit-learn, MLPClassifier": "sklearn"}


def one_round(name: str) -> Row:
    """Seconds of the first epoch, which includes compilation, and of an epoch after the warm-up."""
    epoch = CONTESTANTS[name]()
    first, *_, last = [epoch() for _ in range(WARM_UPS + 1)]
    return {"first": first, "seconds": last}


def measure(rounds: int | None = None) -> Row:
    installed = [name for name in CONTESTANTS if importlib.util.find_spec(OPTIONAL.get(name, "torch"))]
    turns = [{name: in_new_process(one_round, name) for name in installed} for _ in range(rounds or ROUNDS)]
    seconds = {name: [turn[name]["seconds"] for turn in turns] for name in installed}
    return {"seconds": seconds, "first": {name: turns[0][name]["first"] for name in installed}}


def table(found: Row) -> str:
    eager = found["seconds"]["a loop by hand, eager"]
    lines = [
        [name, f"{statistics.median(values):.3f}", ratio(values, eager), f"{found['first'][name]:.1f}"]
        for name, values in found["seconds"].items()
    ]
    return markdown(pd.DataFrame(lines, columns=["an epoch by", "seconds", "÷ by hand", "first epoch, s"]))


if __name__ == "__main__":
    command_line("against", measure, table)
