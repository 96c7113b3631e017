"""Converts drawings and photographs of a digit to images like those of MNIST.

Source: MNIST database (LeCun, Cortes & Burges 1998): 28x28 pixels, light on dark. The digit is fitted into 20x20 pixels
and shifted so that its centre of mass is the centre of the image.
Differences: images that already have this form are not changed.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage
from torch import Tensor

from datamodules.files import read_each

SIDE = 28
MIDDLE = 14  # row and column of the centre of mass in MNIST's images, counted from 0
BLANK_CONTRAST = 0.1  # an image with less contrast is blank
STROKE_BRIGHTNESS = 0.3  # lighter pixels belong to the digit, darker ones may be uneven paper
MIN_INK = 0.18  # smallest mean of the pixels in the square around a digit; in MNIST it is 0.26 on average
FINER = 4  # a thin pen is thickened in steps of 1/4 pixel


def read_images(path: Path, box: int) -> tuple[Tensor, list[str]]:
    """Reads an image, or all images of a folder, as bytes `(N, 28, 28)`. Also returns the names of their files.

    Digits are fitted into a square of `box` pixels. Files that cannot be used are left out. Without any image, it
    raises a ValueError.
    """
    images, names = read_each(path, lambda file: read_image(file, box), "images")
    return torch.from_numpy(np.stack(images)), names


def read_image(file: Path, box: int) -> np.ndarray:
    """Reads an image as bytes `(28, 28)`. Raises a ValueError if it cannot be used."""
    try:
        with Image.open(file) as opened:
            image = fit(light_on_dark(opened), box)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ValueError("is not an image that Pillow can read: convert it to PNG") from None
    if image is None:
        raise ValueError("is blank")
    return image


def light_on_dark(image: Image.Image) -> np.ndarray:
    """The image in one channel `(H, W)`, from 0 to 1, inverted if its border is light."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):  # floats, or 16 and 32 bits, where white has no fixed value
        values = np.asarray(upright, dtype=np.float64)
        values -= min(values.min(), 0)
        values /= values.max() or 1  # not divided by the contrast, so that blank paper stays blank
        upright = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    upright = upright.convert("RGBA")
    alpha = np.asarray(upright.getchannel("A")) / 255
    gray = np.asarray(upright.convert("RGB").convert("L")) / 255
    if alpha.min() < 1:  # transparent: put light ink on black paper and dark ink on white paper
        is_light = (gray * alpha).sum() > alpha.sum() / 2
        gray = gray * alpha + (1 - alpha) * (0 if is_light else 1)
    return 1 - gray if border_brightness(gray) > 0.5 else gray


def border_brightness(gray: np.ndarray) -> float:
    return float(np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])))


def fit(gray: np.ndarray, box: int) -> np.ndarray | None:
    """Scales a drawing to `box` pixels and centres it. Returns bytes `(28, 28)`, or None if there is no contrast."""
    background = border_brightness(gray)
    if gray.max() - background < BLANK_CONTRAST:
        return None
    if not is_fitted(gray, background, box):
        gray = np.clip((gray - background) / (gray.max() - background), 0, 1)
        gray = centred(scaled(gray[bounding_box(gray > STROKE_BRIGHTNESS)], box), box)
    return np.rint(gray * 255).astype(np.uint8)


def is_fitted(gray: np.ndarray, background: float, box: int) -> bool:
    """Whether an image already has the form of the data set. Fitting it again would blur it."""
    if gray.shape != (SIDE, SIDE) or background > 0 or gray.max() < 0.9:
        return False
    extents = bounding_box(gray > BLANK_CONTRAST)
    length = max(extent.stop - extent.start for extent in extents)
    centre = [(extent.start + extent.stop) / 2 for extent in extents] if box == SIDE else ndimage.center_of_mass(gray)
    return bool(abs(length - box) <= 1 and np.abs(np.subtract(centre, MIDDLE)).max() <= 1)


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the smallest rectangle around the pixels of a mask."""
    (box,) = ndimage.find_objects(mask.astype(int))
    return box


def scaled(digit: np.ndarray, box: int) -> np.ndarray:
    """Scales a digit to `box` pixels. A thin pen is thickened until there is enough ink."""
    large = resized(digit, FINER * box)
    small = resized(large, box)
    for _ in range(FINER):
        if small.sum() >= MIN_INK * box**2:
            break
        large = ndimage.grey_dilation(np.pad(large, 1), size=3)
        small = resized(large, box)
    return small / small.max()


def resized(gray: np.ndarray, side: int) -> np.ndarray:
    """Scales an image so that its longer side has `side` pixels."""
    factor = side / max(gray.shape)
    height, width = (max(1, round(length * factor)) for length in gray.shape)
    return np.asarray(Image.fromarray(gray.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))


def centred(digit: np.ndarray, box: int) -> np.ndarray:
    """Puts a digit into an empty image, with its centre of mass in the middle."""
    canvas = np.zeros((SIDE, SIDE))
    top, left = (
        # a box of 28 leaves no room to move the longer side, so both sides are centred by their extent
        (SIDE - length + 1) // 2 if box == SIDE else int(np.clip(round(MIDDLE - centre), 0, SIDE - length))
        for centre, length in zip(ndimage.center_of_mass(digit), digit.shape, strict=True)
    )
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return canvas
