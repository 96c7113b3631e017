"""Calls functions in child processes, so that memory, random state and crashes do not reach the next call."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from engine.errors import InputError, RunFailed

# imported once, by the process that the children are forked from: the imports take as long as a short run
PRELOADED = ["engine.cli", "lightning.pytorch.cli", "torch._dynamo", "torch.utils.tensorboard", "torchvision", "pandas"]


def num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function in a child process.

    Raises:
        InputError: the function raised it.
        RunFailed: the function raised another error, or the process died.
    """
    ((_, answer),) = in_children(function, [arguments])
    if isinstance(answer, Exception):
        raise answer
    return answer


def in_children(
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], jobs: int = 1
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Calls a function in child processes and yields (arguments, result or error) when a call ends.

    Ctrl-C kills the running children.

    Args:
        function: Called in a new process each time.
        calls: The arguments of each call. They are taken one by one, when a call starts.
        jobs: Number of processes at the same time, which share the cores.
    """
    is_linux = sys.platform == "linux"  # elsewhere, a fork after the libraries are loaded is not safe
    context: Any = multiprocessing.get_context("forkserver" if is_linux else "spawn")
    if is_linux:
        context.set_forkserver_preload(PRELOADED)
    num_threads = max(1, num_cores() // jobs)
    waiting, running = iter(calls), dict[Any, tuple[tuple[Any, ...], Any]]()
    try:
        while True:
            for arguments in itertools.islice(waiting, jobs - len(running)):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=call, args=(sender, num_threads, function, arguments))
                process.start()
                sender.close()
                running[receiver] = arguments, process
            if not running:
                return
            ended: list[Any] = wait(list(running))
            for receiver in ended:
                arguments, process = running.pop(receiver)
                try:
                    answer = receiver.recv()
                    process.join()
                except EOFError:
                    process.join()
                    answer = RunFailed(f"the process ended with exit code {process.exitcode} and no result")
                yield arguments, answer
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def call(sender: Connection, num_threads: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Sends the result of the function, or its error. Runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent kills its children
    threading.Thread(target=exit_with_parent, daemon=True).start()
    import torch  # noqa: PLC0415  # the parent does not load PyTorch, so that it starts and answers fast

    torch.set_num_threads(min(num_threads, torch.get_num_threads()))  # fewer if OMP_NUM_THREADS says so
    try:
        answer = function(*arguments)
    except (InputError, RunFailed) as error:
        answer = error
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        answer = RunFailed(f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    sender.send(answer)


def exit_with_parent() -> None:
    """Ends this process when its parent has ended, even if the parent was killed. Runs in a thread of the child."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
