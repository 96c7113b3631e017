"""Each image is shifted, rotated and scaled by random amounts that depend only on seed, epoch and batch."""

import math
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

from datamodules import MNIST, BaseDataModule, SequenceMNIST
from datamodules.augmentation import NUM_DRAWS, random_affine
from datamodules.loader import Samples
from engine.fast_loop import use_fast_loop
from models import Linear
from tests.conftest import stock_trainer


def draws_of(across: float = 0.5, down: float = 0.5, angle: float = 0.5, size: float = 0.5) -> torch.Tensor:
    """Draws for one image. 0.5 is the middle of the range, which changes nothing."""
    return torch.tensor([[across, down, angle, size]])


IMAGE = torch.rand(1, 2, 28, 28, generator=torch.Generator().manual_seed(0))
OPTIONS = {"shift": 3.0, "rotation": 90.0, "scale": 0.5, "background": -0.25}


def test_image_is_unchanged_in_the_middle_of_the_range() -> None:
    torch.testing.assert_close(random_affine(IMAGE, draws_of(), **OPTIONS), IMAGE)


def test_shift_moves_the_image_and_adds_background() -> None:
    found = random_affine(IMAGE, draws_of(across=1.0, down=0.0), **OPTIONS)  # samples 3 pixels to the right and 3 above
    torch.testing.assert_close(found[..., 3:, :-3], IMAGE[..., :-3, 3:])
    torch.testing.assert_close(found[..., :3, :], torch.full_like(found[..., :3, :], -0.25))


def test_rotation_by_90_degrees_is_exact() -> None:
    rotated = random_affine(IMAGE, draws_of(angle=1.0), **OPTIONS)
    torch.testing.assert_close(rotated, IMAGE.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_scale_enlarges_the_image_about_its_centre() -> None:
    ramp = torch.arange(28.0).expand(1, 1, 28, 28) - 13.5
    found = random_affine(ramp, draws_of(size=1.0), **OPTIONS)
    torch.testing.assert_close(found, ramp / 1.5)


class Added(BaseDataModule):
    """Twenty samples of zeros. Augmentation adds their draws."""

    input_shape = [NUM_DRAWS]  # noqa: RUF012  # as in the documentation
    num_outputs = 20
    task = "classification"
    num_draws = NUM_DRAWS

    def __init__(self, seed: int = 1, process: tuple[int, int] = (0, 1)) -> None:
        super().__init__(batch_size=4, seed=seed)
        self.rank_and_world_size = lambda: process  # type: ignore[method-assign]

    def load(self) -> tuple[Samples, Samples]:
        samples = torch.zeros(20, NUM_DRAWS), torch.arange(20)
        return samples, samples

    def augment(self, inputs: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        return inputs + draws


def changes(data: Added, epoch: int = 2, batch: int = 3, is_training: bool = True) -> torch.Tensor:
    """What is added to a batch, `(4, NUM_DRAWS)`, in this epoch and batch of a trainer."""
    batch_progress = SimpleNamespace(current=SimpleNamespace(ready=batch))
    epoch_progress = SimpleNamespace(current=SimpleNamespace(processed=epoch))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=batch_progress), epoch_progress=epoch_progress)
    data.trainer = SimpleNamespace(training=is_training, fit_loop=loop)  # type: ignore[assignment]
    size = 4 // data.rank_and_world_size()[1]
    inputs, targets = data.on_after_batch_transfer((torch.zeros(size, NUM_DRAWS), torch.arange(size)), 0)
    assert torch.equal(targets, torch.arange(size))
    return inputs


def test_draws_depend_only_on_seed_epoch_and_batch() -> None:
    expected = changes(Added())
    assert expected.unique().numel() == 4 * NUM_DRAWS, "each sample has its own draws"
    assert expected.dtype == torch.float32
    torch.manual_seed(99)
    assert changes(Added()).equal(expected)
    for others in (changes(Added(seed=2)), changes(Added(), epoch=3), changes(Added(), batch=4)):
        assert not others.equal(expected)


def test_draws_do_not_depend_on_the_number_of_devices() -> None:
    shares = [changes(Added(process=(rank, 2))) for rank in range(2)]
    assert torch.cat(shares).equal(changes(Added()))


def test_inputs_are_augmented_in_training_only() -> None:
    assert not changes(Added(), is_training=False).any()
    untrained = torch.zeros(4, NUM_DRAWS), torch.arange(4)
    assert Added().on_after_batch_transfer(untrained, 0) is untrained, "without a trainer"


class Recorder(L.Callback):
    """Keeps the inputs of training and of validation as the model receives them."""

    def __init__(self) -> None:
        self.train: list[torch.Tensor] = []
        self.val: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, *_: Any) -> None:
        self.train.append(batch[0])

    def on_validation_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, *_: Any) -> None:
        self.val.append(batch[0])


@pytest.mark.parametrize("is_fast", [False, True], ids=["stock", "fast"])
def test_trainer_augments_each_batch_with_its_own_draws(is_fast: bool) -> None:
    data, recorder = Added(), Recorder()
    data.val_size = 4
    trainer = stock_trainer(max_epochs=2, callbacks=[recorder], val_check_interval=2)
    if is_fast:
        use_fast_loop(trainer)
    trainer.fit(Linear([NUM_DRAWS], 20), datamodule=data)
    assert len(recorder.train) == 2 * 4
    for number, inputs in enumerate(recorder.train):
        assert inputs.equal(changes(Added(), epoch=number // 4, batch=number % 4)), number
    assert len(recorder.val) == 2 * 2
    assert not torch.cat(recorder.val).any()


def test_sequences_are_augmented_like_their_images() -> None:
    images = torch.randn(5, 1, 28, 28)
    draws = torch.rand(5, NUM_DRAWS)
    expected = MNIST(shift=2, rotation=20).augment(images, draws)
    for order in ("rows", "pixels", "permuted"):
        data = SequenceMNIST(order=order, shift=2, rotation=20)
        sequences = [data.permute(x.view(5, *data.input_shape)) for x in (images, expected)]
        torch.testing.assert_close(data.augment(sequences[0], draws), sequences[1])


@pytest.mark.parametrize("name", ["shift", "rotation", "scale"])
@pytest.mark.parametrize("value", [-1.0, math.nan, 1000.0])
def test_amount_outside_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} must be between 0 and"):
        MNIST(**{name: value})  # type: ignore[arg-type]


def test_augmentation_is_exact_in_mixed_precision() -> None:
    draws = torch.rand(1, NUM_DRAWS, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = random_affine(IMAGE, draws, **OPTIONS)
    assert mixed.equal(random_affine(IMAGE, draws, **OPTIONS))


def test_oblong_image_is_rotated_without_distortion() -> None:
    oblong = torch.zeros(1, 1, 20, 60)
    oblong[..., 9:11, 20:40] = 1.0
    rotated = random_affine(oblong, draws_of(angle=1.0), shift=0.0, rotation=90.0, scale=0.0, background=0.0)
    assert (rotated[0, 0] > 0.5).nonzero().amin(0).tolist() == [0, 29]
    assert (rotated[0, 0] > 0.5).nonzero().amax(0).tolist() == [19, 30]
