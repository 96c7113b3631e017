"""docs/extend.md does what it says: every step of it is done, word for word, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engine.paths import PROJECT
from tests.test_train import curves

PAGE = (PROJECT / "docs" / "extend.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
EXAMPLES = ["A model", "A data set", "A callback"]
STEP = re.compile(r"(.*?)```(\w+)\n(.*?)```", re.DOTALL)  # what is said, language, block


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as a person clones it, with this environment as its `.venv`."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    folder = tmp_path / "clone"
    for name in names:
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    return folder


def do(step: tuple[str, str, str], folder: Path) -> None:
    """What a person does who reads a paragraph and the block below it."""
    said, language, block = step
    paragraph = said.strip().rpartition("\n\n")[2].replace("\n", " ")
    if language == "sh":
        # the other cores have work, and these files are the ones that find new classes and configs
        options = "-n 0 tests/test_contract.py tests/test_project.py tests/models/test_base.py"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": options}
        for command in block.splitlines():
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return
    written = re.search(r"[Ww]rite `(.*?)`", paragraph)
    extended = re.search(r"In `(.*?)`, add this line to the imports, and `(\".*?\")` to `__all__`", paragraph)
    if written:
        path = folder / written[1]
        path.parent.mkdir(exist_ok=True)
        assert not path.exists()
        path.write_text(block)
    else:
        assert extended, f"no word on what to do with:\n{block}"
        path = folder / extended[1]
        text = path.read_text().replace("__all__ = [", f"{block}__all__ = [{extended[2]}, ", 1)
        path.write_text(text)


def test_every_section_is_tried() -> None:
    assert list(SECTIONS) == [*EXAMPLES, "Before you share it"]


def test_what_is_written_passes_the_linters(
    copy: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """All examples in one copy, with a cache that outlives it: without one, mypy reads all of PyTorch."""
    assert pytestconfig.cache is not None
    monkeypatch.setenv("MYPY_CACHE_DIR", str(pytestconfig.cache.mkdir("mypy")))
    for title in EXAMPLES:
        for said, language, block in STEP.findall(SECTIONS[title]):
            commands = [line for line in block.splitlines(keepends=True) if " ruff " in line]
            do((said, language, block if language != "sh" else "".join(commands)), copy)
    makefile = (PROJECT / "Makefile").read_text()
    lint = re.findall(r"\$\(RUN\) (-m .*?)(?: &&|\n)", makefile.partition("\nlint:")[2])
    assert len(lint) == 3
    do(("", "sh", "".join(f".venv/bin/python {command}\n" for command in lint)), copy)


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_steps_can_be_typed_as_they_stand(title: str, copy: Path) -> None:
    steps = STEP.findall(SECTIONS[title])
    assert len(steps) == SECTIONS[title].count("```") / 2 >= 4
    for step in steps:
        do(step, copy)
    if title == "A callback":
        found = curves(copy / "runs")
        epochs = yaml.safe_load((PROJECT / "configs/mnist/shallow_mlp.yaml").read_text())["trainer"]["max_epochs"]
        assert [x for x, _ in found["weight_norm/head.weight"]] == [*range(2, epochs + 1, 2), *range(1, epochs + 1)]
