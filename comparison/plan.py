"""What a comparison runs: configs, each with every value that is varied, each with every seed. Loads no PyTorch."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from arguments import check, located
from results import Row

FILE = "plan.json"
TAKEN = ("comparison", "figures")  # folders beside those of the runs


@dataclass
class Entry:
    """A line of the table: a config with the values that set it apart.

    Attributes:
        name: of the line and of its runs; it says only what differs.
        config: path of the config file.
        text: what that file said when the comparison began.
        flags: further arguments of train.py.
        about: what is known before it runs: model, data, depth, parameters; or the `error` of a bug.
    """

    name: str
    config: str
    text: str
    flags: list[str]
    about: Row = field(default_factory=dict)


@dataclass
class Plan:
    """A comparison as it was typed, and what that comes to.

    Attributes:
        typed: configs, varied values, flags and what is matched: what must be the same to go on with `--resume`.
        seeds: values of `seed_everything`.
        parameters: the number that widths were matched to; none if they were not.
    """

    typed: dict[str, Any]
    seeds: list[int]
    entries: list[Entry]
    parameters: int | None = None

    @property
    def runs(self) -> list[tuple[Entry, int]]:
        return [(entry, seed) for entry in self.entries for seed in self.seeds]

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> Plan:
    """The plan that a comparison was begun with.

    Raises:
        ValueError: there is none.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}, so it was not begun by compare.py")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Plan(**{**content, "entries": [Entry(**entry) for entry in content["entries"]]})


def expanded(configs: list[str], vary: list[str], flags: list[str]) -> list[Entry]:
    """Every config with every combination of the varied values.

    Args:
        configs: paths of config files.
        vary: `model.num_layers=1,2,4`, one option each.
        flags: further arguments of every run.

    Raises:
        ValueError: names that coincide, or anything that train.py would refuse unread.
    """
    options = [varied(text) for text in vary]
    names = [option for option, _ in options]
    if len(set(names)) < len(names):
        raise ValueError(f"--vary {' '.join(vary)} names an option twice; list all its values once, with commas")
    last = [name.split(".")[-1] for name in names]
    shown = [name if last.count(short) > 1 else short for name, short in zip(names, last, strict=True)]
    stems = [Path(config).stem for config in configs]
    twice = {stem for stem in stems if stems.count(stem) > 1}
    if twice:
        raise ValueError(f"two configs are called {twice.pop()}, which names the run; copy one to another name")
    if set(stems) & set(TAKEN):
        raise ValueError(f"a comparison keeps {' and '.join(TAKEN)} for itself; copy that config to another name")
    entries = []
    for config in map(located, configs):
        for values in itertools.product(*(values for _, values in options)):
            set_here = [f"--{name}={value}" for name, value in zip(names, values, strict=True)]
            try:
                check(["fit", *(located(argument) for argument in ["-c", config, *flags, *set_here])])
            except ValueError as error:  # a config needs no -c here
                raise ValueError(str(error).replace("type -c ", "type ")) from None
            parts = [Path(config).stem] if len(configs) > 1 or not options else []
            parts += [f"{short}={value}" for short, value in zip(shown, values, strict=True)]
            name = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts))  # a folder is called so
            text = Path(config).read_text(encoding="utf-8")
            entries.append(Entry(name, str(Path(config).absolute()), text, [*flags, *set_here]))
    return entries


def varied(text: str) -> tuple[str, list[str]]:
    """The option and the values of `model.num_layers=1,2,4`; a comma inside brackets belongs to a value."""
    option, equals, listed = text.partition("=")
    option = option.removeprefix("--")
    values = re.findall(r"(?:\[[^\]]*\]|[^,])+", listed)
    if not equals or not option or not values:
        raise ValueError(f"--vary {text} is no option with values; type --vary model.num_layers=1,2,4")
    if len(set(values)) < len(values):
        raise ValueError(f"--vary {text} names a value twice; type each once")
    if option == "seed_everything":
        raise ValueError(f"--vary {text} varies the seed; type --seeds {' '.join(values)}")
    return option, values


def refuse_another(plan: Plan, typed: dict[str, Any], folder: Path) -> None:
    """Raises a ValueError if a comparison is to go on with something else than it was begun with."""
    for name, value in typed.items():
        if plan.typed[name] != value:
            raise ValueError(
                f"{folder} was begun with {name} {plan.typed[name]}, not {value}; type the same command with --resume, "
                "or another --name"
            )
    for entry in plan.entries:
        config = Path(entry.config)
        if not config.is_file() or config.read_text(encoding="utf-8") != entry.text:
            raise ValueError(f"{config} has changed since {folder} was begun; type another --name")
