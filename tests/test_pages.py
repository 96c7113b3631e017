"""Every command on a page can be typed as it stands. docs/extend.md has a test of its own."""

import json
import re
import shlex
from pathlib import Path

import pytest

import compare
import train
from comparison import plan
from engine.cli import build
from engine.paths import PROJECT
from tests.conftest import SMOKE, series_file

PAGES = [*PROJECT.glob("*.md"), *PROJECT.glob("*/*.md"), *PROJECT.glob("lessons/*.ipynb")]
COMMAND = re.compile(r"(?:\.venv/bin/)?python (train|compare)\.py((?: [^`\n#>|]+)?)")
CLASSES = {"my.module.Net": "tests.foreign.Net", "my.module.Photos": "tests.foreign.Loaders"}


def text_of(page: Path) -> str:
    """A page with its continued lines joined; of a notebook, what is not code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join("".join(cell) for cell in cells)
    return re.sub(r"\\\n\s*", "", text)


def commands(script: str) -> list[str]:
    """The arguments of a script on all pages, without examples that stand for others."""
    pages = [page for page in PAGES if page.name not in ("extend.md", "CHANGELOG.md")]
    found = {
        arguments.strip() for page in pages for name, arguments in COMMAND.findall(text_of(page)) if name == script
    }
    return sorted(one for one in found if not re.search(r"\b(CONFIG|NAME|COMMAND|PATH|FILE)\b|<|runs/", one))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    config = str(PROJECT / "configs/mnist/shallow_mlp.yaml")
    place = f"--trainer.logger.init_args.save_dir={folder}"
    return train.main(["fit", "-c", config, "-c", SMOKE, "--data.source=subset", place]).checkpoint


@pytest.mark.parametrize("typed", commands("train"))
def test_train_builds_the_command_of_a_page(
    typed: str, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    words = [CLASSES.get(word, checkpoint if word.endswith(".ckpt") else word) for word in shlex.split(typed)]
    words = [str(series_file()) if word == "my.csv" else word for word in words]
    if not words or "--help" in words or any(word.endswith(".help") for word in words) or words == ["doctor"]:
        return  # other tests run these
    if "configs/extras/gpu.yaml" in words:  # the machine of the tests may have none
        words += ["--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.sync_batchnorm=false"]
    assert build(words).command == words[0]


@pytest.mark.parametrize("typed", commands("compare"))
def test_compare_plans_runs_that_can_be_built(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    own, _, flags = typed.partition(" -- ")
    names = [
        name for word in shlex.split(own) for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    if names[0] in compare.COMMANDS:
        return  # these need a comparison that ran; other tests run them
    options = compare.parser(None).parse_intermixed_args(names)
    made = plan.make(options.configs, options.vary, shlex.split(flags), options.seeds)
    for entry in (made.entries[0], made.entries[-1]):
        assert build(entry.argv).command == "fit"


def test_make_has_the_targets_of_the_pages() -> None:
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    typed = {name for page in PAGES for name in re.findall(r"(?:^    |`)make ([\w-]+)", text_of(page), re.MULTILINE)}
    assert typed <= targets


def test_modules_of_the_pages_exist() -> None:
    typed = {name for page in PAGES for name in re.findall(r"python -m (benchmarks\.\w+)", text_of(page))}
    missing = {name for name in typed if not (PROJECT / f"{name.replace('.', '/')}.py").is_file()}
    assert not missing


def test_links_between_pages_lead_to_files() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text_of(page)):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_shows_the_code_of_the_shallow_network() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    source = (PROJECT / "models" / "shallow_mlp.py").read_text()
    without_docstring = re.sub(r'    """.*?"""\n\n', "", source[source.index("class ") :], count=1, flags=re.DOTALL)
    assert shown == without_docstring
