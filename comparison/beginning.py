"""How a comparison begins, or goes on: nothing is written before it is known that every run can start."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from comparison import inspection, plan
from comparison.plan import Entry, Plan
from comparison.processes import Task, cores, in_child, in_children
from engine.names import nearest
from engine.results import Row, write_whole

ENVIRONMENT = "environment.json"


def begin(folder: Path, planned: Plan, jobs: int) -> None:
    """Makes the comparison's folder, once it is known of every run that it can start.

    Args:
        folder: to be made.
        planned: what is to run; it is completed here.
        jobs: runs at a time.

    Raises:
        ValueError: it cannot; nothing was written.
    """
    if folder.exists():
        raise ValueError(taken(folder))
    print("Loading ...", flush=True)
    look_at(planned)
    described = environment(planned, jobs)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # meanwhile
        raise ValueError(taken(folder)) from None
    planned.write(folder)
    write_whole(folder / ENVIRONMENT, json.dumps(described, indent=2) + "\n")


def taken(folder: Path) -> str:
    if not (folder / plan.FILE).is_file():
        return f"{folder} exists and is no comparison; choose another --name"
    return (
        f"{folder} exists; type --resume to go on with it, choose another --name, "
        f"or remove it: rm -r {shlex.quote(str(folder))}"
    )


def environment(planned: Plan, jobs: int) -> Row:
    ((_, described),) = in_children([Task(inspection.environment, ())], jobs)
    devices = {entry.about["device"] for entry in planned.entries if "device" in entry.about}
    return {**described, "device": ", ".join(sorted(devices)), "jobs": jobs}


def go_on(folder: Path, planned: Plan, seeds: list[int] | None, jobs: int) -> Plan:
    """The plan of a comparison that was begun, with what is added to it.

    Args:
        folder: where it was begun.
        planned: what was typed now.
        seeds: those that were typed now, if any.
        jobs: runs at a time.

    Raises:
        ValueError: it was begun with something else.
    """
    found = plan.read(folder)
    plan.refuse_another(found, planned.typed, folder)
    found.seeds = list(dict.fromkeys([*found.seeds, *(seeds or [])]))
    found.write(folder)
    path = folder / ENVIRONMENT
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    now = environment(found, jobs)
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        print(f"Not as it was begun: {', '.join(changed)}; {ENVIRONMENT} has both.", flush=True)
        both = {name: f"{before[name]}; then {now[name]}" for name in changed}
        write_whole(path, json.dumps({**now, **both}, indent=2) + "\n")
    return found


def look_at(planned: Plan) -> None:
    """Completes every entry by what is known before it runs: its sizes, its width if matched, its source of data.

    Raises:
        ValueError: wrong input, in a sentence that says what to type.
    """
    first = planned.entries[0]
    first.about = looked_at(first, False, None)
    if planned.typed["match"] is not None:
        if "error" in first.about:
            raise ValueError(f"--match needs the first config, {first.config}, which fails: {first.about['error']}")
        planned.parameters = first.about["parameters"]
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
    names_by_task = {entry.about["task"]: entry.name for entry in planned.entries if "task" in entry.about}
    if len(names_by_task) > 1:
        named = ", ".join(f"{name} does {task}" for task, name in names_by_task.items())
        raise ValueError(f"{named}: no number measures both; compare them in two comparisons")
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
