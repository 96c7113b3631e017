"""The same network in other hands: 784-128-10, ReLU, batches of 128, seconds an epoch of 60,000 samples on the CPU.

python -m benchmarks.against        # JAX, Keras and scikit-learn are optional: pip install --editable '.[bench]'

Each has a process of its own, which stays and is told when to run, so that rounds are interleaved and what is compiled
is compiled once. An epoch is shuffled, and starts from what the one before has learned. All have AdamW but
scikit-learn, which has Adam; that and Keras take the last 96 samples too.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.paths import PROJECT
from engine.results import Row

BATCH_SIZE, NUM_SAMPLES = 128, 60_000
NUM_BATCHES = NUM_SAMPLES // BATCH_SIZE
ROUNDS = 5
WARM_UPS = 2
Epoch = Callable[[], float]  # seconds


def timed(epoch: Callable[[], Any]) -> Epoch:
    def run() -> float:
        start = time.perf_counter()
        epoch()
        return time.perf_counter() - start

    return run


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """As many inputs and labels as MNIST has: what is in them takes no part in the time."""
    random = np.random.default_rng(0)
    return random.random((NUM_SAMPLES, 784), np.float32), random.integers(0, 10, NUM_SAMPLES)


def matrix_products() -> Epoch:
    """Only the products of the inputs, forward and for the gradient of the first layer's weights: the floor."""
    import torch

    inputs, weight, gradient = torch.rand(BATCH_SIZE, 784), torch.rand(784, 128), torch.rand(BATCH_SIZE, 128)

    def epoch() -> None:
        for _ in range(NUM_BATCHES):
            inputs @ weight
            inputs.T @ gradient

    return timed(epoch)


def by_hand(fused: bool = False) -> Epoch:
    """The loop of every tutorial, on tensors in memory; `fused` with what is quicker: one call for all parameters."""
    import torch
    from torch import nn
    from torch.nn import functional as F

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


def ours(is_compiled: bool = False) -> Epoch:
    """`train.py fit` with everything on; the time of an epoch is a fifth of a run of 5, checkpoints and all."""
    from benchmarks.measure import quietly

    flags = [f"--data.batch_size={BATCH_SIZE}", "--data.val_size=0", "--model.label_smoothing=0"]
    flags += ["--trainer.max_epochs=5", "--trainer.accelerator=cpu", "--test_checkpoint=none"]
    flags += ["--trainer.callbacks+=benchmarks.measure.Compile"] if is_compiled else []
    return lambda: quietly(["-c", "configs/mnist/shallow_mlp.yaml", *flags]).history.seconds / 5


def lightning_as_usual() -> Epoch:
    """Lightning as its pages show it: automatic optimization, a DataLoader of tensors, each loss logged."""
    import logging
    import warnings

    import lightning as L
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, TensorDataset

    class Usual(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
            self.epochs: list[float] = []

        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            loss = F.cross_entropy(self.layers(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters())

        def on_train_epoch_start(self) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.epochs.append(time.perf_counter() - self.start)

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    inputs, targets = (torch.from_numpy(array) for array in numbers())

    def epoch() -> float:
        model = Usual()
        loader = DataLoader(TensorDataset(inputs, targets), BATCH_SIZE, shuffle=True, drop_last=True)
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(max_epochs=3, default_root_dir=folder, accelerator="cpu", enable_progress_bar=False)
            trainer.fit(model, loader)
        return statistics.median(model.epochs)

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


CONTESTANTS: dict[str, tuple[Callable[[], Epoch], tuple[str, ...]]] = {  # and what has to be installed for it
    "the two large matrix products alone": (matrix_products, ()),
    "JAX, one compiled scan": (jax_scan, ("jax",)),
    "Keras 3 on JAX": (keras_on_jax, ("keras", "jax")),
    "scikit-learn, MLPClassifier": (scikit_learn, ("sklearn",)),
    "a loop by hand, eager": (by_hand, ()),
    "the same, fused AdamW and index_select": (lambda: by_hand(fused=True), ()),
    "ours, train.py fit": (ours, ()),
    "ours, train.py fit, model.compile()": (lambda: ours(is_compiled=True), ()),
    "Lightning as usual, DataLoader": (lightning_as_usual, ()),
}


GOALS = (  # one divided by the other is to be at most this
    ("ours, train.py fit", "a loop by hand, eager", 1.05),
    ("ours, train.py fit", "the same, fused AdamW and index_select", 1.05),
    ("ours, train.py fit, model.compile()", "a loop by hand, eager", 1.0),
    ("ours, train.py fit, model.compile()", "scikit-learn, MLPClassifier", 1.0),
    ("ours, train.py fit, model.compile()", "JAX, one compiled scan", 1.3),
)


class Contestant:
    """A process that runs an epoch when it is told to, and says how long it took."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.against", name]
        pipe = subprocess.PIPE
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        self.process = subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=self.errors, text=True)

    def epoch(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        self.errors.seek(0)
        raise RuntimeError(f"{self.process.args!r} ended: {self.errors.read()}")

    def stop(self) -> None:
        self.process.communicate()


def measure(rounds: int = ROUNDS) -> Row:
    installed = {
        name: all(importlib.util.find_spec(package) for package in needed) for name, (_, needed) in CONTESTANTS.items()
    }
    contestants = {name: Contestant(name) for name, is_there in installed.items() if is_there}
    taken: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    first = {name: contestant.epoch() for name, contestant in contestants.items()}  # with what compiles
    for number in range(WARM_UPS - 1 + rounds):
        for name, contestant in contestants.items():
            seconds = contestant.epoch()
            if number >= WARM_UPS - 1:
                taken[name].append(seconds)
    for contestant in contestants.values():
        contestant.stop()
    found = {"seconds": taken, "first": first}
    print(table(found), flush=True)
    return found


def table(found: Row) -> str:
    from benchmarks.measure import markdown, ratio, shown

    eager = found["seconds"]["a loop by hand, eager"]
    rows = [
        [name, f"{statistics.median(values):.3f}", shown(ratio(values, eager)), f"{found['first'][name]:.1f}"]
        if values
        else [name, "not installed", "", ""]
        for name, values in found["seconds"].items()
    ]
    return markdown(["an epoch by", "seconds", "÷ by hand", "the first, s"], rows)


def serve(name: str) -> None:
    epoch = CONTESTANTS[name][0]()
    for _ in sys.stdin:
        print("seconds", epoch(), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(sys.argv[1])
    else:
        measure()
