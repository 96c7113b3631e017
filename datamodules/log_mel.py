"""Log-mel spectrogram: the energy of a sound in bands of the mel scale, frame by frame.

Shapes: a signal `(N,)` to frames `(T, D)`.
Source: Davis & Mermelstein 1980, with triangular filters of equal width on the mel scale, 2595 log10(1 + f / 700).
Differences: no cosine transform, so the frames are log energies, not cepstral coefficients.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 8000  # samples per second of a signal
WINDOW = 256  # samples per frame: 32 ms
HOP = 128  # samples from one frame to the next: 16 ms
NUM_BANDS = 40  # mel bands, from 0 Hz to half the sampling rate
FLOOR = 0.01  # added to the energy of a band, so that silence and faint noise look alike


def log_mel(signal: Tensor) -> Tensor:
    """The log energies `(T, 40)` of a signal `(N,)` of 8,000 samples per second.

    The end is padded with zeros to a whole number of frames.
    """
    num_frames = 1 + max(0, math.ceil((len(signal) - WINDOW) / HOP))
    padded = F.pad(signal, (0, WINDOW + (num_frames - 1) * HOP - len(signal)))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, center=False, return_complex=True)  # (bins, T)
    return (mel_filters() @ spectrum.abs().square() + FLOOR).log().T


@functools.cache
def mel_filters() -> Tensor:
    """The weights `(40, bins)` of the frequencies in each band: triangles of height 1 that end at the next peaks."""
    frequencies = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    mels = torch.linspace(0, 2595 * math.log10(1 + RATE / 2 / 700), NUM_BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)  # in Hz: start, peak and end of the first band are the first three
    start, peak, end = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - start) / (peak - start), (end - frequencies) / (end - peak)
    return torch.minimum(rising, falling).clamp(min=0)
