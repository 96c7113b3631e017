"""The pictures and curves of the inspection callbacks, for networks with known results."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import nn

from callbacks import (
    activation_stats,
    decision_boundary,
    embedding,
    feature_maps,
    features,
    filters,
    loss_surface,
    mistakes,
)
from callbacks.activation_stats import inactive_fraction
from callbacks.parts import stages
from engine.paths import PROJECT
from models import DeepMLP, Linear
from tests.callbacks.test_insight import arrays, epochs_of, events, hooks_of
from tests.conftest import SMOKE, Fit

BUMPS = PROJECT / "configs" / "plane" / "bumps.yaml"
SPIRAL = PROJECT / "configs" / "depth" / "spiral_relu.yaml"
SHALLOW = PROJECT / "configs" / "mnist" / "shallow_mlp.yaml"
GENERATOR = torch.Generator().manual_seed(0)


def on(name: str) -> list[str]:
    return ["-c", SMOKE, f"--trainer.callbacks+={name}", "--test_checkpoint=none"]


# ActivationStats


def test_dead_units_and_saturated_values() -> None:
    values = torch.tensor([[0.0, 0.0, 3.0], [0.0, 1.0, 2.0]])
    assert inactive_fraction(values, nn.ReLU()) == pytest.approx(1 / 3)
    from_sigmoid, from_tanh = torch.tensor([0.0, 0.005, 0.5, 0.985, 1.0]), torch.tensor([-1.0, -0.99, 0.0, 0.97])
    assert inactive_fraction(from_sigmoid, nn.Sigmoid()) == pytest.approx(3 / 5)
    assert inactive_fraction(from_tanh, nn.Tanh()) == pytest.approx(2 / 4)
    one_dead_channel = torch.cat([torch.zeros(2, 1, 9), torch.ones(2, 3, 9)], dim=1)
    relu, images, over_time = nn.ReLU(), nn.Conv2d(1, 4, 3), nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU())
    for output, model in ((one_dead_channel.view(2, 4, 3, 3), images), (one_dead_channel, over_time)):
        values = activation_stats.unit_values(output, relu, model)
        assert inactive_fraction(values, relu) == pytest.approx(1 / 4)


def test_activation_mean_and_std_of_validation_samples(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, *on("ActivationStats"), "--model.lr=0")
    inputs, _ = cli.datamodule.splits["val"]
    chosen = torch.linspace(0, len(inputs) - 1, 256).long()
    hidden = cli.model.eval().hidden(inputs[chosen].flatten(1)).detach()
    logged = events(tmp_path)
    for part, values in (("hidden", hidden), ("activation", hidden.relu())):
        assert [event.step for event in logged.Scalars(f"activation_mean/{part}")] == [0, 1]
        mean, deviation = values.mean().item(), values.std(correction=0).item()
        assert logged.Scalars(f"activation_mean/{part}")[0].value == pytest.approx(mean, rel=1e-4)
        assert logged.Scalars(f"activation_std/{part}")[0].value == pytest.approx(deviation, rel=1e-4)
    assert [event.step for event in logged.Histograms("activations/hidden")] == [0, 1]


# Filters and FeatureMaps


def test_weights_as_pictures() -> None:
    weight = torch.randn(5, 784, generator=GENERATOR)
    assert np.array_equal(filters.weight_pictures(weight, [1, 28, 28]), weight.view(5, 28, 28))
    assert np.array_equal(filters.weight_pictures(weight, [784, 1]), weight), "rows of a heat map"
    kernels = torch.randn(5, 2, 3, 3, generator=GENERATOR)
    assert np.allclose(filters.weight_pictures(kernels, [2, 28, 28]), kernels.mean(1))
    assert filters.weight_pictures(torch.zeros(12, 28), [28, 28]).shape == (12, 28), "the input of a time step"


def test_tiles_of_channels_states_and_units() -> None:
    maps = torch.arange(4.0).view(1, 4, 1, 1).expand(2, 4, 13, 13)
    (first, _) = feature_maps.tiles(maps, nn.Conv2d(1, 4, 3), nn.Sequential())
    assert first.shape == (27, 27), "two rows of two channels, with a gap"
    assert (first[0, 0], first[0, -1], first[-1, 0], first[-1, -1]) == (0, 1, 2, 3)
    assert np.isnan(first[13]).all()
    states = torch.randn(2, 7, 100, generator=GENERATOR)
    assert np.array_equal(feature_maps.tiles(states, nn.GRU(1, 100), nn.Sequential()), states.transpose(1, 2)[:, :64])
    units = torch.arange(16.0).view(1, 16)
    assert feature_maps.tiles(units, nn.Linear(1, 16), nn.Sequential()).shape == (1, 4, 4), "a square"
    assert feature_maps.tiles(units[:, :3], nn.Linear(1, 3), nn.Sequential()).tolist() == [[[0, 1, 2]]], (
        "few units in one row"
    )


# Features


def test_gradient_ascent_finds_the_weights_of_a_linear_unit() -> None:
    model = Linear([3, 4], 2).eval()
    samples = torch.randn(50, 3, 4, generator=GENERATOR)
    found = features.ascend(model, model.head, 2, samples)
    norm = samples.flatten(1).norm(dim=1).mean()
    assert torch.allclose(found.flatten(1).norm(dim=1), norm)
    directions = torch.nn.functional.cosine_similarity(found.flatten(1), model.head.weight)
    assert (directions > 0.999).all()
    assert not hooks_of(model)


def test_gradient_ascent_with_dead_units_and_without_gradient() -> None:
    model = DeepMLP([4], 2, hidden_size=3, num_layers=1).eval()
    linear: Any = model.get_submodule("blocks.0.0")
    with torch.no_grad():
        linear.bias.fill_(-100)  # no input of this size passes the ReLU
        model.head.weight.zero_()
    samples = torch.randn(50, 4, generator=GENERATOR)
    assert features.layer_before_activation(stages(model)["blocks.0"]) == linear
    found = features.ascend(model, linear, 3, samples)
    assert (torch.nn.functional.cosine_similarity(found, linear.weight) > 0.999).all()
    assert features.ascend(model, model.head, 2, samples).isnan().all(), "drawn in grey"


# Mistakes


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    logits = torch.eye(3)[torch.tensor([0, 1, 1, 2, 0])]
    targets = torch.tensor([0, 1, 2, 2, -100])
    assert mistakes.confusion(logits, targets).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    steps = mistakes.confusion(logits[None], targets[None])
    assert torch.equal(steps, mistakes.confusion(logits, targets)), "time steps in tagging"


def test_class_accuracies_agree_with_the_validation_accuracy(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, *on("Mistakes"), "--trainer.max_epochs=2", "--trainer.limit_val_batches=1.0")
    _, targets = cli.datamodule.splits["val"]
    counted, sizes = len(targets), torch.bincount(targets, minlength=10)
    logged = events(tmp_path)
    curves = [logged.Scalars(f"class_acc/{number}") for number in range(10)]
    assert all([event.step for event in curve] == [0, 1, 2] for curve in curves)
    right = sum(int(size) * curve[-1].value for size, curve in zip(sizes, curves, strict=True) if size)
    assert right / counted == pytest.approx(cli.history.validation[cli.trainer.global_step]["acc"], rel=1e-5)
    assert epochs_of(tmp_path, "mistakes/confusion") == [0, 1, 2]
    assert epochs_of(tmp_path, "mistakes/most_confident") == [2]


def test_most_confident_mistakes_come_first() -> None:
    inputs = torch.rand(4, 1, 5, 5, generator=GENERATOR)
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
    figure = mistakes.worst_figure(inputs, logits, torch.tensor([1, 0, 0, 0]), ["0", "1"], is_ink=True)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(",")[0] for title in titles[:4]] == ["0 as\n1", "1 as\n0", "0 as\n1", ""]
    assert titles[0].endswith("95.3%")
    assert figure.get_suptitle().startswith("3 of 4 are wrong")


def test_confusion_matrix_and_mistakes_show_class_names() -> None:
    names = ["Coat", "Ankle boot"]
    figure = mistakes.confusion_figure(np.array([[3, 1], [0, 2]]), names)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    inputs, logits = torch.rand(1, 1, 5, 5, generator=GENERATOR), torch.tensor([[2.0, 0.0]])
    axes = mistakes.worst_figure(inputs, logits, torch.tensor([1]), names, is_ink=False).axes[0]
    assert axes.get_title().split(",")[0] == "Ankle boot as\nCoat"


# Embedding


def test_embedding_has_the_inputs_of_the_head_with_labels_and_pictures(fit: Fit, tmp_path: Path) -> None:
    cli = fit(SHALLOW, *on("Embedding"))
    inputs, targets = cli.datamodule.splits["val"]
    chosen = torch.linspace(0, len(inputs) - 1, min(1000, len(inputs))).long()
    model = cli.model.eval()
    expected = model.activation(model.hidden(inputs[chosen].flatten(1))).detach()
    (table,) = tmp_path.rglob("tensors.tsv")
    with table.open() as file:
        rows = [[float(value) for value in row] for row in csv.reader(file, delimiter="\t")]
    assert torch.allclose(torch.tensor(rows), expected, atol=1e-4)
    labels = (table.parent / "metadata.tsv").read_text().split()
    assert labels == [str(int(label)) for label in targets[chosen]]
    assert (table.parent / "sprite.png").is_file()
    (config,) = tmp_path.rglob("projector_config.pbtxt")
    assert "sprite.png" in config.read_text()


def test_sprites_are_dark_ink_in_squares() -> None:
    wide = torch.zeros(2, 1, 3, 5)
    wide[0, 0, 1, 1] = 4
    squares = embedding.sprites(wide, is_ink=True)
    assert squares.shape == (2, 1, 5, 5)
    assert squares[0, 0, 1, 1] == 0
    assert squares.sum() == 2 * 25 - 1


def test_sprites_of_photographs_keep_their_colours() -> None:
    red = torch.zeros(1, 3, 4, 4)
    red[0, 0, :2] = 1
    squares = embedding.sprites(red, is_ink=False)
    assert torch.equal(squares, red)


# LossSurface


def test_loss_surface_of_a_linear_network() -> None:
    model = Linear([3], 2, task="regression").eval()
    batch = torch.randn(20, 3, generator=GENERATOR), torch.randn(20, 2, generator=GENERATOR)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        losses = loss_surface.surface(model, batch)
    generator = torch.Generator().manual_seed(loss_surface.SEED)
    first, second = (loss_surface.filter_normalised(before["head.weight"], generator) for _ in range(2))
    assert torch.allclose(first.norm(dim=1), before["head.weight"].norm(dim=1))
    steps = np.linspace(-loss_surface.REACH, loss_surface.REACH, loss_surface.NUM_POINTS)
    for row, column in ((0, 0), (5, 5), (2, 9), (10, 3)):
        weight = before["head.weight"] + steps[row] * first + steps[column] * second
        expected = ((batch[0] @ weight.T + before["head.bias"] - batch[1]) ** 2).mean()
        assert losses[row, column] == pytest.approx(float(expected), rel=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_loss_surface_has_the_training_loss_in_the_middle(fit: Fit, tmp_path: Path) -> None:
    cli = fit(BUMPS, *on("LossSurface"))
    inputs, targets = cli.datamodule.splits["train"]
    chosen = torch.linspace(0, len(inputs) - 1, loss_surface.NUM_SAMPLES).long()
    model = cli.model.eval()
    loss = model.loss(model(inputs[chosen]), targets[chosen])
    middle = loss_surface.NUM_POINTS // 2
    losses = arrays(tmp_path, "LossSurface")["losses"]
    assert losses[middle, middle] == pytest.approx(loss.item(), rel=1e-5)
    assert losses.std() > 0


# DecisionBoundary


def test_plane_outputs_of_a_linear_network() -> None:
    model = Linear([2], 2).eval()
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, -2.0]]))
        model.head.bias.copy_(torch.tensor([0.0, 0.5]))
        values = decision_boundary.plane_outputs(model, 3.0, torch.clone)
    axis = np.linspace(-3, 3, decision_boundary.NUM_POINTS)
    across, up = np.meshgrid(axis, axis)  # the second input is the first axis
    assert np.allclose(values, 1 / (1 + np.exp(-(across - 2 * up + 0.5))), atol=1e-5)
    heights = Linear([2], 1, task="regression").eval()
    with torch.no_grad():
        heights.head.weight.copy_(torch.tensor([[1.0, 0.0]]))
        heights.head.bias.zero_()
        assert np.allclose(decision_boundary.plane_outputs(heights, 3.0, torch.clone), across, atol=1e-5)


def test_decision_boundary_draws_features_over_the_coordinates(fit: Fit, tmp_path: Path) -> None:
    flags = ["--data.shape=spiral", "--data.num_classes=3", "--data.features=[y,x2,sin_x]", "--trainer.max_epochs=1"]
    model = ["--model.hidden_size=[4,3]", "--model.num_layers=2"]
    cli = fit(SPIRAL, *on("DecisionBoundary"), *flags, *model)
    assert epochs_of(tmp_path, "decision_boundary/plane") == [0, 1]
    saved = arrays(tmp_path, "DecisionBoundary")
    assert np.array_equal(saved["train"], cli.datamodule.points["train"].numpy())
    assert np.array_equal(saved["test"], cli.datamodule.points["test"].numpy())
    axis = torch.linspace(-float(saved["reach"]), float(saved["reach"]), decision_boundary.NUM_POINTS)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    inputs = torch.stack([y, x**2, x.sin()], dim=-1).flatten(0, 1)
    with torch.no_grad():
        expected = cli.model.eval()(inputs).argmax(1).view(x.shape).numpy()
    assert (saved["values"] == expected).mean() > 0.999  # two classes may be equally likely


def test_decision_boundary_has_a_picture_per_epoch_and_an_animation(fit: Fit, tmp_path: Path) -> None:
    fit(SPIRAL, *on("DecisionBoundary"), "--trainer.max_epochs=3", "--model.hidden_size=8")
    assert epochs_of(tmp_path, "decision_boundary/plane") == [0, 1, 2, 3]
    (path,) = tmp_path.rglob("decision_boundary.gif")
    with Image.open(path) as animation:
        assert len(list(ImageSequence.Iterator(animation))) == 4
    saved = arrays(tmp_path, "DecisionBoundary")
    assert saved["values"].shape == (decision_boundary.NUM_POINTS, decision_boundary.NUM_POINTS)
    assert len(saved["train"]) == 400
