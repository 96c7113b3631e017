"""What may be typed behind train.py, and what to type instead: checked before PyTorch is loaded, which takes seconds.

What `signatures.py` does not know, such as the options of a callback, is left to the real parser.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.names import nearest
from engine.paths import CONFIGS, PROJECT, RUNS
from engine.signatures import CLASSES, PARTS, Choices, options, registry

FIRST = "configs/mnist/shallow_mlp.yaml"  # what a newcomer is told to type
COMMANDS = {
    "fit": "trains, then tests the epoch that was best on validation",
    "validate": "measures a checkpoint on the validation samples",
    "test": "measures a checkpoint on the test samples",
    "predict": "writes what a checkpoint makes of the test samples, or of your images",
}
NEED_CHECKPOINT = ("validate", "test", "predict")
OPTIONS = (  # of the whole run; those of its parts are read from the sources
    *("config", "model", "data", "trainer", "checkpoint", "seed_everything", "ckpt_path", "images"),
    *("test_checkpoint", "weights_only", "print_config", "help"),
)
DECIDED_BY = {  # values that the command line links, and what to type to change them
    "model.input_shape": "the data, chosen by --data and its options",
    "model.num_outputs": "the data, chosen by --data and its options",
    "model.task": "the data, chosen by --data and its options",
    "data.seed": "--seed_everything",
    "checkpoint.monitor": "the task of the data: val/loss for regression, else val/acc",
    "checkpoint.mode": "the task of the data: min for regression, else max",
}
VALUES: dict[str, Choices] = {  # of options whose types do not list them; a test holds them against the libraries
    "trainer.accelerator": ["auto", "cpu", "cuda", "gpu", "mps", "tpu"],
    "trainer.precision": [
        *("transformer-engine", "transformer-engine-float16", "16-true", "16-mixed", "bf16-true", "bf16-mixed"),
        *("32-true", "64-true", "64", "32", "16", "bf16", 64, 32, 16),
    ],
    "test_checkpoint": ["best", "last", "none"],
    "seed_everything": "seed",
}
BELONGS_TO = {"images": "predict", "test_checkpoint": "fit"}
WORDS = {
    "int": "a whole number, such as 10",
    "float": "a number, such as 0.1",
    "bool": "true or false",
    "seed": "a whole number from 0 to 4294967295",
}


@dataclass(frozen=True)
class Setting:
    """A value that a flag or a config file sets.

    Attributes:
        name: with dots and without `init_args`, as `model.lr`; `model` alone is the class.
        value: as YAML reads it.
        source: the flag or the file.
        text: the same value as it was typed behind a flag.
    """

    name: str
    value: Any
    source: str
    text: str | None = None


# What was typed.


class RunFailed(RuntimeError):
    """A run ended without a result. The message gives the reason in one line."""


def located(argument: str) -> str:
    """An argument with `~` expanded, and with a config path that is found in the project if not here."""
    option, equals, path = argument.rpartition("=")
    if path.startswith("~"):  # shells do not expand `~` after `=`
        path = os.path.expanduser(path)  # Path raises an error if there is no such user
        argument = f"{option}{equals}{path}"
    inside = PROJECT / path
    if path.endswith(".yaml") and not Path(path).exists() and inside.is_file():
        return f"{option}{equals}{inside}"
    return argument


def flags(arguments: list[str]) -> list[tuple[str, str | None]]:
    """The arguments as (name, text) pairs; the text is missing where nothing follows a name.

    Raises:
        ValueError: a word that belongs to no option.
    """
    pairs: list[tuple[str, str | None]] = []
    waiting = False  # for the text of the last name
    for argument in arguments:
        if argument.startswith("-c"):  # -c FILE, -c=FILE, -cFILE
            pairs.append(("config", argument[2:].removeprefix("=") or None))
            waiting = argument == "-c"
        elif argument.startswith("--") or argument == "-h":
            name, equals, text = argument.partition("=")
            pairs.append(("help" if name == "-h" else name[2:], text if equals else None))
            waiting = not equals
        elif waiting:
            pairs[-1] = (pairs[-1][0], argument)
            waiting = False
        elif argument.endswith((".yaml", ".yml")):
            raise ValueError(f"{argument} stands alone; type -c {argument}")
        elif argument.endswith(".ckpt"):
            raise ValueError(f"{argument} stands alone; type --ckpt_path {argument}")
        else:
            raise ValueError(f"{argument!r} belongs to no option; options look like --name value")
    return pairs


def configs_first(arguments: list[str]) -> list[str]:
    """The same arguments with the configs in front of the flags, which then win wherever they were typed."""
    configs: list[str] = []
    others: list[str] = []
    for argument in arguments:
        is_path = configs[-1:] in (["-c"], ["--config"])  # of the -c before it
        is_config = argument.startswith(("-c", "--config=")) or argument == "--config"
        (configs if is_path or is_config else others).append(argument)
    is_command = others[:1] and not others[0].startswith("-")
    return [*others[:1], *configs, *others[1:]] if is_command else [*configs, *others]


def settings(arguments: list[str]) -> list[Setting]:
    """Everything that configs and flags set, in the order in which later ones win.

    Raises:
        ValueError: an option without a value, a config file that is missing or is not one.
    """
    found: list[Setting] = []
    for name, text in flags(arguments):
        if name == "config":
            if text is None:
                raise ValueError(f"-c needs a config file; {configs_to_type()}")
            found += settings_of(text)
        elif text is None:
            if name.split(".")[-1] not in ("help", "print_config"):
                raise ValueError(f"--{name} needs a value: --{name} VALUE")
        else:
            value = as_yaml(text)
            whole = isinstance(value, dict) and name in (*CLASSES, *PARTS)
            found += (
                flattened({name: value}, f"--{name}") if whole else [Setting(plain(name), value, f"--{name}", text)]
            )
    return found


def settings_of(path: str) -> list[Setting]:
    """What a config file sets; `path` may also be the text of one."""
    if "\n" in path:
        return list(flattened(yaml.safe_load(path), "the checkpoint"))
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{path} is a folder; {configs_to_type()}")
    if not file.is_file():
        near = nearest(path, [str(config.relative_to(PROJECT)) for config in [*experiments(), *extras()]])
        raise ValueError(f"there is no config {path}; {f'type -c {near}' if near else configs_to_type()}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a config: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict | None):
        raise ValueError(f"{path} is not a config: it holds no names with values, as `trainer:` has")
    return list(flattened(content or {}, path))


def flattened(content: dict[str, Any], source: str) -> Iterable[Setting]:
    """The settings in a config, down to the options of its parts."""
    for part, given in content.items():
        if part in CLASSES and isinstance(given, str):
            yield Setting(part, given, source)
        elif (part in CLASSES or part in PARTS) and isinstance(given, dict):
            if "class_path" in given:
                yield Setting(part, given["class_path"], source)
            nested = given.get("init_args") or {}
            outside = [name for name in given if name not in ("class_path", "init_args", "dict_kwargs")]
            if "class_path" in given and outside:
                raise ValueError(f"{source}: {part}.{outside[0]} stands beside class_path; write it below init_args:")
            if not isinstance(nested, dict):
                raise ValueError(f"{source}: {part}.init_args is {nested!r}, and not names with values, as `lr: 0.1`")
            for name, value in {**given, **nested}.items():
                if name not in ("class_path", "init_args", "dict_kwargs"):
                    yield Setting(f"{part}.{name}", value, source)
        else:
            yield Setting(str(part), given, source)


def plain(name: str) -> str:
    """An option as a person says it: `model.lr` for `model.init_args.lr`, `model` for `model.class_path`."""
    part, *rest = name.split(".")
    if part in CLASSES and rest[:1] in (["init_args"], ["class_path"]):
        rest = rest[1:]
    return ".".join([part, *rest])


def as_yaml(text: str) -> Any:
    """The value that a flag's text stands for; the text itself where that is no YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


