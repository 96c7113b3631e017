import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import Text, files
from datamodules.text import URL
from models import RNN, Transformer
from tests.conftest import stock_trainer

ALPHABET = "".join(map(chr, range(33, 127)))  # each character is followed by the next one


def text_file(folder: Path, text: str = ALPHABET * 20) -> str:
    path = folder / "mine.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def loaded(folder: Path, **options: Any) -> Text:
    data = Text(file=text_file(folder), sequence_length=7, val_fraction=0.1, **options)
    data.setup()
    return data


def test_target_is_the_next_character(tmp_path: Path) -> None:
    data = loaded(tmp_path)
    for inputs, targets in [*data.splits.values(), data.training_samples(3)]:
        counts = targets >= 0
        assert torch.equal(targets[counts], (inputs[counts] - 33 + 1) % len(ALPHABET) + 33)


def test_splits_follow_each_other_and_nothing_is_lost(tmp_path: Path) -> None:
    data = loaded(tmp_path)
    text = (ALPHABET * 20).encode()
    for split, part in (("val", text[1504:1692]), ("test", text[1692:])):
        inputs, targets = data.splits[split]
        assert bytes(inputs.flatten().tolist()).rstrip(b"\0") == part[:-1]
        assert bytes(targets[targets >= 0].tolist()) == part[1:]
    read = data.splits["train"][0].flatten()
    assert bytes(read.tolist()) == text[: len(read)]
    assert 1504 - 2 * 7 <= len(read) < 1504


def test_training_windows_start_elsewhere_in_each_epoch(tmp_path: Path) -> None:
    data = loaded(tmp_path, seed=1)
    starts = [int(data.training_samples(epoch)[0][0, 0]) for epoch in range(20)]
    assert len(set(starts)) > 4
    assert max(starts) - min(starts) < 7
    assert starts == [int(loaded(tmp_path, seed=1).training_samples(epoch)[0][0, 0]) for epoch in range(20)]


def test_checkpoint_of_another_text_is_refused(tmp_path: Path) -> None:
    before = loaded(tmp_path)
    before.load_state_dict(before.state_dict())
    after = Text(file=text_file(tmp_path, ALPHABET * 30))
    after.setup()
    with pytest.raises(ValueError, match="made with num_characters=1880, not num_characters=2820; use the data"):
        after.load_state_dict(before.state_dict())


def test_any_text_survives_encoding() -> None:
    text = "Schöne Grüße, 你好!\n"
    assert Text(file="unused").decode(torch.tensor(Text(file="unused").encode(text))) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "mine.txt cannot be read: No such file or directory; use a text file in UTF-8"),
        (b"too short", "mine.txt has 9 characters, too few for windows of 64"),
        (b"", "mine.txt has 0 characters, too few for windows of 64"),
        (b"\xff\xfe" * 1000, "mine.txt cannot be read: it is not text in UTF-8"),
    ],
)
def test_unusable_file_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Text(file=str(path)).setup()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Transformer([7], 256, task="tagging", num_tokens=256), "sees the next character.*use causal=True"),
        (RNN([7], 256, task="tagging", num_tokens=256, bidirectional=True), "sees .*use bidirectional=False"),
    ],
)
def test_a_network_that_sees_the_next_character_is_refused(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        stock_trainer(max_epochs=1).fit(model, datamodule=loaded(tmp_path))


def test_download_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"something else"

    monkeypatch.setattr(files, "fetch", fetch)
    monkeypatch.setenv("DATA_MIRROR", "http://mirror/")
    path = tmp_path / "tinyshakespeare" / "input.txt"
    with pytest.raises(ValueError, match=f"{path} is missing .* wrong content.*Put {URL} there"):
        Text(data_dir=str(tmp_path)).prepare_data()
    assert asked == ["http://mirror/tinyshakespeare/input.txt", URL]
    assert not path.exists()
    monkeypatch.setattr("datamodules.text.SHA256", hashlib.sha256(b"something else").hexdigest())
    Text(data_dir=str(tmp_path)).prepare_data()
    assert path.read_bytes() == b"something else"
