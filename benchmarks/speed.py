"""
Time per element of sigmax and its peers, side by side: ``python -m benchmarks speed [--threads 1] [--only softmax]``.

All libraries take turns, round after round; a ratio is the median, over the rounds, of the peer's time divided by ours.
Above 1 sigmax is faster. With one thread the process is tied to one core before any library is loaded.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import sigmax
from benchmarks.peers import FUNCTIONS, calls

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cell", "main", "measure"]

MIN_SECONDS = 5e-4  # a timed stretch; short calls are repeated up to it
PAUSE = 2e-3


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    function: str
    dtype: str
    shape: tuple[int, ...]
    axis: int = -1


@dataclass(frozen=True)
class Result:
    """Nanoseconds per element of sigmax, and how many times as long each peer takes."""

    cell: Cell
    ours: float
    ratios: dict[str, float]

    @property
    def against_fastest(self) -> float:
        """The smallest ratio."""
        return min(self.ratios.values(), default=float("nan"))


def cells() -> list[Cell]:
    """Return the shapes of the bars: narrow and wide rows, an axis across memory, elementwise, and a call on ten elements."""
    rows = (
        [(100_000, k) for k in (2, 3, 5, 10)]
        + [(20_000, k) for k in (16, 32, 100)]
        + [(1000, 1000), (32, 32_000), (8, 131_072)]
    )
    found = [Cell("softmax", dtype, shape) for dtype in ("float32", "float64") for shape in rows]
    found += [
        Cell(f, dtype, shape)
        for f in ("log_softmax", "logsumexp")
        for dtype in ("float32", "float64")
        for shape in ((100_000, 10), (1000, 1000))
    ]
    found += [Cell("softmax", dtype, (1000, 1000), axis=0) for dtype in ("float32", "float64")]
    found += [Cell(f, dtype, (20_000,)) for f in FUNCTIONS[:4] for dtype in ("float32", "float64")]
    found += [Cell("softmax", "float32", (10,)), Cell("sigmoid", "float32", (10,))]
    return found


def inputs(cell: Cell) -> np.ndarray[tuple[int, ...], np.dtype[np.floating]]:
    """Return normal scores of standard deviation 3; for the logit, their probabilities."""
    x = np.random.default_rng(0).normal(scale=3, size=cell.shape).astype(cell.dtype)
    return np.asarray(sigmax.sigmoid(x)) if cell.function == "logit" else x


def stretch(run: Callable[[], object], repeats: int) -> float:
    """
    Return the seconds of one call, over `repeats` of them, after one that does not count.

    The pause lets the threads of the library before go to sleep: some spin for a while after a call, on the core that is
    measured, which made whoever came next up to twice as slow.
    """
    time.sleep(PAUSE)
    run()
    begin = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - begin) / repeats


def measure(cell: Cell, rounds: int = 15) -> Result:
    """Time one cell."""
    contenders = list(calls(cell.function, inputs(cell), cell.axis))
    repeats = {}
    for c in contenders:
        stretch(c.run, 2)
        repeats[c.library] = max(1, int(MIN_SECONDS / stretch(c.run, 1)))
    times: dict[str, list[float]] = {c.library: [] for c in contenders}
    for _ in range(rounds):
        for c in contenders:
            times[c.library].append(stretch(c.run, repeats[c.library]))
    ours = times.pop("sigmax")
    ratios = {
        name: statistics.median(p / o for p, o in zip(theirs, ours, strict=True)) for name, theirs in times.items()
    }
    return Result(cell, statistics.median(ours) / np.prod(cell.shape) * 1e9, ratios)


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table."""
    libraries = sorted({name for r in results for name in r.ratios})
    head = ["function", "dtype", "shape", "ns per element", *libraries, "fastest peer"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for r in results:
        shape = " x ".join(f"{n:,}" for n in r.cell.shape) + (f", axis {r.cell.axis}" if r.cell.axis != -1 else "")
        ratios = [f"{r.ratios[name]:.1f}" if name in r.ratios else "" for name in libraries]
        lines.append(
            f"| {r.cell.function} | {r.cell.dtype} | {shape} | {r.ours:.3f} | {' | '.join(ratios)} | **{r.against_fastest:.1f}** |"
        )
    return "\n".join(lines)


def setting(threads: int) -> str:
    """Say where and with what the numbers were measured."""
    versions = [f"sigmax {sigmax.__version__} ({sigmax.cpu_level()})", f"NumPy {np.__version__}"]
    for name in ("scipy", "torch", "jax"):
        try:
            versions.append(f"{name} {__import__(name).__version__}")
        except ModuleNotFoundError:
            versions.append(f"no {name}")
    return f"{', '.join(versions)}; Python {platform.python_version()}, {platform.machine()}, {threads} core{'s' if threads > 1 else ''}"


def run(threads: int, only: str | None, rounds: int = 15) -> tuple[str, list[Result]]:
    """Measure every cell whose description contains `only`; return the setting and the results."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:threads])
    chosen = [c for c in cells() if only is None or only in f"{c.function} {c.dtype} {c.shape}"]
    return setting(threads), [measure(c, rounds) for c in chosen]


def main(threads: int = 1, only: str | None = None) -> None:
    """Print the table."""
    where, results = run(threads, only)
    print(where)
    print("Times as long as sigmax each peer takes, median of ratios:\n")
    print(table(results))
