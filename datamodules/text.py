"""The next character of a text: Tiny Shakespeare (Karpathy 2015), or a text file of one's own.

Characters are the bytes of UTF-8, so any text and any language can be read without a list of characters. English
letters are one byte each. Most others are two or three.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.base import BaseDataModule
from datamodules.checks import IGNORE_INDEX, check_at_least
from datamodules.files import data_folder, download
from datamodules.loader import Samples

URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare/input.txt"
)
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TEST_FRACTION = 0.1


class Text(BaseDataModule):
    """Windows of a text. The target of each character is the next one.

    Inputs are tokens `(N, T)`, integers from 0 to 255, and so are the targets. The last tenth of the text is the test
    set. The 5 % before it validate. Validation and test windows follow each other without overlap. Training windows
    start at another place in each epoch, so a character is read with contexts of different lengths.

    Args:
        file: A text file in UTF-8. None reads Tiny Shakespeare, 1.1 million characters.
        data_dir: Folder of the data, by default the environment's DATA_DIR, or else `data`. Tiny Shakespeare is its
            file `tinyshakespeare/input.txt`, which is downloaded if it is missing. Not used with `file`.
        sequence_length: T, the number of characters in a window.
        val_fraction: Fraction of the text that validates.
        batch_size: Windows per optimizer step, over all devices.
        seed: Seed of the training windows and of their order. Set by `seed_everything`.

    Raises:
        ValueError: If an option is outside its range, or the file is missing, too short or not text in UTF-8.
    """

    task = "tagging"
    score = "loss"  # the usual score of text; the accuracy changes little
    num_tokens = num_outputs = 256
    has_val_split = True

    def __init__(
        self,
        file: str | None = None,
        data_dir: str | None = None,
        sequence_length: int = 64,
        val_fraction: float = 0.05,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed=seed)
        check_at_least(1, sequence_length=sequence_length)
        if not 0 < val_fraction < 1 - TEST_FRACTION:
            raise ValueError(f"val_fraction={val_fraction} must be between 0 and {1 - TEST_FRACTION}")
        self.file = file
        self.path = Path(file).expanduser() if file else data_folder(data_dir) / "tinyshakespeare" / "input.txt"
        self.sequence_length, self.val_fraction = sequence_length, val_fraction
        self.input_shape = [sequence_length]

    @property
    def title(self) -> str:
        return self.path.name if self.file else "Tiny Shakespeare"

    def prepare_data(self) -> None:
        """Downloads Tiny Shakespeare if it is missing. Called once per machine."""
        if not self.file:
            download(self.path, "tinyshakespeare", [URL], SHA256)

    def check_model(self) -> None:
        super().check_model()
        model: Any = self.trainer and self.trainer.lightning_module
        if not getattr(model, "is_causal", True):
            option = "causal=True" if "causal" in model.hparams else "bidirectional=False"
            raise ValueError(f"{type(model).__name__} sees the next character, which it should predict; use {option}")

    def load(self) -> tuple[Samples, ...]:
        text = self.read()
        num_test = len(text) - int(len(text) * (1 - TEST_FRACTION))
        num_val = int(len(text) * self.val_fraction)
        self.num_characters = len(text)
        self.text, val, test = text.split([len(text) - num_val - num_test, num_val, num_test])
        shortest = min(len(self.text) - self.sequence_length, len(val), len(test))
        if shortest <= self.sequence_length:
            raise ValueError(
                f"file={self.path} has {len(text)} characters, too few for windows of {self.sequence_length} in each "
                "split; use a longer text or a smaller sequence_length"
            )
        return self.windows(self.text, 0), self.all_windows(val), self.all_windows(test)

    def read(self) -> Tensor:
        """The text as tokens `(N,)`."""
        try:
            content = self.path.read_bytes()
            content.decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise ValueError(f"file={self.path} cannot be read: {reason}; use a text file in UTF-8") from error
        return torch.from_numpy(np.frombuffer(content, np.uint8).astype(np.int64))

    def windows(self, text: Tensor, start: int) -> Samples:
        """As many whole windows as fit behind any start below `sequence_length`: inputs and targets `(N, T)`."""
        num_windows = len(text) // self.sequence_length - 1
        size = num_windows * self.sequence_length
        inputs, targets = text[start : start + size], text[start + 1 : start + 1 + size]
        return inputs.view(num_windows, -1), targets.view(num_windows, -1)

    def all_windows(self, text: Tensor) -> Samples:
        """Windows with every character of the text. The last one is filled up with targets that do not count."""
        missing = -(len(text) - 1) % self.sequence_length
        inputs, targets = F.pad(text[:-1], (0, missing)), F.pad(text[1:], (0, missing), value=IGNORE_INDEX)
        return inputs.view(-1, self.sequence_length), targets.view(-1, self.sequence_length)

    def training_samples(self, epoch: int) -> Samples:
        start = int(np.random.default_rng([2, self.seed, epoch]).integers(self.sequence_length))
        inputs, targets = self.windows(self.text, start)
        device = self.splits["train"][0].device
        return inputs.to(device), targets.to(device)

    def state_dict(self) -> dict[str, Any]:
        return {"num_characters": self.num_characters}

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return list(text.encode())

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens. Bytes that are not UTF-8 become the character for "unknown"."""
        return bytes(int(token) for token in tokens).decode(errors="replace")
