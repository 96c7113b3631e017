"""What a comparison runs: each config with each combination of varied values, once per seed. Loads no PyTorch."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine import results
from engine.errors import InputError
from engine.paths import DEFAULTS
from engine.results import Row, write_atomically
from engine.usage import missing_config, nearest

FILE = "plan.json"
ERROR = "error.txt"  # in the folder of a run that failed
OTHER_FOLDERS = ["comparison", "figures"]  # made by a comparison, so no run may have these names


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


@dataclass
class Plan:
    """The record of a comparison."""

    entries: list[Entry]
    seeds: list[int]  # each entry runs once per seed
    files: dict[str, str | None]  # SHA-256 of each config file; must be the same to resume
    jobs: int = 1  # runs at the same time
    is_matched: bool = False  # whether all models get as many parameters as the first
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
    try:
        return Plan(**{**content, "entries": [Entry(**entry) for entry in content["entries"]]})
    except TypeError as error:  # the names of other fields
        raise InputError(f"{folder} was made by another version of compare.py; start another comparison") from error


def make(configs: list[str], vary: list[str], flags: list[str], seeds: list[int]) -> Plan:
    """Expands a command line to the runs of a comparison.

    Args:
        configs: Paths of config files.
        vary: One option each, as `model.num_layers=1,2,4`.
        flags: Further arguments of `train.py` for every run.
        seeds: Values of `seed_everything`.

    Raises:
        InputError: a file is missing, or a name is used twice.
    """
    for config in configs:
        if not Path(config).is_file():
            raise InputError(missing_config(config, flag=""))
    configs, flags = absolute_paths(configs), absolute_paths(flags)
    files = {path: digest(path) for path in [*configs, *flags, str(DEFAULTS)] if Path(path).is_file()}
    return Plan(expand(configs, vary, flags), list(dict.fromkeys(seeds)), files)


def digest(path: str) -> str | None:
    """The SHA-256 of a file, or None if it is missing."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else None


def absolute_paths(arguments: list[str]) -> list[str]:
    """The arguments with absolute paths of files, so that the printed commands run from any folder."""
    return [str(Path(argument).absolute()) if Path(argument).is_file() else argument for argument in arguments]


def expand(configs: list[str], vary: list[str], flags: list[str]) -> list[Entry]:
    """One entry per config and combination of varied values."""
    options = dict(parse_vary(text) for text in vary)
    if len(options) < len(vary):
        raise InputError(f"--vary {' '.join(vary)} contains an option twice; list all its values once, with commas")
    for name, instead in {"seed_everything": "type --seeds", "trainer.logger": "leave it out"}.items():
        if any(word.removeprefix("--").startswith(name) for word in [*options, *flags]):
            raise InputError(f"a comparison sets {name} for each run; {instead}")
    last_parts = [option.rpartition(".")[2] for option in options]
    shown = [last if last_parts.count(last) == 1 else option for option, last in zip(options, last_parts, strict=True)]
    entries = []
    for config, *values in itertools.product(configs, *options.values()):
        parts = [Path(config).stem] if len(configs) > 1 or not options else []
        parts += [f"{option}={value}" for option, value in zip(shown, values, strict=True)]
        varied = dict(zip(options, values, strict=True))
        argv = ["fit", "-c", config, *flags, *(f"--{option}={value}" for option, value in varied.items())]
        numbers = {option: options[option][value] for option, value in varied.items()}
        entries.append(Entry(re.sub(r"[^\w.,=+-]+", "_", ",".join(parts)), argv, numbers))
    names = [*OTHER_FOLDERS, *(entry.name for entry in entries)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two folders of the comparison would have the name {name}; rename the config")
    return entries


def parse_vary(text: str) -> tuple[str, dict[str, Any]]:
    """The option and the values of `model.num_layers=1,2,4`, as they are typed and as numbers.

    A comma inside brackets belongs to a value. If one value is not a number, all values are text.
    """
    option, _, listed = text.partition("=")
    values = [value.strip() for value in re.split(r",(?![^\[]*\])", listed)]
    if not option or not all(values):
        raise InputError(f"--vary {text} must be an option with values, such as --vary model.num_layers=1,2,4")
    try:
        numbers: list[Any] = [int(value) if re.fullmatch(r"-?\d+", value) else float(value) for value in values]
    except ValueError:
        numbers = values
    if len(set(numbers)) < len(values):
        raise InputError(f"--vary {text} contains a value twice; type each once")
    return option.strip().removeprefix("--"), dict(zip(values, numbers, strict=True))


def find(name: str, runs_dir: Path) -> Path:
    """The folder of the comparison of this name."""
    names = [path.parent.name for path in sorted(runs_dir.glob(f"*/{FILE}"))]
    if name not in names:
        near = nearest(name, names)
        hint = f"type {near or 'one of ' + ', '.join(names)}" if names else "start one with compare.py CONFIG"
        raise InputError(f"{runs_dir} contains no comparison {name}; {hint}")
    return runs_dir / name


def lock(folder: Path) -> FileLock:
    """Keeps other processes of this machine from running or pruning the comparison."""
    return FileLock(folder / ".lock", timeout=0)


def resume(folder: Path, seeds: list[int], jobs: int | None) -> Plan:
    """The recorded plan of a comparison, with new seeds added.

    Raises:
        InputError: a config file has changed since the comparison was started.
    """
    recorded = read(folder)
    if changed := [path for path, before in recorded.files.items() if digest(path) != before]:
        raise InputError(f"{' and '.join(changed)} changed since {folder} was started; start another comparison")
    recorded.seeds = list(dict.fromkeys([*recorded.seeds, *seeds]))
    recorded.jobs = jobs or recorded.jobs
    recorded.write(folder)
    return recorded
