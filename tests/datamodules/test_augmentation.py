"""Each image is moved by an amount of its own, which depends on seed and epoch alone."""

import math

import pytest
import torch

from datamodules import MNIST, SequenceMNIST
from datamodules.augmentation import NUM_DRAWS, moved
from datamodules.base import ChunkLoader, EpochSampler, Samples


def drawn(across: float = 0.5, down: float = 0.5, angle: float = 0.5, size: float = 0.5) -> torch.Tensor:
    """Draws for one image; 0.5 changes nothing."""
    return torch.tensor([[across, down, angle, size]])


IMAGE = torch.rand(1, 2, 28, 28, generator=torch.Generator().manual_seed(0))
WHOLE = {"shift": 3.0, "rotation": 90.0, "scale": 0.5, "background": -0.25}


def test_the_middle_of_the_range_changes_nothing() -> None:
    torch.testing.assert_close(moved(IMAGE, drawn(), **WHOLE), IMAGE)


def test_whole_pixels_are_shifted_and_what_comes_in_is_background() -> None:
    found = moved(IMAGE, drawn(across=1.0, down=0.0), **WHOLE)  # samples 3 pixels to the right and 3 above
    torch.testing.assert_close(found[..., 3:, :-3], IMAGE[..., :-3, 3:])
    torch.testing.assert_close(found[..., :3, :], torch.full_like(found[..., :3, :], -0.25))


def test_a_quarter_turn_is_exact() -> None:
    quarter = moved(IMAGE, drawn(angle=1.0), **WHOLE)
    torch.testing.assert_close(quarter, IMAGE.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_a_larger_size_enlarges_the_middle() -> None:
    ramp = torch.arange(28.0).expand(1, 1, 28, 28) - 13.5
    found = moved(ramp, drawn(size=1.0), **WHOLE)
    torch.testing.assert_close(found, ramp / 1.5)


def loader(steps_per_execution: int = 3, rank: int = 0, world_size: int = 1, epoch: int = 2) -> ChunkLoader:
    """Twenty samples of zeros to which their draws are added."""
    samples: Samples = torch.zeros(20, NUM_DRAWS), torch.arange(20)
    sampler = EpochSampler(20, seed=1)
    sampler.set_epoch(epoch)
    shape = (5, world_size, 4 // world_size)
    return ChunkLoader(lambda epoch: samples, sampler, shape, rank, steps_per_execution, (torch.add, NUM_DRAWS))


def changes(*loaders: ChunkLoader) -> torch.Tensor:
    """What was added to each batch, `(5, 4, NUM_DRAWS)`, ranks side by side."""
    return torch.cat([torch.stack([inputs for chunk in one for inputs, _ in chunk]) for one in loaders], dim=1)


def test_the_amounts_depend_on_neither_chunks_nor_devices() -> None:
    whole = changes(loader())
    assert whole.unique().numel() == 5 * 4 * NUM_DRAWS, "each sample has its own"
    assert changes(loader(steps_per_execution=1)).equal(whole)
    assert changes(*(loader(rank=rank, world_size=2) for rank in range(2))).equal(whole)
    assert not changes(loader(epoch=3)).equal(whole)


def test_sequences_move_as_their_images_do() -> None:
    images = torch.randn(5, 1, 28, 28)
    draws = torch.rand(5, NUM_DRAWS)
    expected = MNIST(shift=2, rotation=20).augment(images, draws)
    for order in ("rows", "pixels", "permuted"):
        data = SequenceMNIST(order=order, shift=2, rotation=20)
        sequences = [data.in_order(x.view(5, *data.input_shape)) for x in (images, expected)]
        torch.testing.assert_close(data.augment(sequences[0], draws), sequences[1])


@pytest.mark.parametrize("name", ["shift", "rotation", "scale"])
@pytest.mark.parametrize("value", [-1.0, math.nan, 1000.0])
def test_amounts_outside_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} is not within .* --data.{name}"):
        MNIST(**{name: value})  # type: ignore[arg-type]


def test_places_are_exact_in_mixed_precision_and_in_oblong_images() -> None:
    draws = torch.rand(1, NUM_DRAWS, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = moved(IMAGE, draws, **WHOLE)
    assert mixed.equal(moved(IMAGE, draws, **WHOLE))
    oblong = torch.zeros(1, 1, 20, 60)
    oblong[..., 9:11, 20:40] = 1.0
    turned = moved(oblong, drawn(angle=1.0), shift=0.0, rotation=90.0, scale=0.0, background=0.0)
    assert (turned[0, 0] > 0.5).nonzero().amin(0).tolist() == [0, 29]
    assert (turned[0, 0] > 0.5).nonzero().amax(0).tolist() == [19, 30]
