"""The tree keeps its promises: nothing without a config, nothing imported sideways, nothing too long to read."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import yaml

import datamodules
import models
from engine.paths import PROJECT
from engine.usage import extras
from tests.conftest import CONFIGS, config_id

# what a part of the tree may import of the others
MAY_IMPORT = {
    "models": {"models"},
    "datamodules": {"datamodules"},
    "callbacks": {"callbacks"},
    "engine": {"engine", "callbacks", "models", "datamodules"},
    "train": {"engine"},
    "comparison": {"comparison", "engine", "callbacks"},
    "compare": {"comparison", "engine"},
    "playground": {"playground", "engine", "callbacks", "models", "datamodules"},
    "benchmarks": {"benchmarks", "compare", "comparison", "train", "engine", "callbacks", "models", "datamodules"},
}
DOCUMENTED = ("Shapes:", "Parameters:", "Source:", "Differences:")
PARTS_OF_MODELS = ("__init__", "activations", "base", "checks", "dry_run", "metrics", "schedule")
MODEL_FILES = [path for path in (PROJECT / "models").glob("*.py") if path.stem not in PARTS_OF_MODELS]


def named_by_a_config(part: str) -> set[str]:
    return {yaml.safe_load(path.read_text())[part]["class_path"] for path in CONFIGS}


def without_config(part: str, names: set[str]) -> list[str]:
    """What a newcomer must be told to add."""
    return [
        f"{name} has no config: add configs/<data>/{name.lower()}.yaml, see docs/extend.md"
        for name in sorted(names - named_by_a_config(part))
    ]


@pytest.mark.parametrize("name", sorted(set(models.__all__) - {"BaseModel"}))
def test_every_model_has_a_config(name: str) -> None:
    assert not without_config("model", {name})


@pytest.mark.parametrize("name", sorted(set(datamodules.__all__) - {"BaseDataModule"}))
def test_every_data_module_has_a_config(name: str) -> None:
    assert not without_config("data", {name})


@pytest.mark.parametrize("package", [models, datamodules])
def test_every_class_of_the_package_is_in_its_registry(package: object) -> None:
    name, registry = package.__name__, set(package.__all__)  # type: ignore[attr-defined]
    bodies = [ast.parse(path.read_text()).body for path in (PROJECT / name).glob("*.py")]
    classes = [node for body in bodies for node in body if isinstance(node, ast.ClassDef)]
    bases = {ast.unparse(base) for node in classes for base in node.bases}
    for node in classes:
        is_ours = any("Base" in ast.unparse(base) for base in node.bases)
        if is_ours and node.name not in bases:  # what others derive from may be no choice of its own
            assert node.name in registry, f"add {node.name} to __all__ in {name}/__init__.py"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_go_one_way(part: str) -> None:
    folder = PROJECT / part
    for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            ours = {name.split(".")[0] for name in names} & (set(MAY_IMPORT) | {"tests"})
            assert ours <= MAY_IMPORT[part], f"{path} imports {sorted(ours - MAY_IMPORT[part])}"


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_file_is_one_idea_that_borrows_only_the_training(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    shared = {"models.base", "models.activations", "models.dry_run"}
    assert {"models.base"} <= {module for module in imported if module.split(".")[0] == "models"} <= shared
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    text = sum((ast.get_docstring(node) or "").count("\n") + 1 for node in documented if ast.get_docstring(node))
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) - text < 100
    for part in DOCUMENTED:
        assert part in (ast.get_docstring(tree) or ""), f"{path.name} does not say its {part}"


@pytest.mark.parametrize("path", CONFIGS, ids=config_id)
def test_a_config_is_short_and_headed_by_its_command(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# "), "a phrase that says what it is, for the list that train.py prints"
    assert lines[1] == f"# python train.py fit -c {path.relative_to(PROJECT)}"
    assert len([line for line in lines if not line.startswith("#")]) <= 20
    linked = {"input_shape", "num_outputs", "task", "num_tokens", "seed"}
    options = yaml.safe_load(path.read_text())
    assert not linked & {*options["model"].get("init_args", {}), *options["data"].get("init_args", {})}


@pytest.mark.parametrize("path", extras(), ids=config_id)
def test_extras_name_no_model_and_no_data(path: Path) -> None:
    options = yaml.safe_load(path.read_text())
    assert not [part for part in ("model", "data") if "class_path" in options.get(part, {})]
    assert path.read_text().splitlines()[1] == f"# python train.py fit -c CONFIG -c {path.relative_to(PROJECT)}"


def test_documents_name_files_that_exist() -> None:
    parts = [
        "models",
        "datamodules",
        "callbacks",
        "comparison",
        "engine",
        "configs",
        "benchmarks",
        "docs",
        "lessons",
        "playground",
        "tests",
    ]
    existing = {path.name for part in parts for path in (PROJECT / part).rglob("*")} | {
        path.name for path in PROJECT.iterdir()
    }
    documents = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
    # what a person adds or gets
    example = {"perceptron.py", "perceptron.yaml", "disc.py", "disc.yaml", "weight_norms.py", "weight_norms.yaml"}
    example |= {
        "own.csv",
        "my.csv",
        "newer.csv",
        "forecast.csv",
        "my.txt",
        "me.wav",
        "results.csv",
        "predictions.csv",
        "summary.md",
        "environment.json",
        "config.yaml",
    }
    example |= {"differences.csv", "plan.json", "result.json", "failure.json"}
    for document in documents:
        for name in re.findall(r"[\w./]+\.(?:py|yaml|md|csv|json)\b", document.read_text()):
            assert Path(name).name in existing | example, f"{document.name} names {name}"


def test_documents_show_pictures_that_exist_and_no_other_is_kept() -> None:
    documents = [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
    shown = {
        (document.parent / name).resolve()
        for document in documents
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", document.read_text())
    }
    assert shown == {path.resolve() for path in (PROJECT / "docs").glob("*/*.*") if path.suffix in (".png", ".gif")}


def undocumented(model: type, source: str) -> set[str]:
    """Options of the model that its docstring does not explain."""
    return set(inspect.signature(model).parameters) - set(re.findall(r"^ {8}(\w+):", source, re.MULTILINE))


def test_docstrings_of_models_name_their_options() -> None:
    for name in models.__all__:
        missing = undocumented(getattr(models, name), inspect.getsource(getattr(models, name)))
        assert not missing, f"{name} does not document {sorted(missing)}"