# What may be typed.


def experiments() -> list[Path]:
    """The configs that are complete: all but those of `extras/`."""
    return sorted(path for path in CONFIGS.glob("*/*.yaml") if path.parent.name != "extras")


def extras() -> list[Path]:
    """The configs that are added to another."""
    return sorted((CONFIGS / "extras").glob("*.yaml"))


def phrase(config: Path) -> str:
    """What a config is, in its first line."""
    return config.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def configs_to_type() -> str:
    return f"type -c {FIRST}; `python train.py` lists all"


# What is wrong with it.


def check(arguments: list[str], is_run: bool = True) -> None:
    """Raises a ValueError that says what to type, if arguments cannot be what was meant.

    Args:
        arguments: as they were typed, after `located`.
        is_run: whether the first one is a command.

    Raises:
        ValueError: as said; its message is one line.
    """
    if is_run and not arguments:
        raise ValueError(f"a command comes first: one of {', '.join(COMMANDS)}")
    if is_run:
        command, *arguments = arguments
        check_command(command, arguments)
    found = settings(arguments)
    chosen: dict[str, str | None] = {s.name: s.value for s in found if s.name in CLASSES and isinstance(s.value, str)}
    for setting in found:
        part, _, option = setting.name.partition(".")
        if part.removesuffix("+") not in OPTIONS:
            raise ValueError(unknown_option(setting, chosen))
        is_foreign = "." in str(chosen.get("data", "")).removeprefix("datamodules.")  # it may not have these values
        if setting.name in DECIDED_BY and not (is_foreign and part == "model"):
            raise ValueError(f"{setting.name} cannot be set: it is decided by {DECIDED_BY[setting.name]}")
        if is_run and part in BELONGS_TO and setting.source == f"--{part}" and command != BELONGS_TO[part]:
            raise ValueError(f"--{part} belongs to {BELONGS_TO[part]}, not to {command}; leave it out")
        if part in VALUES:
            check_value(setting, VALUES[part])
        elif part in CLASSES and option in ("", "help") and isinstance(setting.value, str):
            check_class(setting, part)
        elif option and not option.endswith("help"):
            # a file is read for the class that it names
            own = {s.source: s.value for s in found if s.name == part and part in CLASSES}
            check_option(setting, part, own.get(setting.source, chosen.get(part)))
    check_files(command if is_run else None, found)
    asks_help = any(name.endswith("help") for name, _ in flags(arguments))
    for part in (
        CLASSES if is_run and not asks_help and not any(s.name == "ckpt_path" and s.value for s in found) else ()
    ):
        configs = [text for name, text in flags(arguments) if name == "config"]
        if part not in chosen and configs:
            raise ValueError(f"{configs[-1]} names no {part}; an experiment does: {configs_to_type()}")
        if part not in chosen:
            raise ValueError(f"{command} needs a config, or a --{part} of {CLASSES[part]}/; {configs_to_type()}")


