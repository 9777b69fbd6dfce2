"""
Regression side by side: ``python -m benchmarks regression [--rounds 3] [--parquet ROWS]``.

Fits of drawn data to one objective by every solver that arrives, in turns, on one core and on two, at the level of AVX2 and at this machine's own. A
solver's tolerance is the loosest of a few with which it comes within 1e-8 of the best mean objective. Then a Parquet file of float32 features, fitted from the file, beside
reading it as often. Writes the tables of docs/regression.md; with --parquet 0 those in memory alone.

The peers are those that are installed: ``pip install scikit-learn glum snapml``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.marks import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

PAGE = Path(__file__).parent.parent / "docs" / "regression.md"
PATIENCE = 20  # seconds that a fit may take
CLOSE = 1e-8  # nats a row above the best
CASES = {
    "two classes, 100,000 x 20": (100_000, 20, 2, 0.0, 5),
    "ten classes, 50,000 x 50": (50_000, 50, 10, 0.0, 2),
    "two classes, 100,000 x 20, over four decades": (100_000, 20, 2, 4.0, 20),
    "ten classes, 50,000 x 50, over four decades": (50_000, 50, 10, 4.0, 20),
}


def drawn(rows: int, features: int, classes: int, decades: float) -> tuple[Any, Any]:
    """Return features, on scales over so many decades, and classes."""
    rng = np.random.default_rng(0)
    scale = np.logspace(-decades / 2, decades / 2, features)
    x = rng.normal(size=(rows, features))
    z = x @ (0.5 * rng.normal(size=(features, classes)))
    return x * scale, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def objective(x: Any, y: Any, coefficients: Any, intercept: Any) -> float:
    """Return the mean of the losses and the penalty, by scikit-learn's definition with C = 1."""
    import sigmax

    z = x @ coefficients.T + intercept
    losses = sigmax.binary_cross_entropy(z[:, 0], y) if len(coefficients) == 1 else sigmax.cross_entropy(z, y)
    return float((losses.sum() + 0.5 * (coefficients**2).sum()) / len(y))


# ---- solvers: each takes features, classes, a tolerance; and returns coefficients and intercept ----


def _ours(x: Any, y: Any, tolerance: float) -> tuple[Any, Any]:
    from sigmax.regression import LogisticRegression

    model = LogisticRegression(tol=tolerance).fit(x, y)
    return model.coef_, model.intercept_


def _sklearn(solver: str) -> Callable[..., tuple[Any, Any]]:
    def fit(x: Any, y: Any, tolerance: float) -> tuple[Any, Any]:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1.0, solver=solver, tol=tolerance, max_iter=20_000).fit(x, y)
        return model.coef_, model.intercept_

    return fit


def _glum(x: Any, y: Any, tolerance: float) -> tuple[Any, Any]:
    glum = importlib.import_module("glum")
    model = glum.GeneralizedLinearRegressor(
        family="binomial", alpha=1 / len(y), l1_ratio=0, gradient_tol=tolerance, scale_predictors=False, max_iter=1000
    ).fit(x, y)
    return model.coef_[None], np.atleast_1d(model.intercept_)


def _snapml(x: Any, y: Any, tolerance: float) -> tuple[Any, Any]:
    snapml = importlib.import_module("snapml")
    model = snapml.LogisticRegression(
        regularizer=1.0, fit_intercept=True, tol=tolerance, max_iter=5000, n_jobs=int(os.environ["OMP_NUM_THREADS"])
    )
    model.fit(x, y)
    return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)


