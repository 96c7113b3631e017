"""How a comparison begins, or goes on: nothing is written before it is known that every run can start."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, TextIO

from arguments import nearest
from comparison import inspection, plan
from comparison.plan import Entry, Plan
from comparison.processes import Task, cores, in_child, in_children
from results import Row


def begin(folder: Path, planned: Plan, console: TextIO) -> None:
    """Makes the comparison's folder, once it is known of every run that it can start.

    Args:
        folder: to be made.
        planned: what is to run; it is completed here.
        console: where to say what takes time.

    Raises:
        ValueError: it cannot; nothing was written.
    """
    if folder.exists():
        quoted = shlex.quote(str(folder))
        raise ValueError(
            f"{folder} exists; type --resume to go on with it, choose another --name, or remove it: rm -r {quoted}"
        )
    print("Loading ...", flush=True, file=console)
    look_at(planned)
    folder.mkdir(parents=True)
    devices = {entry.about["device"] for entry in planned.entries if "device" in entry.about}
    described = {**in_child(inspection.environment), "device": ", ".join(sorted(devices))}
    (folder / "environment.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    planned.write(folder)


def look_at(planned: Plan) -> None:
    """Completes every entry by what is known before it runs: its sizes, its width if matched, its source of data.

    Raises:
        ValueError: wrong input, in a sentence that says what to type.
    """
    first = planned.entries[0]
    first.about = looked_at(first, False, None)
    is_matched = planned.typed["match"] is not None and "parameters" in first.about
    planned.parameters = first.about["parameters"] if is_matched else None
    # each config by itself: what could not be fetched for one is not tried again for the next
    configs = {entry.config: entry for entry in reversed(planned.entries) if entry is not first}
    for entry in reversed(configs.values()):
        entry.about = looked_at(entry, is_subset(planned), planned.parameters)
    variations = [entry for entry in planned.entries if not entry.about]
    tasks = [Task(inspection.inspect, (entry, is_subset(planned), planned.parameters)) for entry in variations]
    for number, about in in_children(tasks, cores()):
        variations[number].about = about
    for entry in planned.entries:
        if "refusal" in entry.about:
            raise ValueError(entry.about["refusal"])
        width = entry.about.pop("width", None)
        if width:
            entry.flags.append(width)
    settle_sources(planned.entries)


def looked_at(entry: Entry, take_subset: bool, parameters: int | None) -> Row:
    about = in_child(inspection.inspect, entry, take_subset, parameters)
    if "refusal" in about:
        raise ValueError(about["refusal"])
    return about


def is_subset(planned: Plan) -> bool:
    return any(entry.about.get("source") == "subset" for entry in planned.entries)


def settle_sources(entries: list[Entry]) -> None:
    """Gives every run the same source: a table never mixes a data set with its subset."""
    sources = {entry.about["source"] for entry in entries if entry.about.get("source")}
    for entry in entries:
        if entry.about.get("source"):
            entry.flags.append(f"--data.source={'subset' if 'subset' in sources else 'full'}")


def begun(name: str | None, typed: dict[str, Any], runs_dir: Path) -> Path:
    """The comparison to go on with: the one of that name, else the newest that this command began.

    Raises:
        ValueError: there is none.
    """
    if name is not None:
        return existing(name, runs_dir)
    for folder in sorted(comparisons(runs_dir), key=lambda folder: (folder / plan.FILE).stat().st_mtime, reverse=True):
        if plan.read(folder).typed == typed:
            return folder
    raise ValueError(f"{runs_dir} holds no comparison that this command began; leave out --resume")


def comparisons(runs_dir: Path) -> list[Path]:
    return sorted(path.parent for path in runs_dir.glob(f"*/{plan.FILE}"))


def existing(name: str, runs_dir: Path) -> Path:
    """The folder of a comparison.

    Raises:
        ValueError: there is none of that name.
    """
    folder = runs_dir / name
    if (folder / plan.FILE).is_file():
        return folder
    names = [path.name for path in comparisons(runs_dir)]
    near = nearest(name, names) or (names[-1] if names else None)
    raise ValueError(f"{runs_dir} holds no comparison {name}; " + (f"there is {near}" if near else "it holds none"))
