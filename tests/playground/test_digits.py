"""The digits tab: any MNIST checkpoint reads a drawing, and shows what the network computed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules import MNIST
from playground.digits import DRAWING_SIDE, SHIPPED, DigitReader, find_checkpoints
from tests.conftest import fit_in

SCALE = DRAWING_SIDE // 28
PAPER = bytes(DRAWING_SIDE**2)
SHORT = (
    "--trainer.limit_train_batches=1",
    "--trainer.limit_val_batches=1",
    "--trainer.max_epochs=1",
    "--test_checkpoint=none",
)
TRAINED = {
    "shallow_mlp": ("mnist/shallow_mlp.yaml", "--model.hidden_size=8"),
    "lstm": ("sequence/lstm.yaml", "--model.hidden_size=8"),
    "transformer": ("mnist/transformer.yaml", "--model.head_size=2"),
    "resnet": ("mnist/resnet.yaml", "--model.width=8"),
    "mlp": ("mnist1d/mlp.yaml",),  # of other data
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    for config, *flags in TRAINED.values():
        fit_in(folder, config, *SHORT, *flags)
    return folder


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """200 digits as bytes `(200, 28, 28)`, and their labels. LeNet was trained on most of them."""
    data = MNIST(source="subset")
    data.setup()
    inputs, labels = data.splits["test"]
    pixels = (inputs[:200, 0] * data.variant.std + data.variant.mean) * 255
    return pixels.round().to(torch.uint8), labels[:200]


def drawn(image: Tensor) -> bytes:
    """The image as a drawing: each pixel becomes a square."""
    return image.repeat_interleave(SCALE, 0).repeat_interleave(SCALE, 1).numpy().tobytes()


def values(stage: dict[str, Any]) -> np.ndarray:
    """The output of a stage, as the page computes it from bytes."""
    return (stage["maps"].astype(float) - 128) / 127 * stage["range"]


def test_shipped_network_reads_large_digits(digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(SHIPPED)
    answers = [reader.read(drawn(image)) for image in digits[0]]
    predictions = np.array([np.argmax(answer["probabilities"]) for answer in answers])
    assert (predictions == digits[1].numpy()).mean() >= 0.97
    assert np.allclose([sum(answer["probabilities"]) for answer in answers], 1, atol=1e-5)


def test_shipped_checkpoint_is_small() -> None:
    assert SHIPPED.stat().st_size < 500_000


def test_a_small_drawing_in_a_corner_is_centred(digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(SHIPPED)
    large = np.frombuffer(drawn(digits[0][0]), dtype=np.uint8).reshape(DRAWING_SIDE, DRAWING_SIDE)
    corner = np.zeros_like(large)
    corner[:140, 140:] = large[::2, ::2]
    here, there = (reader.read(each.tobytes())["image"].astype(float) for each in (large, corner))
    assert np.abs(here - there).mean() < 4
    assert not corner[140:].any()


@pytest.mark.parametrize("name", ["LeNet, shipped with the playground", "lstm/version_0", "transformer/version_0"])
def test_gradients_equal_finite_differences(name: str, runs: Path, digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(find_checkpoints(runs)[name])
    reader.model.double()
    noise = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))  # equal pixels are ties for max pooling
    image = (digits[0][3] + noise).double()
    logits, gradient, _ = reader.respond(image)
    steps = 1e-4 * torch.eye(784, dtype=torch.float64)
    with torch.no_grad():
        above, below = (reader.model(reader.data.to_inputs(image.flatten() + step)) for step in (steps, -steps))
    differences = (above - below)[:, logits.argmax()] / 2e-4
    assert torch.allclose(gradient.flatten(), differences, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))


def test_gradients_of_a_drawing_are_scaled_by_the_largest(digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(SHIPPED)
    message = reader.read(drawn(digits[0][3]))
    _, gradient, _ = reader.respond(torch.from_numpy(message["image"]).float())
    expected = 128 + 127 * gradient.numpy() / np.abs(gradient.numpy()).max()
    assert np.abs(message["gradients"] - expected).max() <= 0.5


def test_maps_equal_the_outputs_of_the_modules(digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(SHIPPED)
    model: Any = reader.model
    message = reader.read(drawn(digits[0][5]))
    with torch.no_grad():
        first = model.stages[0](reader.data.to_inputs(torch.from_numpy(message["image"]).float()))
        second = model.stages[1](first)
        hidden = model.hidden(second.flatten(1))
        expected = [first[0], second[0], hidden[0, :, None, None], model.head(hidden)[0, :, None, None]]
    assert [stage["name"] for stage in message["stages"]] == ["stages.0", "stages.1", "hidden", "head"]
    assert [stage["is_signed"] for stage in message["stages"]] == [False, False, False, True]
    for stage, output in zip(message["stages"], expected, strict=True):
        assert stage["maps"].shape == output.shape
        assert np.allclose(values(stage), output, atol=stage["range"] / 250)


def test_sequences_have_a_row_per_unit_and_a_column_per_step(runs: Path, digits: tuple[Tensor, Tensor]) -> None:
    reader = DigitReader(find_checkpoints(runs)["lstm/version_0"])
    message = reader.read(drawn(digits[0][5]))
    layers = message["stages"][0]
    model: Any = reader.model
    with torch.no_grad():
        states, _ = model.layers(reader.data.to_inputs(torch.from_numpy(message["image"]).float()))
    assert layers["maps"].shape == (1, 8, 28)
    assert np.allclose(values(layers)[0], states[0].T, atol=layers["range"] / 250)


def test_checkpoints_of_digits_are_found_and_read(runs: Path, digits: tuple[Tensor, Tensor]) -> None:
    found = find_checkpoints(runs)
    names = {name.removesuffix("/version_0") for name in found}
    assert names == {"LeNet, shipped with the playground", *TRAINED} - {"mlp"}
    for path in found.values():
        message = DigitReader(path).read(drawn(digits[0][0]))
        assert len(message["probabilities"]) == 10
        assert all(stage["maps"].ndim == 3 for stage in message["stages"])


def test_no_runs_leaves_the_shipped_checkpoint(tmp_path: Path) -> None:
    assert list(find_checkpoints(tmp_path / "missing").values()) == [SHIPPED]


def test_a_blank_drawing_has_no_answer() -> None:
    message = DigitReader(SHIPPED).read(PAPER)
    assert message["probabilities"] == [0] * 10
    assert message["stages"] == []
    assert not message["image"].any()
    assert (message["gradients"] == 128).all()


def test_wrong_files_and_drawings_are_refused_in_one_line(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    other = next((runs / "mlp").rglob("best.ckpt"))
    for path in (tmp_path / "missing.ckpt", tmp_path, tmp_path / "text.ckpt", tmp_path / "bare.ckpt", other):
        with pytest.raises(ValueError, match=r"\A.*; (pass|type) .*\Z"):  # no line break
            DigitReader(path)
    with pytest.raises(ValueError, match="size 3 into shape"):
        DigitReader(SHIPPED).read(b"abc")
