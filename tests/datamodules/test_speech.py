"""Spoken digits: their splits and padding, and recordings of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from datamodules import SpokenDigits
from datamodules.audio import log_mel
from datamodules.speech import MEAN, STD
from models import Linear
from tests.conftest import recordings, stock_trainer

SPEAKERS = ("george", "theo", "anna")


def frequency(digit: int, speaker: str, index: int) -> int:
    """A pitch that names the recording."""
    return 200 + 300 * digit + 100 * SPEAKERS.index(speaker) + 4 * index


def write(path: Path, pitch: int = 400, num_samples: int = 800) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, 8000, (9000 * np.sin(2 * np.pi * pitch * np.arange(num_samples) / 8000)).astype(np.int16))


def folder(data_dir: Path) -> Path:
    return data_dir / "free-spoken-digit-dataset" / "recordings"


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two digits of three speakers, each 12 times."""
    data_dir = tmp_path_factory.mktemp("voices")
    for digit in (0, 7):
        for speaker in SPEAKERS:
            for index in range(12):
                write(folder(data_dir) / f"{digit}_{speaker}_{index}.wav", frequency(digit, speaker, index))
    return data_dir


def loaded(data_dir: Path, **options: Any) -> SpokenDigits:
    data = SpokenDigits(str(data_dir), batch_size=4, **options)
    data.prepare_data()
    data.setup()
    return data


def find(data: SpokenDigits, split: str, names: Sequence[tuple[int, str, int]]) -> bool:
    """Whether a split consists of these recordings."""
    signals = [
        torch.sin(2 * torch.pi * frequency(*name) * torch.arange(800, dtype=torch.float64) / 8000).float()
        for name in sorted(names, key=lambda name: f"{name[0]}_{name[1]}_{name[2]}.wav")
    ]
    expected = torch.stack([(log_mel(signal) - MEAN) / STD for signal in signals])
    inputs, targets, lengths = data.splits[split]
    assert targets.tolist() == sorted(name[0] for name in names)
    assert set(lengths.tolist()) == {expected.shape[1]}
    return bool(torch.allclose(inputs[:, : expected.shape[1]], expected, atol=0.05))


def test_official_split_is_by_index(voices: Path) -> None:
    data = loaded(voices)
    for split, indices in (("test", range(5)), ("val", range(5, 10)), ("train", range(10, 12))):
        names = [(digit, speaker, index) for digit in (0, 7) for speaker in SPEAKERS for index in indices]
        assert find(data, split, names), split
    assert data.title == "SpokenDigits of 72 recordings"


def test_all_recordings_of_the_test_speaker_are_the_test_set(voices: Path) -> None:
    data = loaded(voices, test_speaker="george")
    others = [*range(5), 10, 11]
    for split, speakers, indices in (
        ("test", ["george"], range(12)),
        ("val", ["theo", "anna"], range(5, 10)),
        ("train", ["theo", "anna"], others),
    ):
        names = [(digit, speaker, index) for digit in (0, 7) for speaker in speakers for index in indices]
        assert find(data, split, names), split
    assert data.title == "SpokenDigits of 72 recordings with test speaker george"


def test_frames_after_the_end_are_padded_and_long_recordings_are_cut(tmp_path: Path) -> None:
    samples = [80, 256, 257, 384, 385, 8320, 8400, 20_000]
    for index, num_samples in enumerate(samples):
        write(folder(tmp_path) / f"3_theo_{index + 10}.wav", num_samples=num_samples)
    for index in (0, 5):
        write(folder(tmp_path) / f"3_theo_{index}.wav")
    inputs, _, lengths = loaded(tmp_path).splits["train"]
    assert lengths.tolist() == [1, 1, 2, 2, 3, 64, 64, 64]
    for sample, length in zip(inputs, lengths, strict=True):
        assert sample[:length].any(1).all()
        assert not sample[length:].any()


def test_unknown_speaker_is_refused() -> None:
    with pytest.raises(ValueError, match="test_speaker='georg' must be one of george, jackson, lucas, nicolas, theo"):
        SpokenDigits(test_speaker="georg")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seven.wav", None, "seven.wav must be named as {digit}_{speaker}_{index}.wav; rename or remove it"),
        ("7_theo_1.wav", b"words", "7_theo_1.wav cannot be read: File format .*; replace or remove it"),
        ("notes.txt", b"words", "has no recordings; remove this folder, and they will be downloaded"),
    ],
)
def test_unusable_recording_is_named(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    path = folder(tmp_path) / name
    write(path)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path)


def test_own_recordings_are_read_as_those_of_the_data_set(voices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = loaded(voices)
    inputs, lengths, names = SpokenDigits().read_audio(folder(voices))
    assert names == sorted(path.name for path in folder(voices).iterdir())
    is_test = torch.tensor([name.endswith(tuple(f"_{index}.wav" for index in range(5))) for name in names])
    assert torch.equal(inputs[is_test], data.splits["test"][0])
    assert torch.equal(lengths[is_test], data.splits["test"][2])
    assert not capsys.readouterr().out


def test_long_recording_of_ones_own_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "long.wav", num_samples=12_000)
    write(tmp_path / "short.wav", num_samples=8000)
    assert SpokenDigits().read_audio(tmp_path)[1].tolist() == [64, 62]
    assert capsys.readouterr().out == "Cut off after 1.04 s: long.wav\n"


def test_model_without_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Linear.forward has no argument lengths; choose RNN, TCN or Transformer"):
        stock_trainer(max_epochs=1).fit(Linear([64, 40], 10), datamodule=SpokenDigits(str(recordings())))


def test_checkpoint_of_another_test_speaker_is_refused() -> None:
    state = SpokenDigits(test_speaker="theo").state_dict()
    SpokenDigits(test_speaker="theo").load_state_dict(state)
    with pytest.raises(ValueError, match="with test_speaker=theo, not test_speaker=None; use test_speaker=theo"):
        SpokenDigits().load_state_dict(state)
