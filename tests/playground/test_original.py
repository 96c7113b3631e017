"""The rule against a loop over single examples, written from its description."""

from typing import Any

import numpy as np
import pytest
import torch

from playground.original import OriginalMLP, OriginalSGD, batches

FUNCTIONS: dict[str, Any] = {  # each with its slope
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "linear": (lambda z: z, np.ones_like),
}
NUM_SAMPLES, BATCH_SIZE, NUM_EPOCHS, LR = 23, 5, 100, 0.1


def reference(
    weights: list[np.ndarray],
    biases: list[np.ndarray],
    functions: list[Any],
    data: tuple[np.ndarray, np.ndarray],
    regularization: str,
    rate: float,
) -> list[float]:
    """Trains in place, one example after another. Returns the mean loss of each update."""
    alive = [np.ones_like(weight) for weight in weights]
    slopes = [[np.zeros_like(array) for array in arrays] for arrays in (weights, biases)]
    losses: list[float] = []
    accumulated: list[float] = []
    for _ in range(NUM_EPOCHS):
        for i, (x, y) in enumerate(zip(*data, strict=True)):
            outputs, sums = [x], []
            for weight, bias, (function, _) in zip(weights, biases, functions, strict=True):
                sums.append(weight @ outputs[-1] + bias)
                outputs.append(function(sums[-1]))
            accumulated.append(0.5 * (outputs[-1][0] - y) ** 2)
            error = outputs[-1] - y
            for layer in reversed(range(len(weights))):
                delta = error * functions[layer][1](sums[layer])
                slopes[0][layer] += np.outer(delta, outputs[layer])
                slopes[1][layer] += delta
                error = weights[layer].T @ delta
            if (i + 1) % BATCH_SIZE == 0:
                for layer in range(len(weights)):
                    weight = weights[layer]
                    direction = {"none": 0 * weight, "l1": np.sign(weight), "l2": weight.copy()}[regularization]
                    weight -= LR * slopes[0][layer] / len(accumulated) * alive[layer]
                    regularized = weight - LR * rate * direction * alive[layer]
                    if regularization == "l1":
                        alive[layer] *= weight * regularized >= 0
                        regularized *= alive[layer]
                    weight[:] = regularized
                    biases[layer] -= LR * slopes[1][layer] / len(accumulated)
                    slopes[0][layer][:], slopes[1][layer][:] = 0, 0
                losses.append(sum(accumulated) / len(accumulated))
                accumulated = []
    return losses


def linears(model: OriginalMLP) -> list[torch.nn.Linear]:
    return [module for module in model.modules() if isinstance(module, torch.nn.Linear)]


def build(activation: Any, is_regression: bool) -> tuple[OriginalMLP, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = OriginalMLP(2, [4, 3], activation, is_regression).double()
    inputs = torch.randn(NUM_SAMPLES, 2, dtype=torch.float64)
    values = inputs.prod(1, keepdim=True) + inputs[:, :1]
    return model, inputs, values if is_regression else values.sign()


def update(model: OriginalMLP, optimizer: OriginalSGD, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Makes one update. Returns the loss before it."""
    optimizer.zero_grad()
    loss = 0.5 * (model(inputs) - targets).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("regularization", ["none", "l1", "l2"])
@pytest.mark.parametrize(("activation", "is_regression"), [*((name, False) for name in FUNCTIONS), ("tanh", True)])
def test_training_equals_a_loop_over_examples(activation: Any, regularization: Any, is_regression: bool) -> None:
    model, inputs, targets = build(activation, is_regression)
    weights = [linear.weight.detach().numpy().copy() for linear in linears(model)]
    biases = [linear.bias.detach().numpy().copy() for linear in linears(model)]
    functions = [*2 * [FUNCTIONS[activation]], FUNCTIONS["linear" if is_regression else "tanh"]]
    data = inputs.numpy(), targets.numpy()[:, 0]
    expected = reference(weights, biases, functions, data, regularization, rate=0.02)

    optimizer = OriginalSGD(model.parameters(), LR, regularization, rate=0.02)
    updates = [indices for epoch in range(NUM_EPOCHS) for indices in batches(NUM_SAMPLES, BATCH_SIZE, epoch)]
    losses = [update(model, optimizer, inputs[indices], targets[indices]) for indices in updates]

    assert losses == pytest.approx(expected, abs=1e-5)
    assert losses[-1] < losses[0]
    for linear, weight, bias in zip(linears(model), weights, biases, strict=True):
        torch.testing.assert_close(linear.weight.detach(), torch.from_numpy(weight), atol=1e-5, rtol=0)
        torch.testing.assert_close(linear.bias.detach(), torch.from_numpy(bias), atol=1e-5, rtol=0)
    if regularization == "l1":
        assert any((weight == 0).any() for weight in weights)


def test_dead_weights_stay_0() -> None:
    model, inputs, targets = build("tanh", is_regression=False)
    optimizer = OriginalSGD(model.parameters(), LR, "l1", rate=0.03)
    were_dead = [torch.zeros_like(linear.weight, dtype=torch.bool) for linear in linears(model)]
    updates = [indices for epoch in range(50) for indices in batches(NUM_SAMPLES, BATCH_SIZE, epoch)]
    for indices in updates:
        update(model, optimizer, inputs[indices], targets[indices])
        are_dead = [linear.weight == 0 for linear in linears(model)]
        assert all((now | ~before).all() for now, before in zip(are_dead, were_dead, strict=True))
        were_dead = are_dead
    assert 0 < sum(int(dead.sum()) for dead in were_dead) < sum(dead.numel() for dead in were_dead)
    update(model, OriginalSGD(model.parameters(), LR), inputs, targets)  # a new optimizer updates them again
    assert all((linear.weight != 0).any() for linear in linears(model))


def test_initial_weights_and_biases() -> None:
    torch.manual_seed(0)
    model = OriginalMLP(100, [200], "relu", is_regression=False)
    for linear in linears(model):
        assert linear.weight.abs().max() < 0.5
        assert linear.weight.std().item() == pytest.approx(12**-0.5, rel=0.1)
        assert (linear.bias == 0.1).all()
    assert model(torch.randn(5, 100)).shape == (5, 1)
    assert OriginalMLP(3, [], "relu", is_regression=True).blocks(torch.ones(1, 3)).shape == (1, 3)


def test_batches_carry_the_rest_into_the_next_epoch() -> None:
    epochs = [[indices.tolist() for indices in batches(7, 3, epoch)] for epoch in range(3)]
    assert epochs == [[[0, 1, 2], [3, 4, 5]], *2 * [[[6, 0, 1, 2], [3, 4, 5]]]]
    assert [[indices.tolist() for indices in batches(4, 4, epoch)] for epoch in range(2)] == 2 * [[[0, 1, 2, 3]]]
