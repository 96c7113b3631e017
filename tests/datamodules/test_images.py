"""A drawing is brought into the form that the network was trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules import MNIST
from datamodules.images import read_images
from models import ShallowMLP
from tests.test_contract import train_on

BOX = 20


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """The subset's test digits as bytes, and their labels."""
    datamodule = MNIST(source="subset")
    datamodule.setup()
    inputs, labels = datamodule.splits["test"]
    pixels = (inputs.view(-1, 28, 28) * datamodule.variant.std + datamodule.variant.mean) * 255
    return pixels.round().to(torch.uint8), labels


def drawn(digit: Tensor, ink: int, paper: int) -> Image.Image:
    """The digit ten times as large, off the centre of its paper."""
    large = np.asarray(Image.fromarray(digit.numpy()).resize((280, 280), Image.Resampling.BICUBIC)) / 255
    canvas = np.zeros((330, 400))
    canvas[10:290, 100:380] = large
    return Image.fromarray(np.rint(paper + (ink - paper) * canvas).astype(np.uint8))


def test_an_image_of_the_data_set_stays_as_it_is(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    Image.fromarray(digits[0][0].numpy()).save(tmp_path / "light.png")
    Image.fromarray(255 - digits[0][0].numpy()).save(tmp_path / "dark.png")
    images, names = read_images(tmp_path, BOX)
    assert names == ["dark.png", "light.png"]
    assert torch.equal(images[1], digits[0][0])
    assert torch.equal(images[0], digits[0][0])


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (60, 190)])
def test_a_drawing_of_a_digit_becomes_that_digit(
    ink: int, paper: int, digits: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    for number, digit in enumerate(digits[0][::10]):
        drawn(digit, ink, paper).save(tmp_path / f"{number:02}.png")
    images, _ = read_images(tmp_path, BOX)
    originals = digits[0][::10]
    close = (images.float() - originals.float()).abs().mean(dim=(1, 2)) / originals.float().mean(dim=(1, 2))
    assert close.median() < 0.35, "the strokes lie over each other, to a fraction of a pixel"
    assert images.amax(dim=(1, 2)).min() == 255
    rows = torch.nonzero(images.amax(dim=2).amax(dim=0)).flatten()
    assert len(rows) >= BOX


def test_transparent_paper_is_what_the_ink_stands_out_from(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    alpha = drawn(digits[0][0], 255, 0)
    for name, ink in (("black", 0), ("white", 255)):
        image = Image.new("RGBA", alpha.size, (ink, ink, ink, 0))
        image.putalpha(alpha)
        image.save(tmp_path / f"{name}.png")
    drawn(digits[0][0], 0, 255).save(tmp_path / "paper.png")
    images, _ = read_images(tmp_path, BOX)
    for image in images[:2]:
        assert (image.float() - images[2].float()).abs().max() <= 3


def test_a_thin_pen_is_thickened(tmp_path: Path) -> None:
    paper = np.full((500, 500), 255, np.uint8)
    paper[100:400, 250] = 0
    paper[100, 200:300] = 0
    Image.fromarray(paper).save(tmp_path / "seven.png")
    image = read_images(tmp_path / "seven.png", BOX)[0][0].float() / 255
    assert (image[14] > 0.5).sum() >= 2, "a stroke of more than one pixel"


@pytest.mark.parametrize("box", [(90, 20, 110, 180), (20, 95, 180, 99), (100, 100, 100, 100), (0, 80, 200, 120)])
def test_what_is_all_ink_in_its_frame_is_no_trouble(box: tuple[int, ...], tmp_path: Path) -> None:
    paper = Image.new("L", (200, 200), 255)
    paper.paste(0, (box[0], box[1], box[2] + 1, box[3] + 1))
    paper.save(tmp_path / "stroke.png")
    images, _ = read_images(tmp_path, BOX)
    assert images.max() == 255
    assert 0 < (images > 0).sum() <= 28 * 28


def test_what_was_learned_on_digits_is_recognised_in_drawings(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    datamodule = MNIST(source="subset")
    datamodule.setup()
    torch.manual_seed(0)
    model = ShallowMLP([1, 28, 28], 10, lr=0.01)
    train_on(model, datamodule.splits["train"], steps=60)
    for number, digit in enumerate(digits[0]):
        drawn(digit, 30, 220).save(tmp_path / f"{number:03}.png")
    drawings, _ = datamodule.read_images(tmp_path)
    with torch.no_grad():
        right = [
            (model.eval()(inputs).argmax(-1) == digits[1]).float().mean()
            for inputs in (datamodule.inputs(digits[0]), drawings)
        ]
    assert right[0] > 0.85
    assert right[1] > right[0] - 0.05