def check_command(command: str, arguments: list[str]) -> None:
    if command in COMMANDS:
        return
    if command.startswith("-") or command.endswith(".yaml"):
        typed = [*(["-c"] if command.endswith(".yaml") else []), command, *arguments]
        raise ValueError(f"a command comes first: python train.py fit {' '.join(typed)}")
    near = nearest(command, COMMANDS)
    raise ValueError(f"{command!r} is not a command; type {near or 'one of ' + ', '.join(COMMANDS)}")


def check_class(setting: Setting, part: str) -> None:
    names = registry(CLASSES[part])
    name = setting.value.removeprefix(f"{CLASSES[part]}.")
    if name in names or "." in name:  # a path to a class elsewhere is looked up by the real parser
        return
    near = nearest(name, names)
    raise ValueError(f"{where(setting)}: there is no {name}; type {near or 'one of ' + ', '.join(sorted(names))}")


def check_option(setting: Setting, part: str, chosen: str | None) -> None:
    if part not in CLASSES and part not in PARTS:
        return
    known = options(part, chosen)
    name, *deeper = setting.name.partition(".")[2].removesuffix("+").split(".")
    if known and name not in known:
        raise ValueError(unknown_option(setting, {part: chosen}))
    if known and not deeper:
        check_value(setting, VALUES.get(setting.name, known[name]))


def check_value(setting: Setting, allowed: Choices) -> None:
    value = setting.value
    if allowed is None or value is None:
        return
    if isinstance(allowed, list):
        if value not in allowed and setting.text not in allowed:
            near = nearest(str(value), [str(choice) for choice in allowed])
            offer = near or "one of " + ", ".join(map(str, allowed))
            raise ValueError(f"{where(setting)}: {value!r} is not known; type {offer}")
    elif not is_of_kind(value, allowed):
        raise ValueError(f"{where(setting)}: {value!r} is not {WORDS[allowed]}")


def is_of_kind(value: Any, kind: str) -> bool:
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int)
    if kind == "seed":
        return isinstance(value, int) and 0 <= value < 2**32
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def where(setting: Setting) -> str:
    """Where a setting was found: its flag, or its file and name."""
    return setting.source if setting.source.startswith("--") else f"{setting.source}: {setting.name}"


