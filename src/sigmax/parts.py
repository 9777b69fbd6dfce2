"""Rows in parts that stay in the cache, shared out among threads: results come in the order of the rows, whichever thread made them."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from sigmax.threads import get_num_threads

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_parts"]

Result = TypeVar("Result")
AT_ONCE = 1 << 16  # numbers of a part: half a megabyte of doubles


def in_parts(of: Callable[[slice], Result], rows: int, columns: int = 1, *, at_once: int = AT_ONCE) -> list[Result]:
    """
    Return what a function makes of each part of the rows. The parts hang on the shape alone, not on the number of threads.

    Parameters
    ----------
    of : callable
        Takes the slice of the rows. What it does in NumPy or the core runs beside the others.
    rows, columns : int
        The shape of what is worked on.
    at_once : int
        Numbers of a part.
    """
    step = max(at_once // max(columns, 1), 1)
    parts = [slice(begin, min(begin + step, rows)) for begin in range(0, rows, step)]
    threads = min(get_num_threads(), len(parts) // 2)
    if threads < 2:
        return [of(part) for part in parts]
    around = contextvars.copy_context()  # np.errstate is kept there
    many = -(-len(parts) // (4 * threads))
    groups = [parts[i : i + many] for i in range(0, len(parts), many)]
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda group: [around.copy().run(of, part) for part in group], groups)
        return [one for group in found for one in group]
