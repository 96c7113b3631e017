import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from playground.frame import encode
from playground.network import outputs_by_layer, weight_layers
from playground.session import MAX_RECORDED, Session
from playground.settings import Settings
from tests.test_train import curves

SMALL = {"num_samples": 60, "layers": [4, 3]}


def session(**values: Any) -> Session:
    return Session(Settings(**{**SMALL, **values}))


def train(visitor: Session, epochs: int) -> None:
    for _ in range(epochs):
        visitor.handle({"type": "step", "unit": "epoch"})


def weights(visitor: Session, number: int = 0) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in visitor.networks[number].model.parameters()])


RULES: list[dict[str, Any]] = [
    {"optimizer": "sgd"},
    {"optimizer": "momentum", "regularization": "l2", "regularization_rate": 0.1},
    {"optimizer": "adamw", "dropout": 0.3},
    {"kind": "residual", "layers": [3, 3, 3], "activation": "sigmoid"},
    {"rule": "original", "regularization": "l1", "regularization_rate": 0.1},
    {"rule": "original", "shape": "bumps", "batch_size": 7},
]


@pytest.mark.parametrize("values", RULES)
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_each_weight_becomes_what_the_inside_of_the_neuron_announced(values: dict[str, Any], layer: int) -> None:
    visitor = session(**values)
    train(visitor, 2)
    place = layer % (len(visitor.networks[0].layers) + 1)
    message = {"type": "neuron", "network": 0, "layer": place, "unit": 0, "sample": 2}
    (before,) = visitor.handle(message)
    visitor.handle({"type": "neuron", "network": None})
    visitor.handle({"type": "step", "unit": "batch"})
    linear = weight_layers(visitor.networks[0].model)[place]
    assert [row["next"] for row in before["inputs"]] == linear.weight[0].tolist()
    assert before["bias_next"] == float(linear.bias.detach()[0])


@pytest.mark.parametrize("values", [RULES[1], RULES[3], RULES[4], RULES[5]])
def test_numbers_inside_a_neuron_agree_with_each_other_and_with_finite_differences(values: dict[str, Any]) -> None:
    visitor = session(**values)
    train(visitor, 1)
    network = visitor.networks[0]
    (seen,) = visitor.handle({"type": "neuron", "network": 0, "layer": 1, "unit": 1, "sample": 3})
    total = sum(row["product"] for row in seen["inputs"]) + seen["bias"]
    assert seen["sum"] == pytest.approx(total, abs=1e-5)
    assert seen["delta"] == pytest.approx(seen["arriving"] * seen["slope"], abs=1e-6)
    inputs, targets = (part[3:4].double() if part.is_floating_point() else part[3:4] for part in network.next_batch)
    result = outputs_by_layer(network.at(None), inputs.float())[1][0, 1].detach()
    assert seen["result"] == pytest.approx(float(result), abs=1e-5)
    model = network.at(None).double()
    bias, losses = weight_layers(model)[1].bias, []
    for change in (1e-5, -2e-5):
        with torch.no_grad():
            bias[1] += change
            losses.append(float(model.loss(model(inputs), targets)))
    assert seen["delta"] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-5)


def test_looking_back_and_at_the_loss_surface_changes_nothing() -> None:
    looked, left = session(dropout=0.2, second_layers=[2]), session(dropout=0.2, second_layers=[2])
    train(looked, 4)
    for message in (
        {"type": "show", "index": 1},
        {"type": "surface", "network": 1},
        {"type": "neuron", "network": 0, "layer": 0, "unit": 0, "sample": 0},
        {"type": "show", "index": None},
    ):
        looked.handle(message)
        looked.frame()
    train(looked, 2)
    train(left, 6)
    assert torch.equal(weights(looked), weights(left))
    assert torch.equal(weights(looked, 1), weights(left, 1))
    assert looked.networks[0].history == left.networks[0].history


def test_second_network_trains_as_if_it_were_alone() -> None:
    both, alone = (
        session(dropout=0.1, second_layers=[5], optimizer="adamw"),
        session(dropout=0.1, layers=[5], optimizer="adamw"),
    )
    train(both, 3)
    train(alone, 3)
    assert torch.equal(weights(both, 1), weights(alone))


