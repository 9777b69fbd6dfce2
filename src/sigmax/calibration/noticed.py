"""
Numbers that are no scores: probabilities, shares of another whole, log-probabilities, class numbers; told by their values.

A softmax of probabilities flattens them and a sigmoid lifts them above one half: answers that look right and are wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Kind", "already_probabilities", "remedy"]

Kind = Literal["softmax", "sigmoid", "multilabel"]
ENOUGH = 0.95  # of the rows: some may have been mended by hand
SLACK = 0.0101  # sums from 0.99 to 1.01 are those of probabilities, however they were rounded
BASES = {"log-probabilities": math.e, "log-probabilities to base 10": 10.0, "log-probabilities to base 2": 2.0}


def already_probabilities(matrix: NDArray[Any], kind: Kind) -> str | None:
    """
    Return what scores are instead, as in 'probabilities' or 'percentages', or None.

    Parameters
    ----------
    matrix : ndarray of shape (classes, rows)
        Rows that can be scored. A sigmoid has one line; for multilabel each class stands by itself.
    kind : {'softmax', 'sigmoid', 'multilabel'}
        What they are taken for.
    """
    if not matrix.shape[1]:
        return None
    x = matrix.astype(np.float64)
    if kind == "softmax" and (told := x.max(axis=0) > x.min(axis=0)).any():
        x = x[:, told]  # a row that is the same for all classes tells nothing
    low, high = x.min(axis=0), x.max(axis=0)
    if kind == "softmax":
        if not _mostly(low >= -1e-4) and not _mostly(high <= 1e-6):  # shares are from 0 on, logarithms of them up to it
            return None
        with np.errstate(invalid="ignore", over="ignore"):  # of impossible classes, and numbers near the largest
            return _shares(x, low, high) or _logarithms(x, high)
    if _mostly((low >= -1e-9) & (high <= 1 + 1e-9)):  # no sums to go by
        return "probabilities"
    if (
        kind == "sigmoid"
        and x.size >= 3
        and low.min() >= 0
        and bool((x == np.rint(x)).all())
        and np.unique(x).size <= 20
    ):
        return "class numbers"
    return "percentages" if _mostly((low >= 0) & (high <= 100.001)) and high.max() > 20 else None


def _mostly(rows: NDArray[np.bool_]) -> bool:
    return bool(rows.mean() >= ENOUGH)


def _shares(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> str | None:
    """Return what numbers from 0 on are whose rows all add up to the same whole."""
    sums = x.sum(axis=0)
    step = _rounding(x)
    for name, whole, coarsest in (("probabilities", 1.0, 0.1), ("percentages", 100.0, 1.0)):
        inside = (low >= -1e-6 * whole) & (high <= whole * (1 + 1e-6))
        rounding = min(step, coarsest) * len(x) / 2
        if _mostly(inside & (np.abs(sums - whole) <= whole * SLACK + rounding)):
            return name
    rounding = step * len(x) / 2
    whole = float(np.median(sums))  # votes, parts of 255 or of a thousand
    same = (low >= 0) & (np.abs(sums - whole) <= whole * 1e-3 + min(rounding, 0.02 * whole))
    differ = np.ptp(np.quantile(x, (0.1, 0.9), axis=1), axis=0).max() > 0
    return f"shares of {whole:g}" if sums.size >= 10 and whole > 0 and differ and _mostly(same) else None


def _logarithms(x: NDArray[np.float64], high: NDArray[np.float64]) -> str | None:
    """Return what logarithms of probabilities they are."""
    rows = high <= 1e-6
    if not _mostly(rows):
        return None
    close = SLACK + min(_rounding(x), 0.1)
    for name, base in BASES.items():
        sums = np.exp(np.minimum(x, 0) * math.log(base)).sum(axis=0)
        if _mostly(rows & (np.abs(sums - 1) <= close)):
            return name
    return None


def _rounding(x: NDArray[np.float64]) -> float:
    """Return the step that most numbers are whole multiples of, a power of ten from 1 down to 10^-6; else 0."""
    sample = x[:, :1000]
    sample = sample[np.abs(sample) < 1e300]
    for digits in range(7):
        scaled = sample * 10.0**digits
        if (np.abs(scaled - np.rint(scaled)) <= 1e-5 + 1e-6 * np.abs(scaled)).mean() >= ENOUGH:
            return float(10.0**-digits)
    return 0.0


def remedy(found: str) -> str:
    """Return what to do about it."""
    if found.startswith("log"):
        return "their exponentials are the probabilities; pass the scores that they were made of, or take exp"
    if found == "class numbers":
        return "a class alone has no probability; pass the scores that it was chosen by (logits, decision_function)"
    return "they need no softmax or sigmoid; pass the scores that they were made of (logits, decision_function)"
