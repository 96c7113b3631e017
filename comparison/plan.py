"""What a comparison runs: each config with each combination of varied values, once per seed. Loads no PyTorch."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine import results
from engine.errors import InputError
from engine.names import nearest
from engine.paths import DEFAULTS, PROJECT
from engine.results import Row, write_atomically
from engine.usage import missing_config

FILE = "plan.json"
ERROR = "error.txt"  # in the folder of a run that failed
RESERVED_NAMES = ("comparison", "figures")  # folders that a comparison makes itself
SET_BY_COMPARISON = {  # options that a comparison sets itself, and what to type instead
    "seed_everything": "type --seeds",
    "trainer.logger": "compare.py chooses the folder of each run; leave it out",
    "checkpoint.dirpath": "compare.py chooses the folder of each run; leave it out",
    "ckpt_path": "every run starts from new weights; leave it out",
    "trainer.fast_dev_run": "type -c configs/extras/smoke.yaml",
    "print_config": "type it after train.py",
    "help": "type --help before the --",
}
RECENT = 3600  # seconds; a run on another machine that wrote within them may still be running


@dataclass
class Entry:
    """One line of the table: a config with a combination of varied values."""

    name: str  # only what differs between the lines; also the folder of the runs
    argv: list[str]  # arguments of train.py without seed and folder
    varied: Row = field(default_factory=dict)  # value of each option of --vary
    about: Row = field(default_factory=dict)  # what is known before training, such as the number of parameters


@dataclass
class Run:
    """One training run: an entry with a seed, in a folder of its own."""

    entry: Entry
    seed: int
    dir: Path

    def __str__(self) -> str:
        return f"{self.entry.name}, seed {self.seed}"

    @property
    def argv(self) -> list[str]:
        """Arguments of `train.py`."""
        logger = {"save_dir": self.dir.parent.parent, "name": self.entry.name, "version": self.dir.name}
        flags = [f"--trainer.logger.init_args.{option}={value}" for option, value in logger.items()]
        return [*self.entry.argv, f"--seed_everything={self.seed}", *flags]

    def row(self) -> Row:
        """The result, or what is known without one. `status` is finished, failed or unfinished."""
        row = {**self.entry.varied, **self.entry.about, "config": self.entry.name, "seed": self.seed}
        result, error = results.read(self.dir), self.dir / ERROR
        if result is not None:
            return {**row, **result, "status": "finished"}
        if error.is_file():
            return {**row, "status": "failed", "error": error.read_text(encoding="utf-8").strip()}
        return {**row, "status": "unfinished"}

    def record_failure(self, error: str) -> None:
        self.dir.mkdir(parents=True, exist_ok=True)
        write_atomically(self.dir / ERROR, f"{error}\n")

    def is_recent(self) -> bool:
        """Whether an unfinished run wrote a file within the last hour."""
        paths = [self.dir, *self.dir.rglob("*")] if self.row()["status"] == "unfinished" and self.dir.is_dir() else []
        return any(time.time() - path.stat().st_mtime < RECENT for path in paths)


@dataclass
class Plan:
    """The record of a comparison."""

    command: dict[str, Any]  # what was typed; must be the same for --resume
    entries: list[Entry]
    seeds: list[int]  # each entry runs once per seed
    files: dict[str, str]  # SHA-256 of each config file; must be the same for --resume
    parameters: int | None = None  # number that widths were matched to
    is_printed: bool = False  # whether the runs may be on other machines

    @property
    def varied(self) -> list[str]:
        """The options of `--vary`."""
        return list(self.entries[0].varied)

    def runs(self, folder: Path) -> list[Run]:
        return [Run(entry, seed, folder / entry.name / f"seed_{seed}") for entry in self.entries for seed in self.seeds]

    def rows(self, folder: Path) -> list[Row]:
        return [run.row() for run in self.runs(folder)]

    def write(self, folder: Path) -> None:
        write_atomically(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read(folder: Path) -> Plan:
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return Plan(**{**content, "entries": [Entry(**entry) for entry in content["entries"]]})


def make(configs: list[str], vary: list[str], match: str | None, flags: list[str], seeds: list[int]) -> Plan:
    """Expands a command line to the runs of a comparison.

    Args:
        configs: Paths of config files.
        vary: One option each, as `model.num_layers=1,2,4`.
        match: What all models have the same number of, or None.
        flags: Further arguments of `train.py` for every run.
        seeds: Values of `seed_everything`.

    Raises:
        InputError: a file is missing, a name is used twice, or the comparison sets an option itself.
    """
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"--seeds {seed} must be between 0 and {2**32 - 1}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))} contains a seed twice; type each once")
    flags = absolute_paths(flags)
    configs = [str(find_config(config)) for config in configs]
    values = (flag.rpartition("=")[2] for flag in flags)
    extras = [path for path in values if path.endswith((".yaml", ".yml")) and Path(path).is_file()]
    files = {path: digest(path) for path in dict.fromkeys([*configs, *extras, str(DEFAULTS)])}
    command = {"configs": configs, "vary": vary, "match": match, "flags": flags}
    return Plan(command, expand(configs, vary, flags), seeds, files)


def find_config(config: str) -> Path:
    """The absolute path of a config, which is relative to the working directory or to this project."""
    for path in (Path(config).expanduser(), PROJECT / config):
        if path.is_file():
            return path.absolute()
    raise InputError(missing_config(config, flag=""))


def absolute_paths(flags: list[str]) -> list[str]:
    """The flags with absolute paths of configs and data, so that the commands run from any folder."""
    found = []
    for previous, flag in itertools.pairwise(["", *flags]):
        option, equals, value = flag.rpartition("=")
        name = option if equals else previous
        if name in ("-c", "--config"):
            value = str(find_config(value))
        elif name == "--data.data_dir":
            value = str(Path(value).expanduser().absolute())
        found.append(f"{option}{equals}{value}")
    return found


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def expand(configs: list[str], vary: list[str], flags: list[str]) -> list[Entry]:
    """One entry per config and combination of varied values."""
    options = dict(parse_vary(text) for text in vary)
    if len(options) < len(vary):
        raise InputError(f"--vary {' '.join(vary)} contains an option twice; list all its values once, with commas")
    typed = ["help" if flag == "-h" else flag[2:].partition("=")[0] for flag in flags if flag.startswith(("--", "-h"))]
    for name, (option, instead) in itertools.product([*options, *typed], SET_BY_COMPARISON.items()):
        if name == option or name.startswith(f"{option}."):
            raise InputError(f"--{name} cannot be used in a comparison: {instead}")
    last_parts = [option.rpartition(".")[2] for option in options]
    shown = [last if last_parts.count(last) == 1 else option for option, last in zip(options, last_parts, strict=True)]
    entries: dict[str, Entry] = {}
    for config in configs:
        for pairs in itertools.product(*(zip(values, as_numbers(values), strict=True) for values in options.values())):
            texts, numbers = [text for text, _ in pairs], [number for _, number in pairs]
            parts = [Path(config).stem] if len(configs) > 1 or not options else []
            parts += [f"{option}={text}" for option, text in zip(shown, texts, strict=True)]
            name = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts))
            if name in RESERVED_NAMES:
                raise InputError(f"{config} cannot be compared: {name} is a reserved folder name; rename the config")
            if name in entries:
                raise InputError(f"two runs would have the name {name}; rename one of the configs")
            varied = [f"--{option}={text}" for option, text in zip(options, texts, strict=True)]
            entries[name] = Entry(
                name, ["fit", "-c", config, *flags, *varied], dict(zip(options, numbers, strict=True))
            )
    return list(entries.values())


def parse_vary(text: str) -> tuple[str, list[str]]:
    """The option and the values of `model.num_layers=1,2,4`. A comma inside brackets belongs to a value."""
    option, _, listed = text.partition("=")
    option = option.strip().removeprefix("--")
    values = [value.strip() for value in re.split(r",(?![^\[]*\])", listed)]
    if not option or not all(values):
        raise InputError(f"--vary {text} must be an option with values, such as --vary model.num_layers=1,2,4")
    if len(set(as_numbers(values))) < len(values):
        raise InputError(f"--vary {text} contains a value twice; type each once")
    return option, values


def as_numbers(values: list[str]) -> list[Any]:
    """The values as numbers if all of them are numbers, else as they are."""
    try:
        return [int(value) if re.fullmatch(r"-?\d+", value) else float(value) for value in values]
    except ValueError:
        return list(values)


# Comparisons on disk.


def folders(runs_dir: Path) -> list[Path]:
    """The folders of all comparisons."""
    return sorted(path.parent for path in runs_dir.glob(f"*/{FILE}"))


def find(name: str, runs_dir: Path) -> Path:
    """The folder of the comparison of this name."""
    names = [folder.name for folder in folders(runs_dir)]
    if name not in names:
        near = nearest(name, names)
        hint = f"type {near}" if near else f"names: {', '.join(names) or 'none'}"
        raise InputError(f"{runs_dir} contains no comparison {name}; {hint}")
    return runs_dir / name


def find_command(command: dict[str, Any], seeds: list[int], runs_dir: Path) -> Path:
    """The folder of the newest comparison that was started with this command, if possible with some of these seeds."""
    started = [folder for folder in folders(runs_dir) if read(folder).command == command]
    if not started:
        raise InputError(f"{runs_dir} contains no comparison that was started with this command; leave out --resume")
    return max(started, key=lambda path: (bool({*read(path).seeds} & {*seeds}), (path / FILE).stat().st_mtime))


def resume(folder: Path, typed: Plan, seeds: list[int]) -> Plan:
    """The recorded plan of a comparison, with new seeds added.

    Raises:
        InputError: the command or a config file has changed since the comparison was started.
    """
    recorded = read(folder)
    for name, value in recorded.command.items():
        if typed.command[name] != value:
            raise InputError(
                f"{folder} was started with {name} {value or 'none'}, not {typed.command[name] or 'none'}; "
                "type the command that started it, or another --name"
            )
    for path, known in recorded.files.items():
        if not Path(path).is_file() or digest(path) != known:
            raise InputError(f"{path} has changed since {folder} was started; type another --name")
    recorded.seeds = list(dict.fromkeys([*recorded.seeds, *seeds]))
    return recorded
