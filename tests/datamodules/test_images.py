"""Drawings and photographs are converted to images like those of the training data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
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
    """The digit, ten times as large and not in the middle of its paper."""
    large = np.asarray(Image.fromarray(digit.numpy()).resize((280, 280), Image.Resampling.BICUBIC)) / 255
    canvas = np.zeros((330, 400))
    canvas[10:290, 100:380] = large
    return Image.fromarray(np.rint(paper + (ink - paper) * canvas).astype(np.uint8))


def centre_of_mass(image: Tensor) -> Tensor:
    weights = image.double()
    positions = torch.stack(torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij"))
    return (positions * weights).sum(dim=(1, 2)) / weights.sum()


def seven() -> Image.Image:
    """A 7 in the corner of 28x28 pixels."""
    image = Image.new("L", (28, 28), 255)
    ImageDraw.Draw(image).line([(2, 3), (14, 3), (7, 18)], fill=0, width=2)
    return image


def test_image_of_the_data_set_is_not_changed(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    originals = digits[0][::5]
    for number, digit in enumerate(originals):
        Image.fromarray(digit.numpy()).save(tmp_path / f"{number:03}_light.png")
        Image.fromarray(255 - digit.numpy()).save(tmp_path / f"{number:03}_dark.png")
    images, names = read_images(tmp_path, BOX)
    assert names[:2] == ["000_dark.png", "000_light.png"]
    assert torch.equal(images[0::2], originals)
    assert torch.equal(images[1::2], originals)


def test_small_drawing_is_centred_like_a_large_one(tmp_path: Path) -> None:
    seven().save(tmp_path / "small.png")
    seven().resize((56, 56), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    images, _ = read_images(tmp_path, BOX)
    large, small = (centre_of_mass(image) for image in images)
    assert (small - large).abs().max() < 0.5
    assert (small - 14).abs().max() < 1


def test_gray_paper_of_a_small_image_becomes_black(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    Image.fromarray((180 - digits[0][0].double() * 120 / 255).round().to(torch.uint8).numpy()).save(
        tmp_path / "gray.png"
    )
    image = read_images(tmp_path / "gray.png", BOX)[0][0]
    assert image.median() == 0
    assert image.max() == 255
    assert (centre_of_mass(image) - centre_of_mass(digits[0][0])).abs().max() < 0.5


def test_box_of_28_is_centred_by_its_extent(tmp_path: Path) -> None:
    shirt = np.zeros((28, 28), np.uint8)
    shirt[:, 6:22] = np.linspace(100, 255, 28)[:, None]
    Image.fromarray(shirt).save(tmp_path / "centred.png")
    Image.fromarray(np.roll(shirt, 5, axis=1)).save(tmp_path / "shifted.png")
    images, _ = read_images(tmp_path, 28)
    assert np.array_equal(images[0], shirt)
    assert torch.nonzero(images[1].amax(dim=0)).flatten().tolist() == list(range(6, 22))


@pytest.mark.parametrize(("dtype", "suffix"), [(np.float32, "tiff"), (np.uint16, "png"), (np.int32, "tiff")])
def test_float_and_16_bit_images_are_scaled_by_their_range(
    dtype: type[np.generic], suffix: str, digits: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    image = drawn(digits[0][0], 0, 255)
    image.save(tmp_path / "0.png")
    values = np.asarray(image) / 255 * (1 if dtype == np.float32 else 4095)
    Image.fromarray(values.astype(dtype)).save(tmp_path / f"1.{suffix}")
    images, _ = read_images(tmp_path, BOX)
    assert (images[0].int() - images[1].int()).abs().max() <= 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("photo.HEIC", b"\0\0\0\x18ftypheic", "photo.HEIC is not an image that Pillow can read: convert it to PNG;"),
        ("notes.png", b"text", "notes.png is not an image that"),
        ("missing.png", None, "missing.png cannot be read: No such file or directory; pass another file"),
    ],
)
def test_file_that_cannot_be_used_is_named(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"images={tmp_path / name}: {message}"):
        read_images(tmp_path / name, BOX)


def test_truncated_and_blank_images_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seven().save(tmp_path / "good.png")
    content = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    Image.new("F", (50, 50), 0.5).save(tmp_path / "paper.tiff")
    grain = np.random.default_rng(0).integers(60_000, 62_000, (50, 50))
    Image.fromarray(grain.astype(np.uint16)).save(tmp_path / "paper.png")
    assert read_images(tmp_path, BOX)[1] == ["good.png"]
    assert "Left out: cut.png cannot be read: " in (printed := capsys.readouterr().out)
    assert "paper.png is blank, paper.tiff is blank" in printed


def test_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the folder has no files; pass another file, or a folder of files"):
        read_images(tmp_path, BOX)
    (tmp_path / "0").mkdir()
    with pytest.raises(ValueError, match="the folder has no files; pass another file, or a folder of files"):
        read_images(tmp_path, BOX)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes.txt is not an image that Pillow can read"):
        read_images(tmp_path, BOX)


def test_tilde_in_the_path_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    seven().save(tmp_path / "seven.png")
    assert read_images(Path("~/seven.png"), BOX)[1] == ["seven.png"]


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (60, 190)])
def test_drawing_of_a_digit_is_close_to_the_digit(
    ink: int, paper: int, digits: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    for number, digit in enumerate(digits[0][::10]):
        drawn(digit, ink, paper).save(tmp_path / f"{number:02}.png")
    images, _ = read_images(tmp_path, BOX)
    originals = digits[0][::10]
    close = (images.float() - originals.float()).abs().mean(dim=(1, 2)) / originals.float().mean(dim=(1, 2))
    assert close.median() < 0.35, "the strokes overlap within a fraction of a pixel"
    assert images.amax(dim=(1, 2)).min() == 255
    rows = torch.nonzero(images.amax(dim=2).amax(dim=0)).flatten()
    assert len(rows) >= BOX


def test_transparent_paper_contrasts_with_the_ink(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    alpha = drawn(digits[0][0], 255, 0)
    for name, ink in (("black", 0), ("white", 255)):
        image = Image.new("RGBA", alpha.size, (ink, ink, ink, 0))
        image.putalpha(alpha)
        image.save(tmp_path / f"{name}.png")
    drawn(digits[0][0], 0, 255).save(tmp_path / "paper.png")
    images, _ = read_images(tmp_path, BOX)
    for image in images[:2]:
        assert (image.float() - images[2].float()).abs().max() <= 3


def test_thin_pen_is_thickened(tmp_path: Path) -> None:
    paper = np.full((500, 500), 255, np.uint8)
    paper[100:400, 250] = 0
    paper[100, 200:300] = 0
    Image.fromarray(paper).save(tmp_path / "seven.png")
    image = read_images(tmp_path / "seven.png", BOX)[0][0].float() / 255
    assert (image[14] > 0.5).sum() >= 2, "a stroke of more than one pixel"


@pytest.mark.parametrize("box", [(90, 20, 110, 180), (20, 95, 180, 99), (100, 100, 100, 100), (0, 80, 200, 120)])
def test_filled_rectangle_of_any_shape_is_fitted(box: tuple[int, ...], tmp_path: Path) -> None:
    paper = Image.new("L", (200, 200), 255)
    paper.paste(0, (box[0], box[1], box[2] + 1, box[3] + 1))
    paper.save(tmp_path / "stroke.png")
    images, _ = read_images(tmp_path, BOX)
    assert images.max() == 255
    assert 0 < (images > 0).sum() <= 28 * 28


def test_network_trained_on_digits_classifies_drawings(digits: tuple[Tensor, Tensor], tmp_path: Path) -> None:
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
            for inputs in (datamodule.to_inputs(digits[0]), drawings)
        ]
    assert right[0] > 0.85
    assert right[1] > right[0] - 0.05
