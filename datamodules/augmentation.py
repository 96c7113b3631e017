"""Images shifted, turned and scaled at random, each by an amount of its own.

Source: Simard, Steinkraus & Platt 2003, "Best Practices for Convolutional Neural Networks", section 2 (affine).
Differences: no shear; the amounts are uniform, and new in each epoch.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

NUM_DRAWS = 4  # random numbers an image: across, down, angle, size


def moved(images: Tensor, draws: Tensor, shift: float, rotation: float, scale: float, background: float) -> Tensor:
    """Images `(B, C, H, W)`, on whatever device they are, sampled bilinearly where a random map sends each pixel.

    Args:
        images: the originals; they are left as they are.
        draws: `(B, 4)`, uniform from 0 to 1.
        shift: largest way in pixels of the original, across and down.
        rotation: largest angle in degrees, either way.
        scale: largest change of size, as a share: 0.1 makes an image up to a tenth smaller or larger.
        background: the value of pixels that come from outside of the image.
    """
    height, width = images.shape[-2:]
    # a pixel, where an image is from -1 to 1
    side = 2 / torch.tensor([width, height], dtype=images.dtype, device=images.device)
    amounts = 2 * draws - 1
    move = amounts[:, :2] * shift * side
    angle = amounts[:, 2] * math.radians(rotation)
    cos, sin = (f(angle) / (1 + amounts[:, 3] * scale) for f in (torch.cos, torch.sin))
    # a height is as long as a width there, whatever it is in pixels
    rows = [cos, -sin * height / width, move[:, 0], sin * width / height, cos, move[:, 1]]
    with torch.autocast(images.device.type, enabled=False):  # places in 16 bits would be off by half a pixel
        grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images - background, grid, align_corners=False) + background
