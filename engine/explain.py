"""Turns an error of jsonargparse into one line that names the value and says what to type instead."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from pathlib import Path
from pydoc import locate
from typing import Any

import lightning as L
import pandas as pd
import yaml
from jsonargparse import ArgumentParser

import callbacks
import datamodules
import models
from engine.errors import SIZES
from engine.usage import HINT, PREDICT, nearest, typed_configs

OPTION_OF_FILE = {".yaml": "-c", ".ckpt": "--ckpt_path", ".wav": "--audio", ".png": "--images", ".jpg": "--images"}
COMMAND_OF_OPTION = {**dict.fromkeys(PREDICT, "predict"), "test_checkpoint": "fit"}
SYNONYMS = {"gpus": "trainer.devices", "learning_rate": "model.lr", "resume": "ckpt_path"}  # names in other programs
KINDS = {"int": "a whole number, such as 10", "float": "a number, such as 0.1", "bool": "true or false"}


def explain(message: str, parser: ArgumentParser, arguments: list[str]) -> str:
    """The answer to a message of the parser. The arguments are as typed, with the command first."""
    message = re.sub(r"^--(\w+)\.help:", r'Parser key "\1":', message)
    keys = re.findall(r'Parser key "([\w.]+)"', message)  # from outside to inside, such as `model` and `lr`
    name = ".".join(dict.fromkeys(keys))
    place = place_of(name, arguments) or f"--{name}"
    if found := re.search(r"unrecognized arguments: (-?[^-]\S*)", message):
        return stray_word(found[1])
    pattern = r"unrecognized arguments: --([^\s=]+)|^(?:Group '(\w+)' does not accept o|O)ption '([\w.]+)'"
    if found := re.search(pattern, message):
        return unknown_option(".".join(filter(None, found.groups())), options(parser), "train.py", arguments)
    if found := re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message):
        kind: Any = locate(found[1])
        if found[2] == "class_path":
            return f"{place} has options next to class_path; move them below init_args:"
        if kind in (L.LightningModule, L.LightningDataModule):  # no class was chosen yet
            return f"--{name}.{found[2]} needs a class; type --{name} NAME before its options"
        known = [f"{keys[0]}.{one}" for one in sorted(parameters(kind))]
        return unknown_option(f"{keys[0]}.{found[2]}", known, kind.__name__, arguments)
    if found := re.search(r"Problem with given class_path '[\w.]+':\s+(?!\s|Parser key)(.+)", message):
        return f"{place}: {found[1]}; type the import path of a class"
    if found := re.search(r"Expected a dot import path string: (\w+)", message):
        return wrong_choice(place, found[1], class_names(name))
    if "Problems parsing config" in message or "Unexpected config" in message:
        path = next((path for path in typed_configs(arguments) if not read_config(path)), "-c")
        reason = " ".join(message.partition(":")[2].split())
        return f"{path} is not a config: {reason}; a config starts with sections such as `trainer:`"
    if found := re.search(r"(?:Got value|Given value): (.*)", message):
        if literals := ", ".join(re.findall(r"Literal\[(.*?)\]", message)).replace("'", ""):
            return wrong_choice(place, found[1], [*dict.fromkeys(literals.split(", "))])
        kinds = [KINDS[kind] for kind in re.findall(r"Expected a <class '(\w+)'>", message) if kind in KINDS]
        return f"{place}: {found[1]!r} is not {' or '.join(dict.fromkeys(kinds)) or 'a valid value'}"
    if "expected one argument" in message:
        pairs = pairwise([*arguments, "--"])
        flag = next(word for word, after in pairs if word.startswith("--") and "=" not in word and after[:2] == "--")
        return f"{flag} needs a value: {flag} VALUE"
    if "arguments are required" in message:
        missing = [part for part in ("model", "data") if part in message]
        add = " and ".join(f"--{part} NAME" for part in missing)
        return f"{arguments[0]} needs a config with {' and '.join(missing)}; {HINT}, or add {add}"
    return " ".join(message.split())


def stray_word(word: str) -> str:
    """Error message for a word that is neither an option nor the value of one."""
    if option := OPTION_OF_FILE.get(Path(word).suffix.lower()):
        return f"{word} needs {option}; type {option} {word}"
    return f"{word!r} is not an option; options are written as --name value"


def unknown_option(name: str, known: list[str], owner: str, arguments: list[str]) -> str:
    """Error message for an option that the owner, a class or `train.py`, does not have."""
    if name in COMMAND_OF_OPTION:
        return f"--{name} belongs to {COMMAND_OF_OPTION[name]}; leave it out"
    place, near = place_of(name, arguments) or f"--{name}", likely(name, known)
    dashes = "--" if place.startswith("--") else ""
    everything = "see python train.py --help" if owner == "train.py" else f"{owner} has {', '.join(known)}"
    return f"{place} is not an option of {owner}; {f'type {dashes}{near}' if near else everything}"


def wrong_choice(place: str, value: str, choices: list[str]) -> str:
    """Error message for a value that is not one of the choices."""
    near = [nearest(value, choices), *(one for one in choices if value.lower() in one.lower())]
    close = " or ".join(dict.fromkeys(one for one in near if one))
    return f"{place}: invalid choice {value!r}; type {close or 'one of ' + ', '.join(choices)}"


def likely(name: str, known: list[str]) -> str | None:
    """The option that was meant: it may be misspelt, shortened, or lack the part it belongs to."""
    part, _, option = name.rpartition(".")
    if near := SYNONYMS.get(option) or nearest(name, known, 0.85):
        return near
    own = [one for one in known if part and one.startswith(f"{part}.")] or known
    last = {one.split(".")[-1]: one for one in reversed(own)}
    words = [short for short in last if option in short.split("_")]
    near = words[-1] if words else nearest(option, last)
    return last[near] if near else None


def options(parser: ArgumentParser) -> list[str]:
    """All options: of the run, the trainer and the checkpoints, and of every model and data module."""
    names = [name[2:] for name in parser._option_string_actions if name[:2] == "--" and name[-1] != "+"]
    for part, package in (("model", models), ("data", datamodules)):
        for kind in class_names(part):
            names += [f"{part}.{name}" for name in ("class_path", *parameters(getattr(package, kind)))]
    return [name for name in dict.fromkeys(names) if not name.endswith("help")]


def parameters(kind: type[Any]) -> set[str]:
    """The parameter names of a class and its bases."""
    constructors = [vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    found = [one for each in constructors for one in inspect.signature(each).parameters.values()]
    named = {one.name for one in found if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    return named - {"self", "seed", *SIZES}


def class_names(part: str) -> list[str]:
    """The classes that can be chosen by name."""
    others = [callbacks, L.pytorch.callbacks, L.pytorch.loggers]
    packages: list[Any] = {"model": [models], "data": [datamodules]}.get(part, others)
    return sorted(name for package in packages for name in package.__all__ if not name.startswith("Base"))


def read_config(path: str) -> dict[str, Any]:
    """The content of a config. Empty if it is not one, which the parser reports."""
    try:
        content = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def place_of(name: str, arguments: list[str]) -> str | None:
    """Where an option was set: `--model.lr`, or `configs/mine.yaml: model.lr`. None if it was not set."""
    places = {f"--{name}": [word.removeprefix("--").partition("=")[0] for word in arguments]}
    for path in reversed(typed_configs(arguments)):
        places[f"{path}: {name}"] = [str(key) for key in pd.json_normalize(read_config(path))]
    short = re.compile(r"\.(init_args|class_path|help)\b|\+$")
    wanted = short.sub("", name)
    return next((place for place, names in places.items() if wanted in [short.sub("", one) for one in names]), None)
