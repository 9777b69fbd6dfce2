"""Threads that work on the batches of a file, or on files."""

from __future__ import annotations

import collections
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

__all__ = ["Workers", "in_order", "use_workers"]

_A = TypeVar("_A")
_B = TypeVar("_B")


class Workers(ThreadPoolExecutor):
    """Threads, and how many of them."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@contextlib.contextmanager
def use_workers(workers: int | None) -> Iterator[Workers | None]:
    """Start threads for `in_order`; by default as many as there are cores. None for one."""
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if not isinstance(count, int):
        raise TableError(f"workers is {workers!r}; it must be a whole number from 1 on")
    if count < 1:
        raise TableError(f"the number of workers is {count}; it must be at least 1")
    if count == 1:
        yield None
        return
    with Workers(count) as pool:
        yield pool


def in_order(pool: Workers | None, function: Callable[[_A], _B], items: Iterable[_A]) -> Generator[_B, None, None]:
    """Call `function` on each item, some at a time, and return the results in the order of the items."""
    if pool is None:
        yield from map(function, items)
        return
    ahead: collections.deque[Any] = collections.deque()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > pool.count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for left in ahead:
            left.cancel()
