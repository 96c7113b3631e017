"""Calls functions in child processes, so that memory, random state and crashes do not reach the next call."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from engine.results import Row

# imported once, by the process that the children are forked from: the imports take as long as a short run
PRELOADED = ["engine.cli", "lightning.pytorch.cli", "torch._dynamo", "torch.utils.tensorboard", "torchvision", "pandas"]


class Task(NamedTuple):
    """A function that returns a row, its arguments, and a file for its output (None for the console)."""

    function: Callable[..., Row]
    arguments: tuple[Any, ...]
    log: Path | None = None


def num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_child(function: Callable[..., Row], *arguments: Any) -> Row:
    """The row that the function returns in a child process, or `{"error": ...}` if it fails or the process dies."""
    ((_, row),) = in_children([Task(function, arguments)])
    return row


def in_children(
    tasks: Sequence[Task], jobs: int = 1, on_start: Callable[[int], None] = lambda number: None
) -> Iterator[tuple[int, Row]]:
    """Runs tasks, `jobs` at a time, and yields (number, row) when one ends. After Ctrl-C, the rest is killed."""
    is_linux = sys.platform == "linux"  # elsewhere, a fork after the libraries are loaded is not safe
    context: Any = multiprocessing.get_context("forkserver" if is_linux else "spawn")
    if is_linux:
        context.set_forkserver_preload(PRELOADED)
    waiting, running = list(enumerate(tasks)), dict[Any, tuple[int, Any]]()
    try:
        while running or waiting:
            while waiting and len(running) < jobs:
                number, task = waiting.pop(0)
                on_start(number)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=run_task, args=(sender, task, max(1, num_cores() // jobs)))
                process.start()
                sender.close()
                running[receiver] = number, process
            ended: list[Any] = wait(list(running))
            for receiver in ended:
                number, process = running[receiver]
                try:
                    row = receiver.recv()
                    process.join()
                except EOFError:
                    process.join()
                    row = {"error": f"the process ended with exit code {process.exitcode} and no result"}
                del running[receiver]
                yield number, row
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def run_task(sender: Any, task: Task, threads: int) -> None:
    """Sends the row of the task, or its error. Runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent kills its children
    threading.Thread(target=exit_with_parent, daemon=True).start()
    if task.log is not None:
        with task.log.open("w") as log:
            os.dup2(log.fileno(), 1)  # also the output of libraries in C
            os.dup2(log.fileno(), 2)
    import torch  # noqa: PLC0415  # the parent does not load PyTorch, so that it starts and answers fast

    from engine.cli import InputError, RunFailed  # noqa: PLC0415

    torch.set_num_threads(min(threads, torch.get_num_threads()))  # fewer if OMP_NUM_THREADS says so
    try:
        row = task.function(*task.arguments)
    except (InputError, RunFailed) as error:
        row = {"error": str(error)}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        row = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.flush()
    sender.send(row)


def exit_with_parent() -> None:
    """Ends this process when its parent has ended, even if the parent was killed. Runs in a thread of the child."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
