"""Recordings in all formats of wav files become the same signal."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from datamodules.audio import read_recording
from datamodules.files import read_each

FORMATS = {
    "uint8": lambda signal: np.rint(128 + 100 * signal).astype(np.uint8),
    "int16": lambda signal: np.rint(3000 * signal).astype(np.int16),
    "int32": lambda signal: np.rint(2e9 * signal).astype(np.int32),
    "float32": lambda signal: (0.3 * signal).astype(np.float32),
    "stereo": lambda signal: np.stack([20_000 * signal, 10_000 * signal], axis=1).astype(np.int16),
}


def read_audio(path: Path) -> tuple[list[torch.Tensor], list[str]]:
    return read_each(path, read_recording, "audio")


def sweep(rate: int) -> np.ndarray:
    """Half a second of a tone that rises from 200 to 1,200 Hz."""
    time = np.arange(rate // 2) / rate
    return np.sin(2 * np.pi * (200 + 1000 * time) * time)


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100])
@pytest.mark.parametrize("form", FORMATS)
def test_format_and_sampling_rate_do_not_change_the_signal(form: str, rate: int, tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", rate, FORMATS[form](sweep(rate)))
    (signal,), names = read_audio(tmp_path / "a.wav")
    assert names == ["a.wav"]
    assert signal.dtype == torch.float32
    assert signal.abs().max() == 1
    assert len(signal) == pytest.approx(4000, abs=1)
    expected = torch.from_numpy(sweep(8000)).float()
    # SciPy's filter rings at both ends; bytes are rounded to 1 %
    torch.testing.assert_close(signal[200:3800], expected[200:3800], rtol=0, atol=0.02)


def test_silence_at_both_ends_is_cut_off(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=30, size=20_000)
    noise[8000:12_000] += 10_000 * sweep(8000)
    noise[9600:10_400] = 0  # a pause inside a word stays
    wavfile.write(tmp_path / "a.wav", 8000, noise.astype(np.int16))
    (signal,), _ = read_audio(tmp_path / "a.wav")
    assert len(signal) == pytest.approx(4000, abs=80)


def test_files_that_cannot_be_used_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wavfile.write(tmp_path / "b.wav", 8000, FORMATS["int16"](sweep(8000)))
    wavfile.write(tmp_path / "a.WAV", 8000, FORMATS["int16"](-sweep(8000)))
    wavfile.write(tmp_path / "silent.wav", 8000, np.zeros(800, np.int16))
    wavfile.write(tmp_path / "short.wav", 8000, np.zeros(0, np.int16))
    wavfile.write(tmp_path / "nan.wav", 8000, np.full(800, np.nan, np.float32))
    (tmp_path / "speech.mp3").write_bytes(b"ID3")
    (tmp_path / "text.wav").write_text("words")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    signals, names = read_audio(tmp_path)
    assert names == ["a.WAV", "b.wav"]
    assert torch.equal(signals[0], -signals[1])
    (printed,) = capsys.readouterr().out.splitlines()
    for expected in (
        "short.wav is silent",
        "silent.wav is silent",
        "nan.wav has values that are not finite numbers",
        "speech.mp3 is not a wav file: convert it with ffmpeg",
        "text.wav cannot be read: File format",
        "empty.wav cannot be read: ",
    ):
        assert expected in printed


def test_notes_of_a_recorder_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    wavfile.write(path, 8000, FORMATS["int16"](sweep(8000)))
    content = path.read_bytes()
    content += b"note" + struct.pack("<I", 4) + b"mine"
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    assert len(read_audio(path)[0]) == 1


@pytest.mark.parametrize("name", ["nothing", "text.wav"])
def test_path_without_recordings_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "nothing":
        path.mkdir()
    else:
        path.write_text("words")
    with pytest.raises(
        ValueError, match=f"audio={path}: (text.wav cannot be read: .*|the folder has no files); pass another"
    ):
        read_audio(path)
