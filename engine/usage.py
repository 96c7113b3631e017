"""What `train.py` prints without running anything. Imports neither PyTorch nor Lightning, which take seconds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.paths import CONFIGS, PROJECT

FIRST = "configs/mnist/shallow_mlp.yaml"
COMMANDS = {
    "fit": "train, then test the best epoch on validation",
    "validate": "evaluate a checkpoint on the validation samples",
    "test": "evaluate a checkpoint on the test samples",
    "predict": "predict the test samples or your own images or recordings, or continue a text",
}
# the options of `predict`: default, and what they are
PREDICT: dict[str, tuple[Any, str]] = {
    "images": (None, "an image, or a folder of images"),
    "audio": (None, "a recording of a spoken digit as wav file, or a folder of recordings"),
    "prompt": ("\n", "a text for a network of Text to continue; default: a new line"),
    "temperature": (0.8, "lower values make likely characters of the text more likely; default 0.8"),
    "length": (500, "number of characters to write; default 500"),
}
HINT = f"type -c {FIRST}; `python train.py` lists all configs"


def experiments() -> list[Path]:
    """The complete configs."""
    return sorted(path for path in CONFIGS.glob("*/*.yaml") if path.parent.name != "extras")


def extras() -> list[Path]:
    """The configs to add to a complete one."""
    return sorted((CONFIGS / "extras").glob("*.yaml"))


def title(config: Path) -> str:
    """The first line of a config, which describes it."""
    return config.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def overview() -> str:
    """All configs with their titles, and a command to copy."""

    def table(paths: list[Path]) -> str:
        names = {str(path.relative_to(PROJECT)): title(path) for path in paths}
        return "\n".join(f"  {name:{max(map(len, names))}}  {purpose}" for name, purpose in names.items())

    return (
        f"Experiments:\n{table(experiments())}\n\nTo add to any of them with another -c:\n{table(extras())}\n\n"
        f"For example:\n  python train.py fit -c {FIRST}\n\nMore: python train.py --help, and README.md"
    )


def help_text() -> str:
    """The commands and the most used options."""
    commands = "\n".join(f"  {name:9} {purpose}" for name, purpose in COMMANDS.items())
    predict = "\n".join(f"  {f'--{name} VALUE':22} for predict: {purpose}" for name, (_, purpose) in PREDICT.items())
    return f"""\
python train.py COMMAND [-c CONFIG ...] [--NAME VALUE ...]

{commands}
  doctor    print versions, devices and data, and what is wrong

  -c CONFIG              listed by `python train.py`; later files override earlier ones, flags override both
  --ckpt_path FILE       a checkpoint: `fit` resumes from it; the other commands need nothing else
{predict}
  --model NAME           a class of models/, or the import path of your own
  --model.OPTION VALUE   listed by: python train.py fit --model.help NAME
  --data NAME            a class of datamodules/, or the import path of your own
  --data.OPTION VALUE    listed by: python train.py fit --data.help NAME
  --trainer.OPTION VALUE max_epochs, accelerator, devices, precision and all other options of Lightning's Trainer:
                         https://lightning.ai/docs/pytorch/stable/common/trainer.html
  --checkpoint.OPTION VALUE  options of Lightning's ModelCheckpoint, which keeps the best epoch
  --test_checkpoint NAME the checkpoint that fit tests: best, last or none
  --seed_everything N    seed of the weights and of the order of samples
  --print_config         at the end: print every option with its value, and run nothing"""


def find_mistake(arguments: list[str]) -> str | None:
    """The error message for a missing or misspelt command or config. The parser finds all other mistakes."""
    command = arguments[0]
    if command.startswith("-") or command.endswith(".yaml"):
        typed = [*(["-c"] if command.endswith(".yaml") else []), *arguments]
        return f"a command comes first: python train.py fit {' '.join(typed)}"
    if command not in COMMANDS:
        known = [*COMMANDS, "doctor"]
        return f"{command!r} is not a command; type {nearest(command, known) or 'one of ' + ', '.join(known)}"
    missing = [path for path in typed_configs(arguments) if not Path(path).expanduser().is_file()]
    return missing_config(missing[0]) if missing else None


def typed_configs(arguments: list[str]) -> list[str]:
    """The paths of the configs that were typed. The config of a checkpoint is text, not a path."""
    return [path for flag, path in pairwise(arguments) if flag in ("-c", "--config") and "\n" not in path]


def missing_config(path: str, flag: str = "-c ") -> str:
    """The error message for a config that does not exist."""
    if Path(path).expanduser().is_dir():
        return f"{path} is a folder; {HINT}"
    known = {str(config.relative_to(PROJECT)): config.stem for config in [*experiments(), *extras()]}
    near = next((name for name, stem in known.items() if stem == path), None) or nearest(path, known)  # `-c smoke`
    return f"there is no config {path}; {f'type {flag}{near}' if near else HINT}"


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most similar name, ignoring case, or None if no name is similar."""
    lowered = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), lowered, 1, cutoff)
    return lowered[found[0]] if found else None
