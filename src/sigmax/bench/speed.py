"""
Time per element of sigmax and its peers, side by side, and the largest error of each.

All libraries take turns, round after round; a ratio is the median, over the rounds, of the peer's time divided by ours.
Above 1 sigmax is faster. With one thread the process is tied to one core before any library is loaded.
"""

from __future__ import annotations

import decimal
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.bench.peers import ELEMENTWISE, calls
from sigmax.errors import InputError
from sigmax.host.dtypes import BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "Cell",
    "Result",
    "cells",
    "measure",
    "setting",
    "short_ulps",
    "table_head",
    "table_line",
    "use_cores",
    "use_level",
]

PAUSE, WARM, TIMED = 5e-3, 2e-3, 4e-3  # seconds; short calls are repeated
LIBRARIES = ("jax", "numpy", "scipy", "torch")
# digits behind the leading one, and the exponent of the smallest normal number
_FORMATS = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    function: str
    dtype: str
    shape: tuple[int, ...]
    axis: int = -1

    def __str__(self) -> str:
        across = f", axis {self.axis}" if self.axis != -1 else ""
        return f"{self.function} {self.dtype} {' x '.join(f'{n:,}' for n in self.shape)}{across}"


@dataclass(frozen=True)
class Result:
    """Nanoseconds per element of sigmax, how many times as long each peer takes, and the largest errors in ulp."""

    cell: Cell
    ours: float
    ratios: dict[str, float]
    errors: dict[str, float]

    @property
    def against_fastest(self) -> float:
        """The smallest ratio."""
        return min(self.ratios.values(), default=float("nan"))


def cells() -> list[Cell]:
    """Return the shapes of the bars: narrow and wide rows, an axis across memory, elementwise in and out of cache, a short call."""
    rows = (
        [(100_000, k) for k in (2, 3, 5, 10)]
        + [(20_000, k) for k in (16, 32, 100)]
        + [(1000, 1000), (32, 32_000), (8, 131_072)]
    )
    found = [Cell("softmax", dtype, shape) for dtype in ("float32", "float64") for shape in rows]
    found += [
        Cell("softmax", dtype, shape) for dtype in ("float16", "bfloat16") for shape in ((100_000, 10), (1000, 1000))
    ]
    found += [
        Cell(f, dtype, shape)
        for f in ("log_softmax", "logsumexp")
        for dtype in ("float32", "float64")
        for shape in ((100_000, 3), (100_000, 10), (20_000, 100), (1000, 1000))
    ]
    found += [
        Cell("softmax", dtype, shape, axis=0)
        for dtype in ("float32", "float64")
        for shape in ((10, 100_000), (1000, 1000))
    ]
    found += [Cell("softmax", dtype, (300, 40, 25), axis=1) for dtype in ("float32", "float64")]
    found += [Cell(f, dtype, (20_000,)) for f in ELEMENTWISE for dtype in ("float16", "bfloat16", "float32", "float64")]
    found += [Cell("sigmoid", dtype, (8_000_000,)) for dtype in ("float32", "float64")]
    found += [Cell("softmax", "float32", (800_000, 10))]
    found += [Cell("softmax", "float32", (10,)), Cell("sigmoid", "float32", (10,))]
    return found


def inputs(cell: Cell) -> Any:
    """Return normal scores of standard deviation 3; for the logit, their probabilities."""
    x = (
        np.random.default_rng(0)
        .normal(scale=3, size=cell.shape)
        .astype(BFLOAT16 if cell.dtype == "bfloat16" else cell.dtype)
    )
    if cell.function != "logit":
        return x
    below_one = 1 - 2.0 ** -(_FORMATS[cell.dtype][0] + 1)  # an infinite logit has no error to measure
    return np.minimum(np.asarray(sigmax.sigmoid(x)), x.dtype.type(below_one))


def exact(function: str, x: NDArray[Any], axis: int) -> Any:
    """Return the values in long double, by formulas that do not cancel; where one does all the same, out of fifty decimal digits."""
    x = x.astype(np.longdouble)
    if function == "logit":
        near = np.abs(x - 0.5) < 0.25
        return np.where(near, np.log1p((2 * x - 1) / (1 - x)), np.log(x) - np.log1p(-x))
    if function in ELEMENTWISE:
        tail = np.exp(-np.abs(x))
        if function == "sigmoid":
            return np.where(x < 0, tail, 1) / (1 + tail)
        return np.maximum(x, 0) + np.log1p(tail) if function == "softplus" else np.minimum(x, 0) - np.log1p(tail)
    z = x - x.max(axis, keepdims=True)
    terms = np.exp(z)
    if function == "softmax":
        return terms / terms.sum(axis, keepdims=True)
    np.put_along_axis(terms, np.expand_dims(x.argmax(axis), axis), 0, axis)
    rest = np.log1p(terms.sum(axis, keepdims=True))
    if function == "log_softmax":
        return z - rest
    value = (x.max(axis, keepdims=True) + rest).squeeze(axis)
    rows = np.moveaxis(x, axis, -1)
    for i in map(tuple, np.argwhere(np.abs(value) < rest.squeeze(axis) / 64)):
        value[i] = _log_of_sum(rows[i])
    return value


def _log_of_sum(row: NDArray[Any]) -> Any:
    with decimal.localcontext(prec=50):
        total = sum((decimal.Decimal(float(v)).exp() for v in row), decimal.Decimal(0))
        return np.longdouble(str(total.ln()))


