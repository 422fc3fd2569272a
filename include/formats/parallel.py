"""Work on threads, with results in order and bounded memory; compiled code releases the lock.

All files of a process share one pool, so that however many are written at once, no more threads work than there
are processors. What is given to it must therefore never wait for other work of the pool.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import chain, islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many threads the formats may use: the processors of this process, 8 at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


@cache
def _pool(count: int, _process: int) -> ThreadPoolExecutor:
    """Return the pool of this process: threads do not outlive a fork."""
    return ThreadPoolExecutor(count, thread_name_prefix="format")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield function(item) in the order of the items, a few ahead of the reader and never more.

    An error of an item is raised at its place; what is still running then is waited for, not started anew. An item
    that is the only one is worked on here: to hand it over costs a small answer more than the work.
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    pool, ahead = _pool(threads(), os.getpid()), threads()
    waiting: deque[Future[Result]] = deque()
    try:
        for item in chain(first, rest):
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
