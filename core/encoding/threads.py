"""Lanes: work split over the processor's cores, a slice for each, without a barrier inside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

T = TypeVar("T")


def in_slices(work: Callable[[int, int], T], n: int) -> list[T]:
    """Do work on 0..n in as many even slices as torch uses threads, at once; `work` takes a slice's start and end.

    Operators of torch that run inside use one thread. Splitting once, outside, costs one meeting of the threads, where
    splitting each operator costs one an operator: that is most of the time of small ones on a machine that is not idle.
    """
    count = max(1, min(torch.get_num_threads(), n))
    bounds = [n * i // count for i in range(count + 1)]
    return run_in_parallel([_bound(work, start, end) for start, end in pairwise(bounds)])


def run_in_parallel(works: list[Callable[[], T]]) -> list[T]:
    """Do several things at the same time; operators of torch that run inside use one thread.

    Returns:
        What each gave. An exception of one is raised when all have ended.
    """
    if len(works) == 1 or torch.get_num_threads() == 1:
        return [_without_gradients(work) for work in works]
    running = [_pool(torch.get_num_threads()).submit(_without_gradients, work) for work in works]
    for each in running:
        each.exception()
    return [each.result() for each in running]


@torch.inference_mode()  # which holds for the thread that enters it
def _without_gradients(work: Callable[[], T]) -> T:
    return work()


def _bound(work: Callable[[int, int], T], start: int, end: int) -> Callable[[], T]:
    return lambda: work(start, end)


def _become_single() -> None:
    torch.get_num_threads()  # takes over the number that all threads share, which would else happen later
    torch.set_num_threads(1)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch's operators do not split further."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="compute", initializer=_become_single)
    all_started = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(all_started.wait)
    all_started.wait()
    torch.set_num_threads(threads)  # what threads that start later take over is shared: set it back
    return pool
