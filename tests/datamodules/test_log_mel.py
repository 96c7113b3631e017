"""Log-mel spectrograms against a plain computation, and on tones."""

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.audio import FLOOR, log_mel

RATE, WINDOW, HOP, NUM_BANDS = 8000, 256, 128, 40


def tone(frequency: float, num_samples: int = 2048) -> Tensor:
    return torch.sin(2 * torch.pi * frequency * torch.arange(num_samples) / RATE)


def plain_log_mel(signal: np.ndarray) -> np.ndarray:
    """The same with loops: one frame after the other, and one frequency and band after the other."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), NUM_BANDS + 2) / 2595) - 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = []
    for start in range(0, max(1, len(signal) - WINDOW + HOP), HOP):
        part = np.zeros(WINDOW)
        part[: len(signal[start : start + WINDOW])] = signal[start : start + WINDOW]
        power = np.abs(np.fft.rfft(part * window)) ** 2
        energies = np.zeros(NUM_BANDS)
        for band in range(NUM_BANDS):
            for bin, value in enumerate(power):
                weight = np.interp(bin * RATE / WINDOW, edges[band : band + 3], [0, 1, 0])
                energies[band] += weight * value
        frames.append(np.log(energies + FLOOR))
    return np.array(frames)


@pytest.mark.parametrize("num_samples", [1, 256, 257, 384, 1000])
def test_frames_equal_a_plain_computation(num_samples: int) -> None:
    signal = torch.randn(num_samples, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(plain_log_mel(signal.double().numpy())).float()
    torch.testing.assert_close(log_mel(signal), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("band", range(0, 40, 3))
def test_tone_lands_in_the_band_of_its_pitch(band: int) -> None:
    mel = (band + 1) * 2595 * np.log10(1 + 4000 / 700) / 41
    frames = log_mel(tone(700 * (10 ** (mel / 2595) - 1)))
    assert (frames.argmax(1) == band).all()


def test_twice_the_amplitude_adds_the_logarithm_of_4() -> None:
    loud, louder = log_mel(10 * tone(1000)), log_mel(20 * tone(1000))
    torch.testing.assert_close(louder.amax(1) - loud.amax(1), torch.full((len(loud),), np.log(4)).float())
