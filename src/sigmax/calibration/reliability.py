"""Bins of confidence, and how often each was right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.inputs import check_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Reliability",
    "bin_of",
    "confidence_of",
    "from_counts",
    "reliability",
    "rows_of",
    "wilson_interval",
]


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
    variance : ndarray of shape (bins,)
        The mean of p (1 - p): the variance that outcomes of these probabilities have.
    """

    edges: NDArray[np.float64]
    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def error(self) -> float:
        """
        The plug-in (expected) calibration error: the mean distance between confidence and accuracy, bins weighted by their rows.

        Chance alone makes it larger than 0: compare it with `error_by_chance`, or use :func:`calibration_error`.
        """
        filled = self.rows > 0
        if not filled.any():
            return math.nan
        gaps = np.abs(self.confidence - self.accuracy)[filled]
        return float(np.average(gaps, weights=self.rows[filled]))

    @property
    def error_by_chance(self) -> float:
        """What `error` is, on average, of a calibrated model with as many rows in each bin."""
        filled = self.rows > 0
        if not filled.any():
            return math.nan
        wrong = 1 - self.confidence[filled]
        # The mean distance of a binomial share from its mean (de Moivre), less what the rows of a bin differ among themselves.
        binomial = wrong * (1 - wrong)
        alike = np.divide(self.variance[filled], binomial, where=binomial > 0, out=np.ones_like(binomial)).clip(0, 1)
        gaps = [_mean_distance(int(n), float(p)) for n, p in zip(self.rows[filled], wrong, strict=True)]
        return float(np.average(np.asarray(gaps) * np.sqrt(alike), weights=self.rows[filled]))


def _mean_distance(n: int, p: float) -> float:
    """Return the mean of ``abs(k / n - p)`` for k of n that happen with probability p each."""
    if not 0 < p < 1:
        return 0.0
    k = math.floor(n * p) + 1
    if k > n:  # p rounds to 1
        return 0.0
    choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return 2 * k * math.exp(choices + k * math.log(p) + (n - k + 1) * math.log1p(-p)) / n


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
    c, right = rows_of(confidence, correct)
    which = bin_of(c, bins)
    rows, sums, hits, spread = (
        np.bincount(which, part, minlength=bins) for part in (None, c, right.astype(np.float64), c * (1 - c))
    )
    return from_counts(rows, sums, hits, spread)


def rows_of(confidence: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidence and outcomes as arrays that fit each other."""
    check_rows(confidence=confidence, outcomes=correct)
    given = np.asarray(correct)
    if given.size and not (given.dtype == bool or (given.dtype.kind in "iuf" and bool(np.isin(given, (0, 1)).all()))):
        raise ValueError(f"outcomes of dtype {given.dtype} are not all True or False, or 1 or 0")
    c, right = np.asarray(confidence, np.float64), given.astype(bool)
    if c.shape != right.shape or c.ndim != 1:
        raise ValueError(f"confidence of shape {c.shape} and outcomes of shape {right.shape}: give one of each a row")
    return c, right


def from_counts(rows: NDArray[Any], sums: NDArray[Any], hits: NDArray[Any], spread: NDArray[Any]) -> Reliability:
    """Return what follows from the rows in each bin, the sums of confidence p and of p (1 - p), and how many are right."""
    low, high = wilson_interval(hits, rows)
    edges = np.linspace(0, 1, rows.size + 1)
    with np.errstate(invalid="ignore"):
        return Reliability(edges, rows, sums / rows, hits / rows, low, high, spread / rows)
