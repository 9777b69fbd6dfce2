"""
Arrays far beyond the caches, beside a plain copy by as many threads: ``python -m benchmarks large``.

Prints nanoseconds per element of the copy, of sigmax, and of sigmax on a part that fits into the cache, on one core and on all.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.bench.speed import cpu_name

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS, PART = 32_000_000, 60_000


def median_time(run: Callable[[], object], repeats: int = 9) -> float:
    """Return the median of some calls, in seconds, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def copy(y: Any, x: Any, threads: int) -> None:
    """Copy x to y, an equal part in each thread."""
    parts = zip(np.array_split(y, threads), np.array_split(x, threads), strict=True)
    workers = [threading.Thread(target=np.copyto, args=part) for part in parts]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def table() -> list[str]:
    """Measure, and return the lines of the table."""
    lines = ["| function | dtype | shape | cores | copy | sigmax | in cache |", "|---|---|---|---:|---:|---:|---:|"]
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        sigmax.set_num_threads(threads)
        for dtype in ("float16", "float32", "float64"):
            for classes in (1, 10, 100, 131_072, 8_000_000):
                x = np.random.default_rng(0).normal(scale=3, size=(NUMBERS // classes, classes)).astype(dtype)
                y = np.empty_like(x)
                function: Any = sigmax.softmax if classes > 1 else sigmax.sigmoid
                copied = median_time(partial(copy, y.ravel(), x.ravel(), threads))
                ours = median_time(partial(function, x, out=y))
                rows = max(1, PART // classes)
                small, out = x[:rows], np.empty_like(y[:rows])
                cached = median_time(partial(function, small, out=out), 41)
                times = [t / n * 1e9 for t, n in ((copied, x.size), (ours, x.size), (cached, small.size))]
                shape = f"{x.shape[0]:,} x {classes:,}" if classes > 1 else f"{x.size:,}"
                columns = [function.__name__, dtype, shape, str(threads), *(f"{t:.3f}" for t in times)]
                lines.append(f"| {' | '.join(columns)} |")
    return [*lines, "", f"{cpu_name()}, {sigmax.cpu_level()}."]


def main() -> None:
    """Measure and print."""
    print("\n".join(table()))


if __name__ == "__main__":
    main()