SOLVERS: dict[str, tuple[Callable[..., tuple[Any, Any]], tuple[float, ...], bool]] = {
    "sigmax": (_ours, (1e-9,), True),
    "scikit-learn lbfgs": (_sklearn("lbfgs"), (1e-3, 1e-4, 1e-5, 1e-6, 1e-8), True),
    "scikit-learn newton-cholesky": (_sklearn("newton-cholesky"), (1e-3, 1e-4, 1e-6), True),
    "scikit-learn newton-cg": (_sklearn("newton-cg"), (1e-3, 1e-4, 1e-6, 1e-8), True),
    "glum": (_glum, (1e-4, 1e-6, 1e-8), False),
    "snapml": (_snapml, (1e-3, 1e-5, 1e-7), False),
}


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Give up after so many seconds."""

    def give_up(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def one(case: str, rounds: int) -> dict[str, Any]:
    """Return how long each solver takes, in turns; None for one that does not arrive."""
    rows, features, classes, decades, _ = CASES[case]
    x, y = drawn(rows, features, classes, decades)
    warnings.simplefilter("ignore")
    best = objective(x, y, *_ours(x, y, 1e-13))
    chosen: dict[str, float | None] = {}
    for name, (fit, tolerances, many) in SOLVERS.items():
        chosen[name] = None
        if classes > 2 and not many:
            continue
        with contextlib.suppress(ModuleNotFoundError, TimeoutError, Exception), at_most(PATIENCE):
            for tolerance in tolerances:
                if objective(x, y, *fit(x, y, tolerance)) - best <= CLOSE:
                    chosen[name] = tolerance
                    break
    arrived = {n: t for n, t in chosen.items() if t is not None}
    taken: dict[str, list[float]] = {n: [] for n in arrived}
    for _ in range(rounds):
        for name, tolerance in arrived.items():
            begin = time.perf_counter()
            SOLVERS[name][0](x, y, tolerance)
            taken[name].append(time.perf_counter() - begin)
    return {n: taken.get(n) for n in chosen}


def measured(case: str, rounds: int, threads: int, level: str) -> dict[str, Any]:
    """Measure one case in a process of its own, on so many cores."""
    environment = {
        **os.environ,
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "SIGMAX")},
        "SIGMAX_CPU_LEVEL": level,
    }
    if level == "v3":
        environment |= {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4"}
    code = f"import os; os.sched_setaffinity(0, range({threads})); import json; from benchmarks import regression as r; print(json.dumps(r.one({case!r}, {rounds})))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_memory(rounds: int) -> str:
    """Return the table of fits in memory."""
    import sigmax

    levels = ("v3", "v4") if sigmax.cpu_level() == "v4" else (sigmax.cpu_level(),)
    names = [n for n in SOLVERS if n != "sigmax"]
    lines = [
        f"| fit | level | cores | sigmax, ms | {' | '.join(names)} | fastest peer |",
        "|---|---|---:|---:|" + "---:|" * (len(names) + 1),
    ]
    for case, (*_, bar) in CASES.items():
        for level in levels:
            for threads in (1, 2):
                found = measured(case, rounds, threads, level)
                ours = found["sigmax"]
                cells, ratios = [], []
                for name in names:
                    theirs = found[name]
                    if theirs is None:
                        cells.append("")
                        continue
                    ratios.append(statistics.median(t / o for t, o in zip(theirs, ours, strict=True)))
                    cells.append(f"{ratios[-1]:.1f}")
                least = f"{min(ratios):.1f} (bar {bar})" if ratios else "none arrives"
                line = f"| {case} | {level} | {threads} | {1000 * statistics.median(ours):.0f} | {' | '.join(cells)} | {least} |"
                print(line, flush=True)
                lines.append(line)
    return "\n".join(lines)


# ---- from a file ----


def write_file(path: Path, rows: int, features: int = 30) -> None:
    """Write features in float32, of which nothing is compressed, and a class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    w = 0.4 * rng.normal(size=features)
    names = [f"x{j}" for j in range(features)]
    schema = pa.schema([*((n, pa.float32()) for n in names), ("y", pa.int8())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for begin in range(0, rows, 250_000):
            count = min(250_000, rows - begin)
            x = rng.normal(size=(features, count)).astype(np.float32)
            y = (rng.random(count) < 1 / (1 + np.exp(-(w @ x)))).astype(np.int8)
            writer.write_table(pa.table([*x, y], schema=schema))


def read_file(path: Path, passes: int) -> float:
    """Return the seconds that reading a file so often takes, on as many threads as there are cores."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow.parquet as pq

    groups = pq.ParquetFile(path).metadata.num_row_groups

    def group(i: int) -> int:
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            return sum(b.num_rows for b in file.iter_batches(65_536, row_groups=[i], use_threads=False))

    begin = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in range(passes):
            list(pool.map(group, range(groups)))
    return time.perf_counter() - begin


def fit_file(path: Path) -> dict[str, float]:
    """Fit to a file in a process of its own; return seconds, passes, the gap and the peak of memory in bytes."""
    code = (
        "import json, resource, time; from sigmax.tables.fitting import Fitting, fit_files; begin = time.perf_counter(); "
        f"found = fit_files({str(path)!r}, Fitting('y')); "
        "print(json.dumps(dict(seconds=time.perf_counter() - begin, passes=found.passes, gap=found.gap, "
        "peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def from_file(rows: int) -> str:
    """Return the lines of a fit from a Parquet file, beside reading it as often."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "features.parquet")
        write_file(path, rows)
        read_file(path, 1)  # into the system's memory, as far as it goes
        fits, reads = [], []
        for _ in range(3):
            fits.append(fit_file(path))
            reads.append(read_file(path, int(fits[-1]["passes"])))
        size = path.stat().st_size
    seconds = statistics.median(f["seconds"] for f in fits)
    ratio = statistics.median(f["seconds"] / r for f, r in zip(fits, reads, strict=True))
    lines = [
        "| rows | features | file, GB | seconds | times it is read | beside reading it as often | peak memory, GB | gap |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        (
            f"| {rows:,} | 30 | {size / 1e9:.2f} | {seconds:.1f} | {fits[0]['passes']:.0f} | {ratio:.2f} (bar 1.5) | "
            f"{max(f['peak'] for f in fits) / 1e9:.2f} (bar 1) | {fits[0]['gap']:.0e} |"
        ),
    ]
    return "\n".join(lines)


def main(rounds: int = 3, parquet: int = 10_000_000) -> None:
    """Measure, print and write."""
    table = in_memory(rounds)
    text = put(PAGE.read_text(encoding="utf-8"), "regression", f"{table}\n\n{_where()}")
    if parquet:
        lines = from_file(parquet)
        print(lines)
        text = put(text, "regression-file", lines)
    PAGE.write_text(text, encoding="utf-8")


def _where() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("sigmax", "numpy", "scikit-learn", "glum", "snapml"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "",
    )
    family, model = (
        next(
            (
                line.partition(":")[2].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith(f"{word}\t")
            ),
            "",
        )
        for word in ("cpu family", "model")
    )
    return f"{', '.join(found)}; Python {platform.python_version()}, {cpu} (family {family}, model {model})."
