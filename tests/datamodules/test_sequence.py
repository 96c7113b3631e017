from typing import Literal

import numpy as np
import pytest
import torch

from datamodules import MNIST, MNIST1D, SequenceMNIST
from datamodules.sequence import TEMPLATES, mnist1d


def images_and(order: Literal["rows", "pixels", "permuted"], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images, sequences = MNIST(source="subset"), SequenceMNIST(order, source="subset", seed=seed)
    images.setup()
    sequences.setup()
    assert torch.equal(images.splits["test"][1], sequences.splits["test"][1])
    assert list(sequences.splits["test"][0].shape[1:]) == sequences.input_shape
    return images.splits["test"][0], sequences.splits["test"][0]


def test_rows_are_ordered_from_top_to_bottom() -> None:
    images, sequences = images_and("rows")
    assert torch.equal(sequences[:, 5], images[:, 0, 5, :])


def test_pixels_are_ordered_row_by_row() -> None:
    images, sequences = images_and("pixels")
    assert torch.equal(sequences[:, 5 * 28 + 3, 0], images[:, 0, 5, 3])


def test_checkpoint_of_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="made with order=pixels, not order=permuted; use order=pixels"):
        SequenceMNIST("permuted").load_state_dict(SequenceMNIST("pixels").state_dict())


@pytest.mark.parametrize("seed", [0, 1])
def test_permutation_is_the_same_for_every_seed(seed: int) -> None:
    images, sequences = images_and("permuted", seed)
    pixels = images.flatten(1)
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sequences[:, :, 0], pixels[:, order])
    assert torch.equal(sequences.sort(dim=1).values[:, :, 0], pixels.sort(dim=1).values)
    assert not torch.equal(sequences[:, :, 0], pixels)


def test_mnist1d_has_the_published_size_and_is_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.sequence.mnist1d", mnist1d)  # generated twice here, once elsewhere
    vector, steps = MNIST1D("vector", val_size=500), MNIST1D("steps", val_size=500, seed=3)
    vector.setup()
    steps.setup()
    assert {name: len(y) for name, (_, y) in vector.splits.items()} == {"train": 3500, "val": 500, "test": 1000}
    assert torch.equal(vector.splits["test"][0], steps.splits["test"][0][:, :, 0])
    everything = torch.cat([x for x, _ in vector.splits.values()])
    assert everything.mean().abs() < 1e-4
    assert everything.std() == pytest.approx(1, abs=1e-3)
    counts = torch.cat([y for _, y in vector.splits.values()]).bincount()
    assert counts.tolist() == [500] * 10


def test_mnist1d_signals_contain_the_stroke_of_their_digit() -> None:
    """The stretched and shifted template that fits a signal best, up to a slope, is mostly that of its digit."""
    signals, labels = mnist1d()
    strokes = (TEMPLATES - TEMPLATES.mean(1, keepdims=True)) / TEMPLATES.std(1, keepdims=True)
    candidates, owners = [], []
    for digit, stroke in enumerate(strokes - strokes[:, :1]):
        for length in range(6, 12):
            stretched = np.interp(np.linspace(0, 11, length), np.arange(12), stroke)
            for start in range(40 - length + 1):
                window = np.zeros(40)
                window[start : start + length] = stretched
                candidates.append(window)
                owners.append(digit)
    basis = np.linalg.qr(np.stack([np.ones(40), np.linspace(-1, 1, 40)], axis=1))[0]

    def without_slope(x: np.ndarray) -> np.ndarray:
        """Without mean and slope, and scaled to length 1."""
        x = x - x @ basis @ basis.T
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    fit = without_slope(signals[:500]) @ without_slope(np.stack(candidates)).T
    found = np.array(owners)[fit.argmax(1)]
    assert (found == labels[:500]).mean() > 0.6  # chance is 0.1
