"""
Largest error of sigmax and its peers: ``python -m benchmarks accuracy``.

In units in the last place of the exact value (python-flint, 1,400 bits), subnormal results included, over the same inputs
for all; with the input at which each library is worst.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import FUNCTIONS, OVER_AN_AXIS, calls

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from reference import LINKS, Row, exact, ulps  # type: ignore[import-not-found]

__all__ = ["main", "table", "worst_errors"]

Array = Any  # an ndarray of floats


def inputs(function: str, dtype: str) -> Array:
    """Return inputs that cover the range of the dtype and the places where formulas cancel."""
    rng = np.random.default_rng(0)
    n, low = 2000, 104.0 if dtype == "float32" else 745.0
    if function in OVER_AN_AXIS:
        x = rng.normal(size=(400, 10)) * rng.choice([0.3, 3, 30], (400, 1))
        x[::4, 0] += 25
        return x.astype(dtype)
    if function == "logit":
        p = np.concatenate(
            [rng.random(n), 0.5 + rng.normal(size=n) * 10.0 ** -rng.integers(1, 8, n), np.exp(-rng.random(n) * 80)]
        ).astype(dtype)
        return p[(p > 0) & (p < 1)]
    return np.concatenate([rng.normal(size=n) * 5, rng.uniform(-low, low, n), rng.normal(size=n) * 1e-3]).astype(dtype)


def exact_values(function: str, x: Array) -> list[Any]:
    """Return the true results, in the order of the flattened result."""
    if function not in OVER_AN_AXIS:
        return [LINKS[function](exact(v)) for v in x]
    rows = [Row(r) for r in x]
    if function == "logsumexp":
        return [r.logsumexp for r in rows]
    return [getattr(r, function)(k) for r in rows for k in range(x.shape[1])]


def worst_errors(function: str, dtype: str) -> dict[str, float]:
    """Return the largest error of each library, in ulp."""
    x = inputs(function, dtype)
    true = exact_values(function, x)
    with np.errstate(all="ignore"):
        return {
            c.library: max(ulps(g, t, dtype) for g, t in zip(c.result().flat, true, strict=True))
            for c in calls(function, x)
        }


def table() -> str:
    """Return the errors as a Markdown table."""
    results = [(f, d, worst_errors(f, d)) for f in FUNCTIONS for d in ("float32", "float64")]
    libraries = ["sigmax", *sorted({name for _, _, errors in results for name in errors} - {"sigmax"})]
    lines = ["| largest error, ulp | dtype | " + " | ".join(libraries) + " |", "|---|---|" + "---:|" * len(libraries)]
    for function, dtype, errors in results:
        cells = [_short(errors[name]) if name in errors else "" for name in libraries]
        lines.append(f"| {function} | {dtype} | **{cells[0]}** | {' | '.join(cells[1:])} |")
    return "\n".join(lines)


def _short(error: float) -> str:
    return (
        "inf"
        if error == np.inf
        else f"{error:.2f}"
        if error < 100
        else f"{error:.0e}".replace("e+0", "e").replace("e+", "e")
    )


def main() -> None:
    """Print the table."""
    print(table())
