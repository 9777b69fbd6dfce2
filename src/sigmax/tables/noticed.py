"""
Numbers that are no scores: probabilities, percentages and log-probabilities, told by their values, rounded as they may be.

A softmax of probabilities flattens them and a sigmoid lifts them above one half: answers that look right and are wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.tables.columns import Kind

__all__ = ["already_probabilities", "remedy"]

ENOUGH = 0.95  # of the rows: some may have been mended by hand
SLACK = 0.0101  # sums from 0.99 to 1.01 are those of probabilities, however they were rounded


def already_probabilities(matrix: NDArray[Any], kind: Kind) -> str | None:
    """
    Return 'probabilities', 'percentages' or 'log-probabilities' if that is what scores are.

    Parameters
    ----------
    matrix : ndarray of shape (classes, rows)
        Rows that can be scored. A sigmoid has one line; for multilabel each class stands by itself.
    kind : {'softmax', 'sigmoid', 'multilabel'}
        What they are taken for.
    """
    if not matrix.shape[1]:
        return None
    low, high = float(matrix.min()), float(matrix.max())
    if kind != "softmax":  # no sums to go by: all in [0, 1], or in [0, 100] and far beyond what a logit is
        if low >= -1e-9 and high <= 1 + 1e-9:
            return "probabilities"
        return "percentages" if low >= 0 and 20 < high <= 100.001 and matrix.shape[1] > 1 else None
    for name, whole in (("probabilities", 1), ("percentages", 100)):
        if low >= -1e-6 * whole and high <= whole * (1 + 1e-6):
            close = whole * SLACK + _rounding(matrix) * len(matrix) / 2
            return name if (np.abs(matrix.sum(axis=0, dtype=np.float64) - whole) <= close).mean() >= ENOUGH else None
    if high <= 1e-6:
        close = SLACK + _rounding(matrix)
        sums = np.exp(np.minimum(matrix, 0).astype(np.float64)).sum(axis=0)
        return "log-probabilities" if (np.abs(sums - 1) <= close).mean() >= ENOUGH else None
    return None


def _rounding(matrix: NDArray[Any]) -> float:
    """Return the step that all numbers are whole multiples of, a power of ten down to 10^-6; else 0."""
    sample = matrix[:, :1000].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    for digits in range(7):
        scaled = sample * 10.0**digits
        if (np.abs(scaled - np.rint(scaled)) <= 1e-5 + 1e-6 * np.abs(scaled)).all():
            return min(10.0**-digits, 0.1)
    return 0.0


def remedy(found: str) -> str:
    """Return what to do about it."""
    return {
        "probabilities": "they need no softmax or sigmoid; pass the scores that they were made of (logits, decision_function)",
        "percentages": "they are probabilities already; pass the scores that they were made of (logits, decision_function)",
        "log-probabilities": "their exponentials are the probabilities; pass the scores that they were made of, or take exp",
    }[found]
