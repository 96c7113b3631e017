"""Spoken digits: 3,000 recordings of six speakers, as log-mel spectrograms.

Source: Free Spoken Digit Dataset, version 1.0.10, github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
"""

import re
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.audio import HOP, NUM_BANDS, RATE, WINDOW, log_mel, read_recording
from datamodules.base import BaseDataModule
from datamodules.checks import check_choice
from datamodules.files import data_folder, download, read_each
from datamodules.loader import Samples

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
SHA256 = "45a9b976ba3397a2fd5c70a9f2e43c34f442a3a6be47392ecfc41174b678f37e"  # see `download`
NUM_RECORDINGS = 3000
NAME = re.compile(r"(\d)_(.+)_(\d+)")  # {digit}_{speaker}_{index}
TEST, VALIDATION = range(5), range(5, 10)  # indices of the recordings; the others train
NUM_FRAMES = 64  # 1.04 s; without silence at their ends, two of the 3,000 recordings are longer
MEAN, STD = -0.363, 2.697  # of all bands and frames of the 2,400 recordings to train

Speaker = Literal["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]


class SpokenDigits(BaseDataModule):
    """Recordings of the digits 0 to 9: 2,400 to train, 300 to validate, 300 to test.

    Inputs are normalised log-mel spectrograms `[64, 40]`: 64 frames, one every 16 ms, of 40 mel bands. Each recording
    is scaled to the same peak. Silence at both ends is cut off. Recordings longer than 64 frames are cut off, shorter
    ones are padded.

    Recordings 0 to 4 of each speaker and digit are the official test set. Recordings 5 to 9 validate.

    Args:
        data_dir: Folder of the data, by default the environment's DATA_DIR, or else `data`. The recordings are in its
            subfolder `free-spoken-digit-dataset/recordings`, which is downloaded if it is missing (16 MB). You can add
            your own as `{digit}_{speaker}_{index}.wav`.
        test_speaker: One of the six speakers, whose recordings are then the test set. The network neither trains nor
            validates on this voice. The constants of the normalisation come from all six voices. None uses the
            official test set, which has all voices.
        batch_size: Samples per optimizer step, over all devices.
        seed: Seed of the order of samples. Set by `seed_everything`.

    Raises:
        ValueError: If an option is outside its range, the recordings are missing and cannot be downloaded, or one of
            them has another name or cannot be read.
    """

    num_outputs = 10
    task = "classification"
    has_val_split = True
    has_lengths = True

    def __init__(
        self, data_dir: str | None = None, test_speaker: Speaker | None = None, batch_size: int = 64, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed=seed)
        if test_speaker is not None:
            check_choice(get_args(Speaker), test_speaker=test_speaker)
        self.test_speaker = test_speaker
        self.input_shape = [NUM_FRAMES, NUM_BANDS]
        self.folder = data_folder(data_dir) / "free-spoken-digit-dataset" / "recordings"
        self.num_recordings = NUM_RECORDINGS

    @property
    def title(self) -> str:
        number = "" if self.num_recordings == NUM_RECORDINGS else f" of {self.num_recordings:,} recordings"
        return f"SpokenDigits{number}" + (f" with test speaker {self.test_speaker}" if self.test_speaker else "")

    def prepare_data(self) -> None:
        """Downloads the recordings if their folder is missing. Called once per machine."""
        download(self.folder, "free-spoken-digit-dataset", [URL], SHA256)

    def load(self) -> tuple[Samples, ...]:
        files = sorted(self.folder.glob("*.wav"))
        if not files:
            raise ValueError(f"{self.folder} has no recordings; remove this folder, and they will be downloaded")
        self.num_recordings = len(files)
        signals, digits, splits = [], [], []
        for file in files:
            found = NAME.fullmatch(file.stem)
            if not found:
                raise ValueError(f"{file} must be named as {{digit}}_{{speaker}}_{{index}}.wav; rename or remove it")
            digit, speaker, index = found.groups()
            try:
                signals.append(read_recording(file))
            except ValueError as error:
                raise ValueError(f"{file} {error}; replace or remove it") from error
            digits.append(int(digit))
            is_test = int(index) in TEST if self.test_speaker is None else speaker == self.test_speaker
            splits.append("test" if is_test else "val" if int(index) in VALIDATION else "train")
        inputs, lengths = self.to_inputs(signals)
        samples = inputs, torch.tensor(digits), lengths
        chosen = [torch.tensor([split == name for split in splits]) for name in ("train", "val", "test")]
        return tuple(tuple(values[indices] for values in samples) for indices in chosen)

    def to_inputs(self, signals: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Converts signals `(N,)` to network inputs `(B, 64, 40)` and their lengths `(B,)`."""
        frames = [(log_mel(signal)[:NUM_FRAMES] - MEAN) / STD for signal in signals]
        lengths = torch.tensor([len(one) for one in frames])
        return torch.stack([F.pad(one, (0, 0, 0, NUM_FRAMES - len(one))) for one in frames]), lengths

    def read_audio(self, path: Path) -> tuple[Tensor, Tensor, list[str]]:
        """Reads a recording, or a folder of them: inputs `(N, *input_shape)`, their lengths `(N,)` and file names."""
        signals, names = read_each(path, read_recording, "audio")
        longest = WINDOW + (NUM_FRAMES - 1) * HOP
        cut = [name for name, signal in zip(names, signals, strict=True) if len(signal) > longest]
        if cut:
            print(f"Cut off after {longest / RATE:.2f} s: {', '.join(cut)}", flush=True)
        return *self.to_inputs(signals), names

    def state_dict(self) -> dict[str, Any]:
        return {"test_speaker": self.test_speaker}
