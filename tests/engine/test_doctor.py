"""`train.py doctor` says which data it found, and names what is wrong."""

from pathlib import Path

import pytest

import train
from datamodules.mnist import FILES


def test_doctor_reports_missing_data_without_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert train.command_line(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"{'MNIST':13} 4 of 4 files are not in {tmp_path}/MNIST/raw; the first run downloads them" in printed
    assert f"{'Text':13} not in {tmp_path}/tinyshakespeare/input.txt; the first run downloads it" in printed


def test_doctor_names_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).write_bytes(b"cut off")
    assert train.command_line(["doctor"]) == 1
    assert f"{raw / next(iter(FILES))} is damaged" in capsys.readouterr().out.partition("Problems:")[2]


def test_doctor_says_that_the_fast_loop_is_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.doctor.fingerprint", lambda: "unknown")
    assert train.command_line(["doctor"]) == 1
    assert "the fast loop is off" in capsys.readouterr().out
