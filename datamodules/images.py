"""Drawings and photographs of a digit, brought into the form of MNIST's images.

Source: MNIST database (LeCun, Cortes & Burges 1998), "the 28x28 images": light on dark, the digit fitted into 20x20
pixels and shifted so that its centre of mass is the centre of the image.
Differences: what is 28x28 already is taken as it is.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError
from torch import Tensor

SIDE = 28
MIDDLE = 14  # pixel of the centre of mass, rows and columns counted from 0, in MNIST's images
FAINT = 0.1  # contrast that is not seen
EDGE = 0.3  # what is drawn ends where it is this light: paper is not even
INK = 0.18  # least share of the square into which a digit is fitted; those of MNIST have 0.26 in the mean
FINER = 4  # a pen is thickened in steps of 1/4 pixel


def read_images(path: Path, box: int) -> tuple[Tensor, list[str]]:
    """The image of a file, or those of a folder, as bytes `(N, 28, 28)`, and the names of their files.

    What is no image, or has nothing on it, is named in a line and left out.

    Args:
        path: a file, or a folder whose files are read in the order of their names.
        box: pixels of the square into which what is drawn is fitted.

    Raises:
        ValueError: nothing there is an image.
    """
    images, names, left_out = [], [], []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_dir():
            continue
        try:
            with Image.open(file) as image:
                images.append(fitted(light_on_dark(image), box))
            names.append(file.name)
        except PermissionError:
            left_out.append(f"{file.name} may not be read")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            left_out.append(f"{file.name} is not an image")
        except BlankError:
            left_out.append(f"{file.name} is blank")
    if not images:
        raise ValueError(f"--images {path}: {', '.join(left_out) or 'the folder is empty'}; type another path")
    if left_out:
        print(f"Left out: {', '.join(left_out)}", flush=True)
    return torch.from_numpy(np.stack(images)), names


class BlankError(Exception):
    """Nothing is drawn on an image."""


def light_on_dark(image: Image.Image) -> np.ndarray:
    """The image in one channel, 0 (background) to 1 `(H, W)`; the border tells what is background."""
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    alpha = np.asarray(upright.getchannel("A")) / 255
    gray = np.asarray(upright.convert("RGB").convert("L")) / 255
    if alpha.min() < 1:  # drawn on nothing: put on the paper that it stands out from
        is_light = (gray * alpha).sum() > alpha.sum() / 2
        gray = gray * alpha + (1 - alpha) * (0 if is_light else 1)
    return 1 - gray if np.median(border(gray)) > 0.5 else gray


def border(gray: np.ndarray) -> np.ndarray:
    """The pixels of the edges."""
    return np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])


def fitted(gray: np.ndarray, box: int) -> np.ndarray:
    """What is drawn, fitted into `box` pixels and with its centre of mass in the middle: bytes `(28, 28)`.

    Raises:
        BlankError: all pixels are alike.
    """
    background = float(np.median(border(gray)))
    if gray.max() - background < FAINT:
        raise BlankError
    if gray.shape == (SIDE, SIDE):
        return np.rint(gray * 255).astype(np.uint8)
    gray = np.clip((gray - background) / (gray.max() - background), 0, 1)
    rows, columns = np.nonzero(gray > EDGE)
    drawn = gray[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    large = resized(drawn, FINER * box)
    small = resized(large, box)
    for _ in range(FINER):  # a thin pen is thickened until there is as much ink as MNIST's pens leave
        if small.sum() >= INK * box**2:
            break
        large = np.asarray(Image.fromarray(np.pad(large, 1)).filter(ImageFilter.MaxFilter(3)))
        small = resized(large, box)
    small = small / small.max()
    canvas = np.zeros((SIDE, SIDE))
    top, left = (
        int(np.clip(round(MIDDLE - centre), 0, SIDE - length))
        for centre, length in zip(centre_of_mass(small), small.shape, strict=True)
    )
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.rint(canvas * 255).astype(np.uint8)


def resized(gray: np.ndarray, side: int) -> np.ndarray:
    """The image with its longer side of `side` pixels."""
    scale = side / max(gray.shape)
    height, width = (max(1, round(length * scale)) for length in gray.shape)
    smooth = Image.fromarray(gray.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(smooth)


def centre_of_mass(gray: np.ndarray) -> tuple[float, float]:
    """Row and column."""
    rows, columns = np.indices(gray.shape)
    return float((rows * gray).sum() / gray.sum()), float((columns * gray).sum() / gray.sum())
