"""Masks random mel bands and frames of spectrograms, different ones for each recording.

Source: Park et al. 2019, "SpecAugment", section 2.
Differences: one mask of each kind, and no time warping. A time mask covers at most half a recording.
"""

import torch
from torch import Tensor

NUM_DRAWS = 4  # random numbers per recording: width and start of the frequency mask, and of the time mask


def spec_augment(inputs: Tensor, draws: Tensor, frequency_mask: int, time_mask: int) -> Tensor:
    """Sets a range of bands and a range of frames to 0, the mean of normalised spectrograms.

    Args:
        inputs: Spectrograms `(B, T, D)`, padded at the end with frames of zeros. They are not changed.
        draws: Random numbers `(B, 4)`, uniform from 0 to 1.
        frequency_mask: Largest number of masked bands.
        time_mask: Largest number of masked frames.
    """
    lengths = inputs.any(2).sum(1)
    num_bands = torch.full_like(lengths, inputs.shape[2])
    bands = random_range(draws[:, :2], num_bands, num_bands.clamp(max=frequency_mask), inputs.shape[2])
    frames = random_range(draws[:, 2:], lengths, (lengths // 2).clamp(max=time_mask), inputs.shape[1])
    return inputs.masked_fill(bands[:, None, :] | frames[:, :, None], 0)


def random_range(draws: Tensor, lengths: Tensor, largest: Tensor, num_steps: int) -> Tensor:
    """Marks a random range of up to `largest` steps within the first `lengths` steps: `(B, num_steps)`."""
    width = (draws[:, 0] * (largest + 1)).floor()
    start = (draws[:, 1] * (lengths - width + 1)).floor()
    steps = torch.arange(num_steps, device=draws.device)
    return (steps >= start[:, None]) & (steps < (start + width)[:, None])
