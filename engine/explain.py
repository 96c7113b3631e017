"""Turns an error of jsonargparse into one line that names the value and says what to type instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from pydoc import locate
from typing import Any

import lightning as L
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.loggers import Logger

import datamodules
import models
from datamodules import BaseDataModule
from engine.errors import PREDICT, SIZES
from engine.names import nearest
from engine.usage import HINT, missing_config, typed_configs
from models import BaseModel

LIGHTNING = (L.LightningModule, L.LightningDataModule)
IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
COMMAND_OF_OPTION = {**dict.fromkeys(PREDICT, "predict"), "test_checkpoint": "fit"}
SYNONYMS = {"gpus": "trainer.devices", "learning_rate": "model.lr", "resume": "ckpt_path"}  # names in other programs
KINDS = {"int": "a whole number, such as 10", "float": "a number, such as 0.1", "bool": "true or false"}
NOISE = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a <class", "Expected a path but")


def explain(message: str, parser: ArgumentParser, arguments: list[str]) -> str:
    """The error in one line.

    Args:
        message: Of jsonargparse.
        parser: The parser of the command, which has the options of the trainer and of the run.
        arguments: As typed, with the command first.
    """
    if found := re.search(r"unrecognized arguments: (\S+)(?: ([^-]\S*))?", message):
        return unknown_word(found[1], found[2], options(parser))
    if found := re.search(r"does not accept option '([\w.]+)'", message):
        name, known = found[1], options(parser)
        part = name.partition(".")[0]
        parts = {one.partition(".")[0] for one in known}
        name, near = (name, likely(name, known)) if part in parts else (part, nearest(part, parts))
        return f"{place_of(name, arguments)} is not an option; " + (f"write {near}" if near else HINT)
    part = (re.search(r'Parser key "([\w.]+)"', message) or [""] * 2)[1]
    if found := re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message):
        value = re.search(r"NestedArg\(.*val='?(.*?)'?\)", message)
        return unknown_option(part, found[1], found[2], f" {value[1]}" if value else "", arguments)
    if found := re.search(r"Problem with given class_path '[\w.]+':\s+(?!\s|Parser key)(.+)", message):
        return f"{place_of(part, arguments)}: {found[1]}; type the import path of a class"
    if found := re.search(r"Expected a dot import path string: (\w+)", message):
        return unknown_class(part or message.split(".help", 1)[0].lstrip("-"), found[1], arguments)
    if found := re.search(r"'(.*)'$", message) if part == "config" else None:
        path = found[1]
        return f"{path} is a folder; {HINT}" if Path(path).is_dir() else missing_config(path)
    if "Problems parsing config" in message or "Unexpected config" in message:
        return broken_config(message, arguments)
    if part and (value := re.search(r"(?:Got value|Given value): (.*)", message)):
        return wrong_value(message, part, value[1], arguments)
    if "expected one argument" in message:
        pairs = pairwise([*arguments, "--"])
        name = next(word for word, after in pairs if word.startswith("--") and "=" not in word and after[:2] == "--")
        return f"{name} needs a value: {name} VALUE"
    if "arguments are required" in message:
        missing = [part for part in ("model", "data") if f".{part}" in message]
        configs = typed_configs(arguments)
        names = f"{configs[-1]} names no {' and no '.join(missing)}" if configs else f"{arguments[0]} needs a config"
        return f"{names}; {HINT}, or add {' and '.join(f'--{part} NAME' for part in missing)}"
    lines = [line.strip(" -") for line in message.splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(NOISE)))


def unknown_word(word: str, value: str | None, known: list[str]) -> str:
    """Error message for an unknown argument."""
    if word.startswith("--"):
        name, equals, given = word[2:].partition("=")
        if name in COMMAND_OF_OPTION:
            return f"--{name} belongs to {COMMAND_OF_OPTION[name]}; leave it out"
        near = likely(name, known)
        value = f" {given if equals else value or ''}".rstrip()
        return f"--{name} is not an option; " + (
            f"type --{near}{value}" if near else "python train.py --help shows the options"
        )
    for endings, option in (((".yaml", ".yml"), "-c"), ((".ckpt",), "--ckpt_path"), (IMAGES, "--images")):
        if word.lower().endswith(endings):
            return f"{word} needs {option}; type {option} {word}"
    return f"{word!r} is not an option; options are written as --name value"


def unknown_option(part: str, class_path: str, option: str, value: str, arguments: list[str]) -> str:
    """Error message for an option that the chosen class does not have."""
    name = f"{part}.{option}"
    if option == "class_path":
        return f"{place_of(part, arguments)} has options next to class_path; move them below init_args:"
    chosen: Any = locate(class_path)
    kind, own = chosen.__name__, parameters(chosen)
    if chosen in LIGHTNING:  # no class was chosen yet
        return f"{place_of(name, arguments)} is not an option of {kind}; type --{part} NAME before its options"
    near = nearest(option, own)
    offer = f"type --{part}.{near}{value}" if near else f"{kind} has {', '.join(sorted(own))}"
    return f"{place_of(name, arguments)} is not an option of {kind}; {offer}"


def unknown_class(part: str, name: str, arguments: list[str]) -> str:
    """Error message for a class that does not exist."""
    names = [one.__name__ for one in choices(part)]
    near = [nearest(name, names), *(one for one in names if name.lower() in one.lower())]
    close = list(dict.fromkeys(one for one in near if one))
    everything = f"one of {', '.join(sorted(names))}" if part in ("model", "data") else "the import path of the class"
    return f"{place_of(part, arguments)}: there is no {name}; type {' or '.join(close) or everything}"


def reason_against_class(part: str, class_path: str, arguments: list[str]) -> str | None:
    """Error message if the class is an abstract base class, otherwise None."""
    if locate(class_path) not in (*LIGHTNING, BaseModel, BaseDataModule):
        return None
    names = ", ".join(sorted(one.__name__ for one in choices(part)))
    kind = class_path.rsplit(".", maxsplit=1)[-1]
    return f"{place_of(part, arguments)}: {kind} is an abstract base class; choose one of {names}"


def wrong_value(message: str, part: str, value: str, arguments: list[str]) -> str:
    """Error message for a value of the wrong type."""
    inner = re.findall(r'Parser key "([\w.]+)"', message)
    if nested := re.search(r"NestedArg\(key='([\w.]+)', val='?(.*?)'?\)", message):
        inner, value = [part, nested[1]], nested[2]
    name = ".".join([part, *(key for key in inner[-1:] if key != part)])
    literals = [one for group in re.findall(r"Literal\[(.*?)\]", message) for one in group.replace("'", "").split(", ")]
    kinds = [KINDS[kind] for kind in re.findall(r"Expected a <class '(\w+)'>", message) if kind in KINDS]
    if literals:
        allowed = list(dict.fromkeys(literals))
        offer = nearest(value, allowed) or f"one of {', '.join(allowed)}"
        return f"{place_of(name, arguments)}: {value!r} is not known; type {offer}"
    expected = " or ".join(dict.fromkeys(kinds)) or "a valid value"
    return f"{place_of(name, arguments)}: {value!r} is not {expected}"


def broken_config(message: str, arguments: list[str]) -> str:
    """Error message for a file that is not a config."""
    for path in typed_configs(arguments):
        if not read_config(path):
            reason = " ".join(message.partition(":")[2].split())
            return f"{path} is not a config: {reason}; a config starts with sections such as `trainer:`"
    return " ".join(message.split())


def options(parser: ArgumentParser) -> list[str]:
    """All options: of the run, the trainer and the checkpoints, and of every model and data module."""
    names = [name.removeprefix("--") for name in parser._option_string_actions if name.startswith("--")]
    parts = {"model": models, "data": datamodules}
    names += [f"{part}.{name}" for part in parts for one in choices(part) for name in parameters(one)]
    return [name for name in dict.fromkeys(names) if not name.endswith(("+", "help"))]


def likely(name: str, known: list[str]) -> str | None:
    """The option that was meant: it may be misspelt, shortened, or lack the part it belongs to."""
    part, _, option = name.rpartition(".")
    if option in SYNONYMS:
        return SYNONYMS[option]
    own = [one for one in known if part and one.startswith(f"{part}.")] or known
    last = {one.split(".")[-1]: one for one in reversed(own)}
    words = [one for short, one in last.items() if option in short.split("_")]
    near = nearest(option, last)
    return words[-1] if words else last[near] if near else None


def parameters(kind: type[Any]) -> set[str]:
    """The parameter names of a class and its bases."""
    bases = [one for one in kind.__mro__ if one not in (*LIGHTNING, object)]
    signatures = [inspect.signature(one).parameters.values() for one in bases if "__init__" in vars(one)]
    named = {one.name for own in signatures for one in own if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    return named - {"seed", *SIZES}


def choices(part: str) -> list[type[Any]]:
    """The classes that can be chosen by name."""
    if part in ("model", "data"):
        package: Any = {"model": models, "data": datamodules}[part]
        return [getattr(package, name) for name in package.__all__ if not name.startswith("Base")]
    return [*subclasses(L.Callback), *subclasses(Logger)]


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from subclasses(one)


def read_config(path: str) -> dict[str, Any]:
    """The content of a config. Empty if it is not one, which the parser reports."""
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def place_of(name: str, arguments: list[str]) -> str:
    """Where an option was set: `--model.lr`, or `configs/mine.yaml: model.lr`."""
    return set_in(name, arguments) or f"--{name}"


def set_in(name: str, arguments: list[str]) -> str | None:
    """The flag or the config that sets an option, or None."""
    typed = [word.partition("=")[0].replace(".init_args", "") for word in arguments]
    if any(word in (f"--{name}", f"--{name}+", f"--{name}.help", f"--{name}.class_path") for word in typed):
        return f"--{name}"
    for path in reversed(typed_configs(arguments)):
        content: Any = read_config(path)
        for key in name.split("."):
            content = content.get("init_args", content) if isinstance(content, dict) and key not in content else content
            content = content.get(key) if isinstance(content, dict) else None
        if content is not None:
            return f"{path}: {name}"
    return None
