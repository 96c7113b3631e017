"""Every link of lesson 10 into the playground is a state of the page, and the cells train the same states."""

import re
from typing import Any

import nbformat

from engine.paths import PROJECT
from playground.settings import Settings

CELLS = nbformat.read(PROJECT / "lessons" / "10_playground.ipynb", as_version=4).cells
LINK = re.compile(r"\(http://127\.0\.0\.1:8765/#([^)]+)\)")
LINKS = [link for cell in CELLS if cell.cell_type == "markdown" for link in LINK.findall(cell.source)]


def reader_of_the_lesson() -> Any:
    (source,) = [cell.source for cell in CELLS if "def read_address(" in cell.source]
    names: dict[str, Any] = {}
    exec(f"import yaml\nfrom playground.settings import Settings\n{source}", names)
    return names["read_address"]


def test_links_are_states_of_the_page() -> None:
    read = reader_of_the_lesson()
    assert len(LINKS) > 30
    for link in LINKS:
        assert isinstance(read(link.removeprefix("tab=digits&")), Settings), link


def test_reader_of_the_lesson_reads_each_kind_of_value() -> None:
    address = "shape=spiral&layers=&second_layers=4,4&features=x,y&lr=0.1&noise=0.2&optimizer=adamw"
    assert reader_of_the_lesson()(address) == Settings(
        shape="spiral", layers=[], second_layers=[4, 4], features=["x", "y"], lr=0.1, noise=0.2, optimizer="adamw"
    )
