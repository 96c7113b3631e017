"""Every lesson has the parts that the other lessons have, runs, and prints what its page shows."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from datamodules import MNIST, SpokenDigits, Text, TimeSeries
from engine.paths import PROJECT

LESSONS = sorted((PROJECT / "lessons").glob("*.ipynb"))
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
SEQUENCES = [Text().path, SpokenDigits().folder, TimeSeries().path]  # the data of lesson 9
LAST_SECTIONS = ["Questions", "Exercise", "Solution", "Read more", "Next"]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def printed(cell: Any) -> str:
    """The text that a cell printed or returned, without its pictures."""
    texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", [])]
    return "".join(text for text in texts if not text.startswith("<Figure"))


def missing_data(lesson: Path) -> list[Path]:
    """The files that the lesson would have to download."""
    if lesson.stem == "09_sequences":
        return [path for path in SEQUENCES if not path.exists()]
    return [MNIST().raw / name for name in MNIST().missing_files()]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * bool(read(path).metadata.get("slow")), id=path.stem)
        for path in LESSONS
    ],
)
def test_a_lesson_prints_what_its_page_shows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := missing_data(path):
        pytest.skip(f"no {missing[0]}")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    page, fresh = read(path), read(path)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(fresh, timeout=600, resources=folder, coalesce_streams=True).execute()
    for shown, now in zip(page.cells, fresh.cells, strict=True):
        if "varies" not in shown.metadata.get("tags", []):
            assert NUMBER.sub("#", printed(now)).split() == NUMBER.sub("#", printed(shown)).split()
            numbers = [[float(n.replace(",", "")) for n in NUMBER.findall(printed(cell))] for cell in (now, shown)]
            assert numbers[0] == pytest.approx(numbers[1], rel=0.05, abs=0.02), shown.source


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_questions_an_exercise_and_a_hidden_solution(path: Path) -> None:
    cells = read(path).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[-5:] == LAST_SECTIONS
    assert text.count("<details>") == text.count("</details>") == 3
    hidden = [cell for cell in cells if "hide-cell" in cell.metadata.get("tags", [])]
    assert hidden
    assert all(cell.metadata["jupyter"]["source_hidden"] for cell in hidden)
    assert "assert" in hidden[-1].source
