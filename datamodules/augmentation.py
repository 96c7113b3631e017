"""Random shift, rotation and scale of images, different for each image.

Source: Simard, Steinkraus & Platt 2003, "Best Practices for Convolutional Neural Networks", section 2 (affine).
Differences: no shear. The amounts are uniform, and new in each epoch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

NUM_DRAWS = 4  # random numbers per image: shift across, shift down, rotation, scale


def random_affine(
    images: Tensor, draws: Tensor, shift: float, rotation: float, scale: float, background: float
) -> Tensor:
    """Shifts, rotates and scales images `(B, C, H, W)` with bilinear interpolation, on their own device.

    Args:
        images: The original images. They are not changed.
        draws: Random numbers `(B, 4)`, uniform from 0 to 1.
        shift: Largest shift across and down, in pixels.
        rotation: Largest rotation in either direction, in degrees.
        scale: Largest change of size, as a fraction. 0.1 makes an image up to 10 % smaller or larger.
        background: Value of the pixels that come from outside the image.
    """
    height, width = images.shape[-2:]
    # size of a pixel in the coordinates of `affine_grid`, where an image reaches from -1 to 1
    pixel = 2 / torch.tensor([width, height], dtype=images.dtype, device=images.device)
    amounts = 2 * draws - 1
    move = amounts[:, :2] * shift * pixel
    angle = amounts[:, 2] * math.radians(rotation)
    cos, sin = (f(angle) / (1 + amounts[:, 3] * scale) for f in (torch.cos, torch.sin))
    # height and width are both 2 in these coordinates, so an oblong image needs their ratio
    rows = [cos, -sin * height / width, move[:, 0], sin * width / height, cos, move[:, 1]]
    with torch.autocast(images.device.type, enabled=False):  # 16-bit coordinates would be off by half a pixel
        grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images - background, grid, align_corners=False) + background
