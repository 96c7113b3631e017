"""Runs functions in processes of their own, so that neither memory, generators nor crashes reach the next one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from engine.arguments import RunFailed

from engine.results import Row

# what a run needs and this program does not: loaded once, for all runs
PRELOADED = ["lightning.pytorch.cli", "torchvision", "torch.utils.tensorboard", "torch._dynamo"]


class Task(NamedTuple):
    """A function that returns a row, its arguments, and the file that gets what it prints; none for the console."""

    function: Callable[..., Row]
    arguments: tuple[Any, ...]
    log: Path | None = None


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_child(function: Callable[..., Row], *arguments: Any) -> Row:
    """What the function returns in a process of its own, or `{"error": ...}` if it raises or the process dies."""
    ((_, row),) = in_children([Task(function, arguments)])
    return row


def in_children(
    tasks: Sequence[Task], jobs: int = 1, on_start: Callable[[int], None] = lambda number: None
) -> Iterator[tuple[int, Row]]:
    """Does all tasks, `jobs` at a time, which share the cores; gives (number, row) as each one ends.

    Whoever stops listening, as Ctrl-C does, ends the processes that still run.
    """
    method = "forkserver" if sys.platform == "linux" else "spawn"  # elsewhere a fork with libraries loaded is not safe
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    threads = max(1, cores() // jobs)
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    waiting = list(enumerate(tasks))
    try:
        while running or waiting:
            while waiting and len(running) < jobs:
                number, task = waiting.pop(0)
                on_start(number)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=answer, args=(sender, task, threads))
                process.start()
                sender.close()
                running[receiver] = (number, process)
            for receiver in wait(list(running)):
                assert isinstance(receiver, Connection)
                number, process = running[receiver]
                try:
                    row: Row = receiver.recv()
                except EOFError:
                    process.join()
                    row = {"error": f"the process ended with exit code {process.exitcode} and no result"}
                process.join()
                del running[receiver]
                yield number, row
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def answer(sender: Connection, task: Task, threads: int) -> None:
    """In the child: sends what the function returns or raises."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the parent, for all
    threading.Thread(target=end_with_parent, daemon=True).start()
    import torch  # noqa: PLC0415  # in the child only: the parent stays light and never touches a GPU

    torch.set_num_threads(min(threads, torch.get_num_threads()))  # fewer if OMP_NUM_THREADS says so
    with contextlib.ExitStack() as stack:
        if task.log is not None:
            file = stack.enter_context(task.log.open("w", encoding="utf-8", buffering=1))
            os.dup2(file.fileno(), 1)  # also what libraries print beside Python
            os.dup2(file.fileno(), 2)
        try:
            row = task.function(*task.arguments)
        except RunFailed as error:
            row = {"error": str(error)}
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            row = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.flush()
        sender.send(row)


def end_with_parent() -> None:
    """In the child: ends it when the parent is gone, however that came to be."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
