"""How far the probabilities of a classifier can be trusted: bins of confidence, and how often each was right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Reliability", "bin_of", "confidence_of", "error_interval", "from_counts", "reliability", "wilson_interval"]


@dataclass(frozen=True)
class Reliability:
    """
    Rows by the probability of their predicted class.

    Attributes
    ----------
    edges : ndarray of shape (bins + 1,)
        Where the bins begin and end; a bin holds its lower edge, the last one both.
    rows : ndarray of int of shape (bins,)
        How many rows fell into each.
    confidence, accuracy : ndarray of shape (bins,)
        The mean confidence, and the share of right predictions; NaN in an empty bin.
    low, high : ndarray of shape (bins,)
        The 95 % confidence interval of the accuracy (Wilson's).
    """

    edges: NDArray[np.float64]
    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance between confidence and accuracy, bins weighted by their rows."""
        filled = self.rows > 0
        if not filled.any():
            return math.nan
        gaps = np.abs(self.confidence - self.accuracy)[filled]
        return float(np.average(gaps, weights=self.rows[filled]))


def wilson_interval(successes: ArrayLike, rows: ArrayLike, z: float = 1.959963984540054) -> tuple[Any, Any]:
    """
    Return Wilson's interval for a share, which stays in [0, 1] and holds for few rows too.

    Parameters
    ----------
    successes, rows : array_like of int
        How many of how many; no rows give the whole of [0, 1].
    z : float
        The quantile of the normal distribution; 1.96 for 95 %.

    Returns
    -------
    low, high : ndarray

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22 (1927).

    Examples
    --------
    >>> from sigmax.calibration import wilson_interval
    >>> low, high = wilson_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.596, 0.982)
    """
    k, n = np.asarray(successes, np.float64), np.asarray(rows, np.float64)
    whole = np.maximum(n, 1)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(k * (n - k) / whole + z * z / 4)
    return np.where(k == 0, 0, centre - half), np.where(k == n, 1, centre + half)


def confidence_of(
    probabilities: ArrayLike, labels: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """
    Return the probability of each row's predicted class, and whether the prediction is right.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second.
    labels : array_like of int of shape (rows,), optional
        The true classes, by number from 0.

    Returns
    -------
    confidence : ndarray of shape (rows,)
    correct : ndarray of bool of shape (rows,), or None without labels

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or the labels do not fit.

    Examples
    --------
    >>> from sigmax.calibration import confidence_of
    >>> confidence, correct = confidence_of([[0.2, 0.8], [0.6, 0.4]], [1, 1])
    >>> confidence.tolist(), correct.tolist()
    ([0.8, 0.6], [True, False])
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim not in (1, 2) or (p.ndim == 2 and p.shape[1] < 2):
        raise ValueError(f"probabilities of shape {p.shape}: give (rows, classes), or (rows,) for two classes")
    if not ((p >= 0) & (p <= 1)).all():
        odd = p[~((p >= 0) & (p <= 1))].flat[0]
        raise ValueError(
            f"a probability is {odd}; turn scores into probabilities first, with sigmax.softmax or sigmoid"
        )
    if p.ndim == 1:
        predicted, confidence = (p >= 0.5).astype(np.int64), np.maximum(p, 1 - p)
    else:
        predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    if labels is None:
        return confidence, None
    y = np.asarray(labels)
    classes = 2 if p.ndim == 1 else p.shape[1]
    if y.shape != predicted.shape:
        raise ValueError(f"labels of shape {y.shape} for {predicted.size} rows")
    if y.size and not (np.isin(y, np.arange(classes)).all()):
        odd = y[~np.isin(y, np.arange(classes))].flat[0]
        raise ValueError(f"the label {odd} is none of the classes 0 to {classes - 1}")
    return confidence, predicted == y


def bin_of(confidence: NDArray[Any], bins: int) -> NDArray[np.int64]:
    """Return which of `bins` equal parts of [0, 1] each number lies in; the last part holds 1 too."""
    found: NDArray[np.int64] = np.minimum((np.asarray(confidence, np.float64) * bins).astype(np.int64), bins - 1)
    return found


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """
    Count rows by confidence, and how many of each bin are right.

    Parameters
    ----------
    confidence : array_like of shape (rows,)
        The probability of the predicted class, in [0, 1].
    correct : array_like of bool of shape (rows,)
        Whether the prediction is right.
    bins : int, default 10
        Parts of [0, 1], of equal width.

    Returns
    -------
    Reliability

    Examples
    --------
    >>> from sigmax.calibration import reliability
    >>> found = reliability([0.55, 0.95, 0.95, 0.95], [False, True, True, True], bins=2)
    >>> found.rows.tolist(), found.accuracy.tolist()[1], round(found.error, 4)
    ([0, 4], 0.75, 0.1)
    """
    if bins < 1:
        raise ValueError(f"{bins} bins; there must be at least 1")
    c, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if c.shape != right.shape or c.ndim != 1:
        raise ValueError(f"confidence of shape {c.shape} and outcomes of shape {right.shape}: give one of each a row")
    which = bin_of(c, bins)
    rows = np.bincount(which, minlength=bins)
    sums = np.bincount(which, c, minlength=bins)
    hits = np.bincount(which, right, minlength=bins)
    return from_counts(rows, sums, hits)


def from_counts(rows: NDArray[Any], sums: NDArray[Any], hits: NDArray[Any]) -> Reliability:
    """Return what follows from the rows in each bin, the sum of their confidence, and how many are right."""
    low, high = wilson_interval(hits, rows)
    with np.errstate(invalid="ignore"):
        return Reliability(np.linspace(0, 1, rows.size + 1), rows, sums / rows, hits / rows, low, high)


def error_interval(found: Reliability, level: float = 0.95, times: int = 2000, seed: int = 0) -> tuple[float, float]:
    """
    Return an interval for the calibration error, by the bootstrap: rows are drawn anew among the bins, and outcomes within each.

    Parameters
    ----------
    found : Reliability
        The bins that were counted.
    level : float, default 0.95
        How much of the redrawn errors lies in the interval.
    times : int, default 2000
        How often to redraw.
    seed : int, default 0
        The same seed gives the same interval.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> from sigmax.calibration import error_interval, reliability
    >>> low, high = error_interval(reliability([0.95] * 100, [True] * 80 + [False] * 20))
    >>> low < 0.15 < high
    True
    """
    filled = found.rows > 0
    if not filled.any():
        return math.nan, math.nan
    n = int(found.rows.sum())
    rng = np.random.default_rng(seed)
    accuracy, confidence = found.accuracy[filled], found.confidence[filled]
    rows = rng.multinomial(n, found.rows[filled] / n, times)
    hits = rng.binomial(rows, accuracy)
    errors = np.abs(hits - confidence * rows).sum(axis=1) / n
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
