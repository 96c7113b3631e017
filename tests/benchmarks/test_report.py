"""One command writes what was measured to every place that quotes it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from arguments import PROJECT
from benchmarks import report


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parts of the project that quote results, in a place where they may be changed."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT / "configs", folder / "configs")
    shutil.copytree(report.RESULTS, folder / "results")
    shutil.copy(PROJECT / "README.md", folder)
    monkeypatch.setattr(report, "PROJECT", folder)
    monkeypatch.setattr(report, "RESULTS", folder / "results")
    return folder


def measured(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """A comparison as it would be if other numbers had been measured: (file, what is there, what is there instead)."""
    shutil.copytree(report.RESULTS, folder)
    for name, there, instead in changes:
        text = (folder / name).read_text()
        assert there in text
        (folder / name).write_text(text.replace(there, instead))
    return folder


def test_a_new_measurement_reaches_the_table_and_the_headers(copy: Path, tmp_path: Path) -> None:
    before = {path: path.read_text().splitlines() for path in report.config_paths().values()}
    machine = json.loads((report.RESULTS / "environment.json").read_text())["machine"]
    table = (report.RESULTS / "summary.md").read_text()
    accuracy = table.splitlines()[2].split("|")[6].strip()
    changes = [("environment.json", machine, "An abacus"), ("summary.md", accuracy, "12.34 ± 5.67 %")]
    report.take(measured(tmp_path / "comparison", *changes))
    text = (copy / "README.md").read_text()
    assert "12.34 ± 5.67 %" in text
    assert "on 2 cores of a shared An abacus" in text
    assert text.count("<!-- results -->") == 1
    for path, lines in before.items():
        after = path.read_text().splitlines()
        assert after[2].endswith("cores of a shared An abacus")
        assert after[:2] + after[3:] == lines[:2] + lines[3:], "nothing but the line on the result changes"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("environment.json", '"dirty": false', '"dirty": true'), "uncommitted changes"),
        (("results.csv", "finished", "failed"), "has failed runs, a subset of the data or fewer than 3 seeds"),
        (("results.csv", "MNIST", "MNIST-5k"), "has failed runs, a subset of the data or fewer than 3 seeds"),
    ],
)
def test_what_is_not_fit_to_be_quoted_changes_nothing(
    change: tuple[str, str, str], complaint: str, copy: Path, tmp_path: Path
) -> None:
    before = (copy / "README.md").read_text()
    with pytest.raises(ValueError, match=complaint):
        report.take(measured(tmp_path / "comparison", change))
    assert (copy / "README.md").read_text() == before


def test_the_measurement_runs_every_quoted_config_with_three_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compare(*arguments: Any) -> int:
        asked.extend(arguments)
        return 0

    monkeypatch.setattr("compare.compare", compare)
    monkeypatch.setattr("compare.git", lambda *_: "")
    folder = report.measure()
    configs, seeds, name, runs_dir, flags = asked
    assert configs == [str(path) for path in report.config_paths().values()]
    assert (seeds, runs_dir / name, flags) == ([0, 1, 2], folder, [])
    monkeypatch.setattr("compare.git", lambda *_: " M train.py")
    with pytest.raises(ValueError, match="a result belongs to a commit; commit what"):
        report.measure()
