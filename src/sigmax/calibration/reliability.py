"""How far the probabilities of a classifier can be trusted: bins of confidence, and how often each was right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.links import logit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CalibrationError",
    "Cells",
    "Reliability",
    "bin_of",
    "calibration_error",
    "confidence_of",
    "from_counts",
    "reliability",
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
    c, right = _rows_of(confidence, correct)
    which = bin_of(c, bins)
    rows, sums, hits, spread = (
        np.bincount(which, part, minlength=bins) for part in (None, c, right.astype(np.float64), c * (1 - c))
    )
    return from_counts(rows, sums, hits, spread)


def _rows_of(confidence: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    for name, value in (("confidence", confidence), ("outcomes", correct)):
        if np.ma.is_masked(value):
            raise ValueError(f"some {name} are masked; leave these rows out")
    indexes = [
        getattr(v, "index", None) for v in (confidence, correct) if type(v).__module__.partition(".")[0] == "pandas"
    ]
    if len(indexes) == 2 and not indexes[0].equals(indexes[1]):  # type: ignore[union-attr]
        raise ValueError(
            "confidence and outcomes have different indexes; give both the same, or pass arrays to go by position"
        )
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


@dataclass(frozen=True)
class CalibrationError:
    """
    How far a model's confidence lies from how often it is right, and how sure that is.

    The root of the mean squared distance, free of what chance adds to it. Of a calibrated model the interval begins at 0.

    Attributes
    ----------
    squared : float
        The mean squared distance in bins of equal rows, less what chance alone adds; it may be negative. NaN without rows.
    low, high : float
        The interval of its root.
    level : float
        How often such an interval holds the error.
    rows, bins : int
        What it was estimated from.
    """

    squared: float
    low: float
    high: float
    level: float
    rows: int
    bins: int

    @property
    def error(self) -> float:
        """The root of the mean squared distance; 0 where chance alone explains all of it."""
        return math.sqrt(self.squared) if self.squared > 0 else abs(0.0 * self.squared)

    @property
    def is_found(self) -> bool:
        """Whether there is an error: whether the interval excludes 0."""
        return self.low > 0

    def __str__(self) -> str:
        if not self.rows:
            return "no rows to tell by"
        if not self.is_found:
            return f"no error found, at most {self.high:.4f}"
        return f"{self.error:.4f} ({100 * self.level:g} %: {self.low:.4f} to {self.high:.4f})"


class Cells:
    """
    Rows by confidence, counted in 65,536 cells of its logit, so that batches merge, in any order to the same bits.

    A cell is as wide as a 256th of its logit: within it confidence hardly differs, and sums over it stand for its rows.
    """

    COUNT = 1 << 16
    ONE = 1 << 30  # a probability of 1, in the unit of the sums

    def __init__(self) -> None:
        self.rows: NDArray[np.int64] = np.zeros(self.COUNT, np.int64)
        self.hits: NDArray[np.int64] = np.zeros(self.COUNT, np.int64)
        self._sums: NDArray[np.int64] = np.zeros(self.COUNT, np.int64)  # of confidence

    def add(self, confidence: NDArray[Any], correct: NDArray[np.bool_]) -> None:
        """Count rows."""
        for begin in range(0, len(confidence), AT_ONCE):
            self._add(confidence[begin : begin + AT_ONCE], correct[begin : begin + AT_ONCE])

    def _add(self, confidence: NDArray[Any], correct: NDArray[np.bool_]) -> None:
        p = np.asarray(confidence, np.float64)
        # the upper half of the bits of a float32, turned so that they ascend with it
        with np.errstate(divide="ignore"):
            bits = (logit(p).astype(np.float32).view(np.uint32) >> 16).astype(np.int64)
        cell = bits ^ np.where(bits >> 15, 0xFFFF, 0x8000)
        self.rows += np.bincount(cell, minlength=self.COUNT)
        self.hits += np.bincount(cell[correct], minlength=self.COUNT)
        self._sums += np.bincount(cell, np.rint(p * self.ONE), minlength=self.COUNT).astype(np.int64)

    def by_logit(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """
        Return rows and hits between whole numbers of the logit, which are edges of cells too.

        Returns
        -------
        edges, rows, hits : ndarray
            The numbers, one more than there are parts, from -16 to 16 at most; what lies farther out is in the first or the last part.
        """
        filled = np.flatnonzero(self.rows)
        bits = np.where(filled >> 15, filled ^ 0x8000, filled ^ 0xFFFF).astype(np.uint32) << 16
        part = np.clip(np.floor(bits.view(np.float32)), -16, 15).astype(np.int64)
        first, last = (int(part.min()), int(part.max())) if part.size else (0, 0)
        rows, hits = (
            np.bincount(part - first, n[filled], last - first + 1).astype(np.int64) for n in (self.rows, self.hits)
        )
        return np.arange(first, last + 2), rows, hits

    def state(self) -> dict[str, list[int]]:
        """Return the cells that hold a row, as JSON has them."""
        filled = np.flatnonzero(self.rows)
        parts = {"cell": filled, "rows": self.rows[filled], "hits": self.hits[filled], "sums": self._sums[filled]}
        return {name: part.tolist() for name, part in parts.items()}

    def merge(self, state: dict[str, list[int]]) -> None:
        """Add cells that were counted elsewhere."""
        for total, name in ((self.rows, "rows"), (self.hits, "hits"), (self._sums, "sums")):
            total[state["cell"]] += np.asarray(state[name], np.int64)

    def error(self, bins: int = 15, level: float = 0.95) -> CalibrationError:
        """Return the calibration error: see :func:`calibration_error`."""
        if bins < 1 or not 0 < level < 1:
            raise ValueError(f"{bins} bins and a level of {level}: give at least one bin, and a level between 0 and 1")
        filled = np.flatnonzero(self.rows)
        rows, hits, sums = self.rows[filled], self.hits[filled], self._sums[filled] / self.ONE
        n = int(rows.sum())
        if n < FEWEST:
            return CalibrationError(math.nan, 0.0, 1.0, level, n, 0)
        begins = _equal_parts(rows, min(bins, n // FEWEST))
        m, right, p, pp, py = (
            np.add.reduceat(part, begins) for part in (rows, hits, sums, sums * sums / rows, hits * sums / rows)
        )
        d = (p - right) / m
        own = (pp - 2 * py + right - m * d * d) / np.maximum(m - 1, 1)
        # Where nearly all are right, the few that are not may all be missing: the variance that the model claims is then the larger.
        noise = np.maximum(own, (p - pp) / m) / m
        excess = d * d - noise
        weight = m / n
        squared = float((weight * excess).sum())
        # The variance of `squared`: that of noise alone, and what grows with the error itself, as far as it is in the noisy bins.
        by_chance = float((weight**2 * 2 * noise**2 * m / np.maximum(m - 1, 1)).sum())
        share = np.maximum(excess, 0) if (excess > 0).any() else np.ones_like(excess)
        growth = 4 * float((weight**2 * share * noise).sum() / (weight * share).sum())
        # The errors that `squared` is not too far from: the roots of (squared - e)^2 = z^2 (by_chance + growth e).
        z = NormalDist().inv_cdf((1 + level) / 2)
        middle = squared + z * z * growth / 2
        half = math.sqrt(max(middle**2 - squared**2 + z * z * by_chance, 0))
        low, high = (math.sqrt(min(max(end, 0), 1)) for end in (middle - half, max(middle, 0) + half))
        # Errors that are rarer than the rows could show are not seen in any bin; but the error is not below the distance of all rows together.
        share = wilson_interval(right.sum(), n, z)
        gap = max(float(p.sum()) / n - float(share[0]), float(share[1]) - float(p.sum()) / n)
        return CalibrationError(squared, low if squared > 0 else 0.0, min(max(high, gap), 1.0), level, n, len(m))


FEWEST = 5  # rows of a bin
AT_ONCE = 1 << 22  # rows whose sums, in floats, are whole numbers below 2^53


def _equal_parts(rows: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Return where runs of cells begin that hold an equal part of the rows each, or more; cells stay whole."""
    begins, filled, total = [0], 0, int(rows.sum())
    for i, count in enumerate(rows.tolist()):
        if filled * parts >= total:
            begins.append(i)
            filled = 0
        filled += count
    if len(begins) > 1 and filled < FEWEST:
        begins.pop()
    return np.asarray(begins)


def calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15, level: float = 0.95
) -> CalibrationError:
    """
    Estimate how far confidence lies from how often predictions are right, with an interval that holds the truth.

    Parameters
    ----------
    confidence : array_like of shape (rows,)
        The probability of the predicted class, in [0, 1]: see :func:`confidence_of`.
    correct : array_like of bool of shape (rows,)
        Whether the prediction is right.
    bins : int, default 15
        Runs of confidence with an equal part of the rows each, at least 5.
    level : float, default 0.95
        How often the interval holds the error.

    Returns
    -------
    CalibrationError
        The root of the mean squared distance in the bins, free of what chance adds, and its interval.

    Raises
    ------
    ValueError
        If a confidence is not in [0, 1], the shapes differ, or an option is out of its range.

    Notes
    -----
    The usual error (:attr:`Reliability.error`) is larger than 0 by chance alone: 0.08 for a calibrated model of ten classes and 200 rows.
    In each bin of `m` rows let `d` be the mean of confidence less outcome and `v` its variance: the larger of that seen and that which the
    probabilities claim. The squared error is the mean of ``d**2 - v / m`` over the rows. Its own variance has a part by chance and one that
    grows with the error; the interval holds those errors that the estimate is not too far from, each with its own variance. So it merges over
    batches and needs no redrawing. Its upper end is at least that of the distance of all rows together (Wilson's interval), since errors rarer than
    the rows could show are seen in no bin. What varies inside a bin is not seen. Sources: for the debiased square Kumar, Liang and Ma, "Verified
    uncertainty calibration", NeurIPS 2019; for its variance Sun et al., "A confidence interval for the l2 expected calibration error", 2024.

    Examples
    --------
    >>> from sigmax.calibration import calibration_error
    >>> print(calibration_error([0.95] * 100, [True] * 95 + [False] * 5))
    no error found, at most 0.0815
    >>> found = calibration_error([0.95] * 100, [True] * 80 + [False] * 20)
    >>> round(found.error, 3), found.is_found
    (0.145, True)
    """
    c, right = _rows_of(confidence, correct)
    if not ((c >= 0) & (c <= 1)).all():
        raise ValueError(f"a confidence is {c[~((c >= 0) & (c <= 1))].flat[0]}; it must be in [0, 1]")
    cells = Cells()
    cells.add(c, right)
    return cells.error(bins, level)
