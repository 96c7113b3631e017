from typing import Literal

import pytest
import torch

from datamodules import MNIST, SequenceMNIST


def images_and(order: Literal["rows", "pixels", "permuted"], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images, sequences = MNIST(source="subset"), SequenceMNIST(order, source="subset", seed=seed)
    images.setup()
    sequences.setup()
    assert torch.equal(images.splits["test"][1], sequences.splits["test"][1])
    assert list(sequences.splits["test"][0].shape[1:]) == sequences.input_shape
    return images.splits["test"][0], sequences.splits["test"][0]


def test_rows_are_read_from_top_to_bottom() -> None:
    images, sequences = images_and("rows")
    assert torch.equal(sequences[:, 5], images[:, 0, 5, :])


def test_pixels_are_read_row_by_row() -> None:
    images, sequences = images_and("pixels")
    assert torch.equal(sequences[:, 5 * 28 + 3, 0], images[:, 0, 5, 3])


def test_a_checkpoint_of_one_order_is_not_tested_on_another() -> None:
    with pytest.raises(ValueError, match=r"type --data.order pixels"):
        SequenceMNIST("permuted").load_state_dict(SequenceMNIST("pixels").state_dict())


@pytest.mark.parametrize("seed", [0, 1])
def test_permuted_is_one_true_permutation_whatever_the_seed(seed: int) -> None:
    images, sequences = images_and("permuted", seed)
    pixels = images.flatten(1)
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sequences[:, :, 0], pixels[:, order])
    assert torch.equal(sequences.sort(dim=1).values[:, :, 0], pixels.sort(dim=1).values)
    assert not torch.equal(sequences[:, :, 0], pixels)
