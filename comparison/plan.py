"""What a comparison runs: configs, each with every value that is varied, each with every seed. Loads no PyTorch."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.arguments import as_yaml, check, flags, located

from engine.paths import DEFAULTS
from engine.results import Row, write_whole

FILE = "plan.json"
TAKEN = ("comparison", "figures")  # folders beside those of the runs
DECIDED = {  # what a comparison sets itself, and what to type instead
    "seed_everything": "type --seeds",
    "trainer.logger": "it writes every run where its table looks for it; leave that out",
    "checkpoint.dirpath": "it writes every run where its table looks for it; leave that out",
    "ckpt_path": "every run of it begins anew; leave that out",
    "trainer.fast_dev_run": "type -c configs/extras/smoke.yaml",
    "print_config": "type it behind train.py",
    "help": "type --help before the --",
}


@dataclass
class Entry:
    """A line of the table: a config with the values that set it apart.

    Attributes:
        name: of the line and of its runs; it says only what differs.
        config: path of the config file.
        flags: further arguments of train.py.
        about: what is known before it runs: model, data, depth, parameters; or the `error` of a bug.
        varied: value of each option of `--vary`, by the name that was typed.
    """

    name: str
    config: str
    flags: list[str]
    about: Row = field(default_factory=dict)
    varied: Row = field(default_factory=dict)


@dataclass
class Plan:
    """A comparison as it was typed, and what that comes to.

    Attributes:
        typed: configs, varied values, flags and what is matched: what must be the same to go on with `--resume`.
        seeds: values of `seed_everything`.
        entries: the lines of the table.
        texts: what each config file said when the comparison began, by path.
        parameters: the number that widths were matched to; none if they were not.
        is_printed: whether its runs may be going on other machines.
    """

    typed: dict[str, Any]
    seeds: list[int]
    entries: list[Entry]
    texts: dict[str, str]
    parameters: int | None = None
    is_printed: bool = False

    @property
    def runs(self) -> list[tuple[Entry, int]]:
        return [(entry, seed) for entry in self.entries for seed in self.seeds]

    @property
    def varied(self) -> list[str]:
        """The options of `--vary`, the same for every entry."""
        return list(self.entries[0].varied)

    def write(self, folder: Path) -> None:
        write_whole(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read(folder: Path) -> Plan:
    """The plan that a comparison was begun with."""
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return Plan(**{**content, "entries": [Entry(**entry) for entry in content["entries"]]})


def make(configs: list[str], vary: list[str], match: str | None, given: list[str], seeds: list[int]) -> Plan:
    """The plan of what was typed, checked as far as that is possible without PyTorch.

    Args:
        configs: paths of config files.
        vary: `model.num_layers=1,2,4`, one option each.
        match: what all are to have as many of.
        given: further arguments of every run.
        seeds: values of `seed_everything`.

    Raises:
        ValueError: what cannot be meant, or what train.py would refuse.
    """
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f"--seeds {seed} is not within 0 and {2**32 - 1}; type another")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {' '.join(map(str, seeds))} names a seed twice; type each once")
    given = anywhere(given)
    entries = expanded(configs, vary, given)
    paths = list(dict.fromkeys(entry.config for entry in entries))
    files = [*paths, *(text for name, text in flags(given) if name == "config" and text), str(DEFAULTS)]
    texts = {file: Path(file).read_text(encoding="utf-8") for file in files}
    typed = {"configs": paths, "vary": vary, "match": match, "flags": given}
    return Plan(typed, seeds, entries, texts)


def anywhere(given: list[str]) -> list[str]:
    """Flags that name the same files from any folder."""
    found: list[str] = []
    for argument in given:
        option, equals, path = located(argument).rpartition("=")
        is_config = path.endswith((".yaml", ".yml")) and Path(path).is_file()
        is_data = "--data.data_dir" in (option, *(found[-1:] if not equals else []))
        found.append(f"{option}{equals}{Path(path).absolute()}" if is_config or is_data else argument)
    return found


def expanded(configs: list[str], vary: list[str], given: list[str]) -> list[Entry]:
    """Every config with every combination of the varied values.

    Raises:
        ValueError: names that coincide, or anything that train.py would refuse unread.
    """
    options = [varied(text) for text in vary]
    names = [option for option, _ in options]
    if len(set(names)) < len(names):
        raise ValueError(f"--vary {' '.join(vary)} names an option twice; list all its values once, with commas")
    for name in [*names, *(name for name, _ in flags(given))]:
        decided = [one for one in DECIDED if name == one or name.startswith(f"{one}.")]
        if decided:
            raise ValueError(f"{name} is not for a comparison: {DECIDED[decided[0]]}")
    last = [name.split(".")[-1] for name in names]
    shown = [name if last.count(short) > 1 else short for name, short in zip(names, last, strict=True)]
    columns = {name: dict(zip(values, as_column(values), strict=True)) for name, values in options}
    entries: list[Entry] = []
    for config in map(located, configs):
        for values in itertools.product(*(values for _, values in options)):
            set_here = [f"--{name}={value}" for name, value in zip(names, values, strict=True)]
            try:
                check(["fit", *(located(argument) for argument in ["-c", config, *given, *set_here])])
            except ValueError as error:  # a config needs no -c here
                raise ValueError(str(error).replace("type -c ", "type ")) from None
            parts = [Path(config).stem] if len(configs) > 1 or not options else []
            parts += [f"{short}={value}" for short, value in zip(shown, values, strict=True)]
            name = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts))  # a folder is called so
            if name in TAKEN:
                raise ValueError(f"a comparison keeps the name {name} for itself; copy {config} to another name")
            if name in [entry.name for entry in entries]:
                raise ValueError(f"two runs would be called {name}; copy a config to another name")
            cells = {option: columns[option][value] for option, value in zip(names, values, strict=True)}
            entries.append(Entry(name, str(Path(config).absolute()), [*given, *set_here], varied=cells))
    return entries


def varied(text: str) -> tuple[str, list[str]]:
    """The option and the values of `model.num_layers=1,2,4`; a comma inside brackets belongs to a value."""
    option, equals, listed = text.partition("=")
    option = option.strip().removeprefix("--")
    values = [value.strip() for value in re.split(r",(?![^\[]*\])", listed)]
    if not equals or not option or not all(values):
        raise ValueError(f"--vary {text} is no option with values; type --vary model.num_layers=1,2,4")
    if len({as_number(value) for value in values}) < len(values):
        raise ValueError(f"--vary {text} names a value twice; type each once")
    return option, values


def as_number(value: str) -> Any:
    """0.001 for 0.001 and for 1e-3; what is no number as it was typed."""
    try:
        return float(value)
    except ValueError:
        return str(as_yaml(value))


def as_column(values: list[str]) -> list[Any]:
    """The values of an option as numbers, or as they were typed if one of them is not a number."""
    try:
        return [int(value) if re.fullmatch(r"-?\d+", value) else float(value) for value in values]
    except ValueError:
        return values


def refuse_another(planned: Plan, typed: dict[str, Any], folder: Path) -> None:
    """Raises a ValueError if a comparison is to go on with something else than it was begun with."""
    for name, value in typed.items():
        if planned.typed[name] != value:
            raise ValueError(
                f"{folder} was begun with {name} {planned.typed[name]}, not {value}; type the same command with "
                "--resume, or another --name"
            )
    for file, text in planned.texts.items():
        if not Path(file).is_file() or Path(file).read_text(encoding="utf-8") != text:
            raise ValueError(f"{file} has changed since {folder} was begun; type another --name")
