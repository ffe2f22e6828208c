"""Threads: splits work over the processor's cores, one slice per thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

S = TypeVar("S")
T = TypeVar("T")


def in_slices(work: Callable[[int, int], T], n: int) -> list[T]:
    """Run `work(start, end)` on even slices of 0..n in parallel and return the results in order.

    There is one slice per thread of torch; inside a slice, torch's operators use one thread. So the threads synchronise
    once, not once per operator, which would take most of the time of small operators on a busy machine.
    """
    count = max(1, min(torch.get_num_threads(), n))
    bounds = [n * i // count for i in range(count + 1)]
    return run_in_parallel([_bind_slice(work, start, end) for start, end in pairwise(bounds)])


def run_in_parallel(tasks: list[Callable[[], T]]) -> list[T]:
    """Run tasks in parallel and return the results in order; inside a task, torch's operators use one thread.

    An exception that a task raises is raised again when all tasks have ended.
    """
    if len(tasks) == 1 or torch.get_num_threads() == 1:
        return [_without_gradients(task) for task in tasks]
    futures = [_pool(torch.get_num_threads()).submit(_without_gradients, task) for task in tasks]
    for future in futures:
        future.exception()  # wait without raising
    return [future.result() for future in futures]


def computed_ahead(work: Callable[[S], T], items: Iterable[S], *, ahead: int) -> Generator[tuple[S, T], None, None]:
    """Yield each item with `work(item)`, which is computed in threads for some items ahead of the current one."""
    with ThreadPoolExecutor(ahead, thread_name_prefix="ahead") as threads:
        waiting: deque[tuple[S, Future[T]]] = deque()
        for item in items:
            waiting.append((item, threads.submit(work, item)))
            if len(waiting) > ahead:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()


@torch.inference_mode()  # its effect is limited to the current thread
def _without_gradients(task: Callable[[], T]) -> T:
    return task()


def _bind_slice(work: Callable[[int, int], T], start: int, end: int) -> Callable[[], T]:
    return lambda: work(start, end)


def _use_one_thread() -> None:
    torch.get_num_threads()  # force torch's lazy per-thread initialisation now; later it would undo the next line
    torch.set_num_threads(1)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Start threads in which torch's operators use one thread."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="compute", initializer=_use_one_thread)
    all_started = threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(all_started.wait)
    except BaseException:  # a thread cannot be started: those that were would wait for it, and the process for them
        all_started.abort()
        raise
    all_started.wait()
    torch.set_num_threads(threads)  # the workers changed the default that new threads get: restore it
    return pool