def largest_error(cell: Cell, x: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the largest error in units in the last place, of the first rows or elements."""
    rows = max(1, 200_000 // (1 if cell.function in ELEMENTWISE else max(1, x.shape[cell.axis])))
    part = (
        (slice(None), slice(rows))
        if cell.axis == 0
        else slice(rows)
        if x.ndim > 1 or cell.function in ELEMENTWISE
        else ...
    )
    with np.errstate(all="ignore"):
        true = exact(cell.function, x[part], cell.axis)
        got = y[part] if y.ndim == x.ndim else y[:rows] if y.ndim else y
        digits, smallest = _FORMATS[cell.dtype]
        exponent = np.maximum(np.frexp(np.where(true == 0, 1, true))[1] - 1, smallest)
        return float(np.max(np.abs(got.astype(np.longdouble) - true) / np.ldexp(np.longdouble(1), exponent - digits)))


def stretch(run: Callable[[], object], repeats: int) -> float:
    """
    Return the seconds of one call, over `repeats` of them, after a pause and some that do not count.

    The pause lets the threads of the library before go to sleep: some spin for a while after a call, on the core that is
    measured, which made whoever came next up to twice as slow. The calls that do not count wake the library's own.
    """
    time.sleep(PAUSE)
    begin = time.perf_counter()
    while time.perf_counter() - begin < WARM:
        run()
    begin = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - begin) / repeats


def measure(cell: Cell, rounds: int = 15) -> Result:
    """Time one cell."""
    x = inputs(cell)
    contenders = list(calls(cell.function, x, cell.axis))
    errors = {c.library: largest_error(cell, x, c.result()) for c in contenders}
    repeats = {}
    for c in contenders:
        stretch(c.run, 1)
        repeats[c.library] = max(1, int(TIMED / stretch(c.run, 1)))
    times: dict[str, list[float]] = {c.library: [] for c in contenders}
    for _ in range(rounds):
        for c in contenders:
            times[c.library].append(stretch(c.run, repeats[c.library]))
    ours = times.pop("sigmax")
    ratios = {
        name: statistics.median(p / o for p, o in zip(theirs, ours, strict=True)) for name, theirs in times.items()
    }
    return Result(cell, statistics.median(ours) / math.prod(cell.shape) * 1e9, ratios, errors)


def short_ulps(error: float) -> str:
    """Return an error in a few characters, never rounded down."""
    if error == np.inf:
        return "inf"
    if error <= 0.5:  # 0.49999 is as good as it gets
        return "0.50" if error > 0.495 else f"{error:.2f}"
    if error < 100:
        return f"{math.ceil(error * 1000) / 1000:.3f}"
    return f"{error:.0e}".replace("e+0", "e").replace("e+", "e")


def table_head() -> str:
    """Return the head of the Markdown table."""
    head = ["function", "dtype", "shape", "ns per element", "ulp"]
    for name in LIBRARIES:
        head += [name, "ulp"]
    head.append("fastest peer")
    return "| " + " | ".join(head) + " |\n|---|---|---|" + "---:|" * (len(head) - 3)


def table_line(r: Result) -> str:
    """Return a result as a line of the Markdown table: each peer's time as a multiple of ours, and the largest errors."""
    cell = r.cell
    words = [
        cell.function,
        cell.dtype,
        str(cell).split(" ", 2)[2],
        f"{r.ours:.3f}",
        short_ulps(r.errors["sigmax"]),
    ]
    for name in LIBRARIES:
        words += [f"{r.ratios[name]:.1f}", short_ulps(r.errors[name])] if name in r.ratios else ["", ""]
    words.append(f"**{r.against_fastest:.1f}**")
    return "| " + " | ".join(words) + " |"


def setting(threads: int) -> str:
    """Say where and with what the numbers were measured."""
    versions = [f"sigmax {sigmax.__version__} ({sigmax.cpu_level()})", f"NumPy {np.__version__}"]
    for name in ("scipy", "torch", "jax"):
        try:
            versions.append(f"{name} {__import__(name).__version__}")
        except ModuleNotFoundError:
            versions.append(f"no {name}")
    cores = f"{threads} core{'s' if threads > 1 else ''}"
    return f"{', '.join(versions)}; Python {platform.python_version()}, {cpu_name()}, {cores}"


def cpu_name() -> str:
    """Return what the CPU is called, with the numbers of its kind where Linux gives them: a virtual machine may name no more."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    if "model name" not in found:
        return platform.machine()
    return f"{found['model name']} (family {found.get('cpu family')}, model {found.get('model')})"


def lowered(level: str) -> dict[str, str]:
    """Return the environment in which sigmax and its peers all keep to a CPU level: v3 stands for AVX2, v4 for AVX-512."""
    if level == "v4":
        return {"SIGMAX_CPU_LEVEL": level}
    if level != "v3":
        raise InputError(f"the level is {level!r}; peers can be held to 'v3' or 'v4'")
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    beyond = [name for name in found if name.startswith(("AVX512", "X86_V4"))]
    return {
        "SIGMAX_CPU_LEVEL": level,
        "ATEN_CPU_CAPABILITY": "avx2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(beyond),
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }


def use_level(level: str) -> None:
    """Begin the process anew, before any library is loaded, where it does not keep to a CPU level yet; "" for any."""
    if not level or os.environ.get("SIGMAX_BENCH_LEVEL") == level:
        return
    os.environ.update(lowered(level), SIGMAX_BENCH_LEVEL=level)
    raise SystemExit(subprocess.run([sys.executable, *sys.orig_argv[1:]], check=False).returncode)  # noqa: S603


def use_cores(threads: int) -> None:
    """Tie the process, and so every library that is loaded from now on, to so many cores."""
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= threads <= len(cores):
        raise InputError(f"{threads} threads; this process may use 1 to {len(cores)} cores")
    os.sched_setaffinity(0, cores[:threads])
    sigmax.set_num_threads(threads)