def test_recorded_frame_shows_the_network_of_its_epoch() -> None:
    visitor = session()
    train(visitor, 2)
    early = visitor.frame()
    train(visitor, 3)
    visitor.handle({"type": "show", "index": 2})
    again = visitor.frame()
    assert again["epoch"] == early["epoch"] == 2
    (shown,), (shown_again,) = early["networks"], again["networks"]
    assert shown_again["metrics"] == shown["metrics"]
    for name in ("weights", "biases"):
        assert all(np.array_equal(*pair) for pair in zip(shown_again[name], shown[name], strict=True))
    assert all(np.array_equal(values, shown["maps"][layer]) for layer, values in shown_again["maps"].items())
    assert np.array_equal(shown_again["output"], shown["output"])


def test_frame_has_the_weights_and_the_outputs_of_the_network() -> None:
    visitor = session(features=["x", "xy"])
    train(visitor, 1)
    shown, network = visitor.frame()["networks"][0], visitor.networks[0]
    for weight, linear in zip(shown["weights"], weight_layers(network.model), strict=True):
        assert np.array_equal(weight, linear.weight.detach().numpy())
    output = shown["output"]
    row, column = 10, 70
    x, y = ((2 * (index + 0.5) / len(output) - 1) * 6 for index in (column, len(output) - 1 - row))
    inputs = network.data.features_of(torch.tensor([[x, y]]))
    probability = float(network.model(inputs).softmax(-1)[0, 1].detach())
    assert output[row, column] == pytest.approx(127 * (2 * probability - 1) + 128, abs=1)


def test_encoded_message_holds_its_arrays() -> None:
    arrays: list[np.ndarray] = [np.arange(3, dtype=np.uint8), np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)]
    content = encode({"type": "x", "parts": {"one": arrays[0], "others": [arrays[1]]}})
    size = int.from_bytes(content[:4], "little")
    message = json.loads(content[4 : 4 + size])
    for part, expected in zip((message["parts"]["one"], *message["parts"]["others"]), arrays, strict=True):
        assert (4 + size + part["offset"]) % 4 == 0  # as typed arrays of JavaScript need
        values = np.frombuffer(content, part["dtype"], math.prod(part["shape"]), offset=4 + size + part["offset"])
        assert np.array_equal(values.reshape(part["shape"]), expected)


def test_curve_reaches_the_page_once_and_again_after_a_lost_connection() -> None:
    visitor = session()
    epochs = []
    for _ in range(3):
        train(visitor, 2)
        epochs += [row[0] for row in visitor.frame()["networks"][0]["curve"]]
    assert epochs == list(range(7))
    visitor.reconnect(dataclasses.asdict(visitor.settings))
    assert [row[0] for row in visitor.frame()["networks"][0]["curve"]] == list(range(7))


def test_learning_rate_changes_without_a_reset_and_other_settings_reset() -> None:
    visitor = session()
    train(visitor, 2)
    changed = {**dataclasses.asdict(visitor.settings), "lr": 0.3}
    assert visitor.handle({"type": "settings", "settings": changed}) == []
    assert visitor.networks[0].epoch == 2
    before = weights(visitor)
    visitor.handle({"type": "step", "unit": "batch"})
    step = float((weights(visitor) - before).norm())
    other = session(lr=0.03)
    train(other, 2)
    before = weights(other)
    other.handle({"type": "step", "unit": "batch"})
    assert step == pytest.approx(10 * float((weights(other) - before).norm()), rel=1e-3)
    (data,) = visitor.handle({"type": "settings", "settings": {**changed, "noise": 0.2}})
    assert data["type"] == "data"
    assert visitor.networks[0].epoch == 0


def test_new_networks_wait_until_the_page_has_drawn_the_last_frame() -> None:
    visitor = session()
    visitor.frame()
    visitor.handle({"type": "reset"})
    assert not visitor.wants_frame()  # else the page could skip the frame with which the curves begin anew
    visitor.handle({"type": "seen"})
    assert visitor.wants_frame()


def test_config_names_what_was_changed_by_hand() -> None:
    visitor = session()
    train(visitor, 2)
    visitor.handle({"type": "settings", "settings": {**dataclasses.asdict(visitor.settings), "lr": 0.3}})
    visitor.handle({"type": "edit", "network": 0, "layer": 1, "unit": 2, "input": 0, "value": 1.5})
    assert float(weight_layers(visitor.networks[0].model)[1].weight[2, 0].detach()) == 1.5
    (taken,) = visitor.handle({"type": "config", "network": 0})
    assert "the learning rate was 0.03 until epoch 2" in taken["yaml"]
    assert "a weight or bias of network 1 was edited after epoch 2" in taken["yaml"]


