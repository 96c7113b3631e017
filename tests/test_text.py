"""From a text file of one's own to a network that writes: train, then continue a prompt."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from engine.cli import CLI, InputError
from tests.conftest import Fit, fit_in

SONG = "la la lu\n" * 1000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[CLI, Path]:
    """A small network that has learned the song, and its folder."""
    folder = tmp_path_factory.mktemp("song")
    (folder / "song.txt").write_text(SONG)
    small = ["--data.sequence_length=16", "--model.hidden_size=32", "--model.num_layers=1", "--model.lr=0.02"]
    small.append("--trainer.max_epochs=6")
    return fit_in(folder, "text/lstm.yaml", *small, f"--data.file={folder / 'song.txt'}"), folder


def test_network_continues_the_prompt_without_the_file(
    trained: tuple[CLI, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, folder = trained
    (folder / "song.txt").rename(folder / "away.txt")
    monkeypatch.chdir(tmp_path)
    flags = ["--prompt=la la", "--temperature=0", "--length=30"]
    predicted = train.main(["predict", f"--ckpt_path={cli.checkpoint}", *flags])
    expected = ("la la lu\n" * 5)[: len("la la") + 30]
    assert predicted.predictions.read_text() == expected
    assert capsys.readouterr().out.endswith(f"{expected}\n\nThe text is in {predicted.predictions}\n")


def test_a_sample_of_each_epoch_is_in_tensorboard(trained: tuple[CLI, Path]) -> None:
    (run,) = {file.parent for file in trained[1].rglob("events.out.*")}
    board = EventAccumulator(str(run), size_guidance={"tensors": 0}).Reload()
    samples = [event.tensor_proto.string_val[0].decode() for event in board.Tensors("text/sample/text_summary")]
    assert len(samples) == 7, "before training and after each of six epochs"
    assert "    la la lu\n" * 5 in samples[-1]
    assert "la la lu" not in samples[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prompt="], "prompt is empty; type at least one character, or leave it out"),
        (["--temperature=-1"], "--temperature=-1.0 must be 0 or more"),
        (["--length=0"], "--length=0 must be 1 or more"),
    ],
)
def test_wrong_options_are_refused(trained: tuple[CLI, Path], flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        train.main(["predict", f"--ckpt_path={trained[0].checkpoint}", *flags])


def test_a_network_that_writes_no_text_takes_no_prompt(fit: Fit) -> None:
    cli = fit("plane/bumps.yaml", "--trainer.max_epochs=1")
    with pytest.raises(InputError, match=r"^--prompt=Hello is for networks that write text; leave it out$"):
        train.main(["predict", f"--ckpt_path={cli.checkpoint}", "--prompt=Hello"])