def unknown_option(setting: Setting, chosen: dict[str, str | None]) -> str:
    """The sentence on a name that no option has."""
    part, _, option = setting.name.partition(".")
    parts = {name: options(name, chosen.get(name)) for name in (*CLASSES, *PARTS)}
    known = [*OPTIONS, *(f"{name}.{one}" for name, own in parts.items() for one in own)]
    known = [name for name in known if name not in DECIDED_BY]
    own = [name for name in known if option and name.startswith(f"{part}.")]
    near = likely(setting.name, own or known)
    model = chosen.get(part)
    owner = f" of {model.split('.')[-1]}" if own and model else ""
    if near is None:
        offer = f"there are {', '.join(own)}" if 0 < len(own) < 20 else "python train.py --help says what there is"
    else:
        offer = f"type --{near} {setting.value}" if setting.source.startswith("--") else f"write {near}"
    return f"{where(setting)} is not an option{owner}; {offer}"


def likely(name: str, known: list[str]) -> str | None:
    """Which of the known options was meant: it may be misspelt, shortened, or lack the part it belongs to."""
    last = {option.split(".")[-1]: option for option in reversed(known)}
    typed = name.rsplit(".", maxsplit=1)[-1]
    shortened = [option for one, option in last.items() if typed in (one, *one.split("_"))]
    near = shortened[-1:] or [last[one] for one in [nearest(typed, last)] if one]
    return near[0] if near else None


def check_files(command: str | None, found: list[Setting]) -> None:
    named = {s.name: str(s.value) for s in found if s.name in ("ckpt_path", "images") and s.value is not None}
    images, path = named.get("images"), named.get("ckpt_path")
    if images and not Path(images).expanduser().exists():
        raise ValueError(f"--images: there is no {images}; type the path of an image, or of a folder of images")
    if (path is None and command not in NEED_CHECKPOINT) or (path and Path(path).is_file()):
        return
    complaint = f"there is no checkpoint {path}" if path else f"{command} needs a trained model"
    kept = sorted(RUNS.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)
    if not kept:
        raise ValueError(f"{complaint}, and {RUNS} holds none; train one: python train.py fit -c {FIRST}")
    near = nearest(path, map(str, kept)) if path else None
    newest = ([file for file in kept if file.stem == "best"] or kept)[-1]
    rest = f" --images {images}" if images else ""
    raise ValueError(f"{complaint}; type: python train.py {command} --ckpt_path {near or newest}{rest}")


# What there is to type.


def overview() -> str:
    """The experiments with a phrase each, and a command to copy."""

    def listed(paths: list[Path]) -> str:
        names = [str(path.relative_to(PROJECT)) for path in paths]
        width = max(map(len, names))
        return "\n".join(f"  {name:{width}}  {phrase(path)}" for name, path in zip(names, paths, strict=True))

    return (
        f"Experiments to train:\n{listed(experiments())}\n\n"
        f"To be added to any of them with another -c:\n{listed(extras())}\n\n"
        f"For example:\n  python train.py fit -c {FIRST}\n\nMore: python train.py --help, and README.md"
    )


def help_text() -> str:
    """The commands and the options that a run needs, and where the others are explained."""
    commands = "\n".join(f"  {name:9} {what}" for name, what in COMMANDS.items())
    models, data = (", ".join(sorted(registry(package))) for package in CLASSES.values())
    return f"""\
python train.py COMMAND [-c CONFIG ...] [--NAME VALUE ...]

{commands}

  -c CONFIG              a file of configs/, listed by `python train.py`; later ones win, and flags over all
  --ckpt_path FILE       the checkpoint: of fit to go on from, of the others what they need, and all they need
  --images PATH          of predict: an image, or a folder of them
  --model NAME           {models}
  --model.OPTION VALUE   listed by: python train.py fit --model.help NAME
  --data NAME            {data}
  --data.OPTION VALUE    listed by: python train.py fit --data.help NAME
  --trainer.OPTION VALUE max_epochs, accelerator, devices, precision and all others of Lightning's Trainer:
                         https://lightning.ai/docs/pytorch/stable/common/trainer.html
  --checkpoint.OPTION    of Lightning's ModelCheckpoint, which keeps the best epoch
  --test_checkpoint WHICH  best, last or none: what fit tests when it ends
  --seed_everything N    of weights and of the order of samples
  --print_config         behind all others: shows every option with its value, and runs nothing"""