def test_learning_rate_chosen_before_training_is_in_the_config() -> None:
    visitor = session()
    visitor.handle({"type": "settings", "settings": {**dataclasses.asdict(visitor.settings), "lr": 0.3}})
    train(visitor, 2)
    (taken,) = visitor.handle({"type": "config", "network": 0})
    assert "lr: 0.3" in taken["yaml"]
    assert "Not in this config" not in taken["yaml"]


def test_edit_changes_the_loss_that_the_page_shows() -> None:
    visitor = session()
    train(visitor, 2)
    visitor.frame()
    visitor.handle({"type": "edit", "network": 0, "layer": 0, "unit": 0, "input": None, "value": 5.0})
    shown = visitor.frame()["networks"][0]
    network = visitor.networks[0]
    expected = [network.evaluate(split)[0] for split in ("train", "test")]
    assert shown["metrics"][:3] == [2, *expected]
    assert [row[:3] for row in shown["curve"]] == [[2, *expected]]
    assert torch.equal(visitor.recorded[-1][1][0], weights(visitor))


def test_training_stops_at_the_epoch_or_the_loss() -> None:
    visitor = session(stop_epoch=3)
    visitor.handle({"type": "play"})
    messages = visitor.train(60)
    assert visitor.networks[0].epoch == 3
    assert messages[0]["message"] == "Stopped after epoch 3."
    visitor = session(stop_loss=0.1)
    visitor.handle({"type": "play"})
    (message,) = visitor.train(60)
    assert "is below 0.1" in message["message"]
    losses = [metrics[0][0] for metrics in visitor.networks[0].history]
    assert losses[-1] < 0.1 <= min(losses[:-1])


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_training_stops_if_the_loss_is_not_finite(kind: str) -> None:
    visitor = session(lr=10, activation="relu", shape="plane", kind=kind, layers=[16, 16])
    visitor.handle({"type": "play"})
    (message,) = visitor.train(60)
    assert "Use a lower learning rate" in message["message"]
    encode(visitor.frame())  # NaN is not JSON


def test_recording_keeps_a_bounded_number_of_epochs_evenly_spaced() -> None:
    visitor = session(num_samples=10, batch_size=5, layers=[])
    train(visitor, MAX_RECORDED + 30)
    epochs = [epoch for epoch, _ in visitor.recorded]
    assert len(epochs) <= MAX_RECORDED
    assert set(np.diff(epochs)) == {2}
    assert epochs[0] == 0


def test_tensorboard_gets_the_curves_of_both_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    visitor = session(second_layers=[])
    train(visitor, 3)
    visitor.handle({"type": "tensorboard"})
    for network, name in zip(visitor.networks, ("circle_plain_4_3", "circle_plain"), strict=True):
        found = curves(tmp_path / "runs" / "playground" / name)
        assert [value for _, value in found["train/loss"]] == pytest.approx([row[0][0] for row in network.history])
        assert [x for x, _ in found["test/acc"]] == [0, 1, 2, 3]


def test_last_recorded_weights_have_the_loss_of_their_place_on_the_surface() -> None:
    visitor = session(layers=[2], num_samples=100)
    train(visitor, 5)
    (surface,) = visitor.handle({"type": "surface", "network": 0})
    network, size = visitor.networks[0], len(surface["losses"])
    assert surface["path"][-1] == pytest.approx([0, 0], abs=1e-6)
    inputs, targets = network.data.splits["train"]
    loss = float(network.model.loss(network.at(None)(inputs), targets).detach())
    (left, right), (bottom, top) = surface["axes"]
    column, row = round(-left / (right - left) * (size - 1)), round(-bottom / (top - bottom) * (size - 1))
    assert surface["losses"][row, column] == pytest.approx(loss, rel=0.1)
    with pytest.raises(ValueError, match="needs 2 epochs, not 0"):
        session().handle({"type": "surface", "network": 0})


def test_deep_network_is_folded_until_the_page_unfolds_a_layer() -> None:
    visitor = session(layers=20 * [3])
    header = visitor.frame()
    assert list(header["networks"][0]["maps"]) == [0, 1, 18, 19]
    assert len(header["networks"][0]["gradients"]) == 21
    visitor.handle({"type": "unfold", "network": 0, "layers": [0, 7]})
    header = visitor.frame()
    assert list(header["networks"][0]["maps"]) == [0, 7]
