"""What constructors accept, read from their sources: importing them would load PyTorch, which takes seconds."""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path
from typing import Any

from engine.paths import PROJECT

CLASSES = {"model": "models", "data": "datamodules"}  # parts of a run that are a class of a package of ours
BASES = {"models": "BaseModel", "datamodules": "BaseDataModule"}
PARTS = {  # parts that are a class of Lightning
    "trainer": ("pytorch/trainer/trainer.py", "Trainer"),
    "checkpoint": ("pytorch/callbacks/model_checkpoint.py", "ModelCheckpoint"),
}
ENDS = ("L.LightningModule", "L.LightningDataModule")  # what our bases extend takes no option of a run
KINDS = ("int", "float", "bool")

Choices = list[Any] | str | None  # the values themselves, one of KINDS, or anything


@functools.cache
def options(part: str, chosen: str | None) -> dict[str, Choices]:
    """The options of a part and their choices; empty where only the real parser knows.

    Args:
        part: model, data, trainer or checkpoint.
        chosen: the class that was named, for model and data.
    """
    if part in PARTS:
        file, name = PARTS[part]
        spec = importlib.util.find_spec("lightning")  # finds without importing
        folders = spec.submodule_search_locations if spec else None
        path = Path(folders[0], file) if folders else Path(file)
        return constructor(path, name)[0] if path.is_file() else {}
    package = CLASSES[part]
    files = registry(package)
    name = (chosen or "").removeprefix(f"{package}.")
    if name not in files:
        return {}
    files = {**files, BASES[package]: PROJECT / package / "base.py"}
    found: dict[str, Choices] = {}
    passed_on = [name]
    while passed_on:
        one = passed_on.pop()
        if one not in files or not files[one].is_file():
            return {}
        accepted, bases = constructor(files[one], one)
        found = {**accepted, **found}
        passed_on += bases
    return found


@functools.cache
def registry(package: str) -> dict[str, Path]:
    """The classes that can be chosen by name, and their files: the `__all__` of a package of ours, but for its base."""
    imported: dict[str, Path] = {}
    names: list[str] = []
    for node in parsed(PROJECT / package / "__init__.py").body:
        if isinstance(node, ast.ImportFrom) and node.module:
            file = PROJECT.joinpath(*node.module.split(".")).with_suffix(".py")
            imported |= {alias.name: file for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
    return {name: imported[name] for name in names if name != BASES[package]}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def constructor(path: Path, name: str) -> tuple[dict[str, Choices], list[str]]:
    """What the class accepts by name, and the classes that it passes everything else on to."""
    tree = parsed(path)
    aliases = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = [ast.unparse(base) for base in node.bases if ast.unparse(base) not in ENDS]
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    listed = [*method.args.args[1:], *method.args.kwonlyargs]
                    accepted = {argument.arg: choices(argument.annotation, aliases) for argument in listed}
                    return accepted, bases if method.args.kwarg else []
            return {}, bases
    return {}, []


def choices(annotation: ast.expr | None, aliases: dict[str, ast.expr]) -> Choices:
    """The values that an annotation allows, where it names them or their kind; else anything."""
    if isinstance(annotation, ast.Name):
        if annotation.id in aliases:
            return choices(aliases[annotation.id], {})
        return annotation.id if annotation.id in KINDS else None
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        inner = annotation.slice
        if annotation.value.id == "Literal":
            return [ast.literal_eval(item) for item in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
        if annotation.value.id == "Optional":
            return choices(inner, aliases)
    return None
