"""Is it calibrated? A test of the hypothesis that outcomes were drawn with the probabilities that a model gives."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.cells import Tally
from sigmax.calibration.reliability import confidence_of
from sigmax.inputs import check_rows
from sigmax.links import logit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CalibrationTest", "calibration_test", "p_value_of"]

MANY = 200.0  # variance of all outcomes from which both statistics have their laws
DRAWN, DRAWS = 100_000, 999  # below it: the rows for which outcomes are drawn, and how often
FEWEST = 5.0  # variance of the outcomes of a bin: below, a square of a normal number does not stand for them


@dataclass(frozen=True)
class CalibrationTest:
    """
    What the rows say against calibration.

    Attributes
    ----------
    p_value : float
        How often outcomes drawn with the given probabilities look as far from them as these, or farther. NaN without rows.
    parts : dict of str to float
        The p-value of each hypothesis of which this one is made, before the correction for their number: of many classes 'top label', and each
        class against the rest by its number.
    rows : int
    """

    p_value: float
    parts: dict[str, float] = field(repr=False)
    rows: int

    @classmethod
    def of_parts(cls, parts: dict[str, float], rows: int) -> CalibrationTest:
        """Return the test of all hypotheses together, the smallest p-value corrected for their number."""
        return cls(min(1.0, min(parts.values()) * len(parts)) if rows else math.nan, parts, rows)

    def is_rejected(self, level: float = 0.05) -> bool:
        """Return whether calibration is rejected: of calibrated models one in 20 is, at a level of 0.05."""
        return self.p_value <= level

    def __str__(self) -> str:
        if not self.rows:
            return "no rows to tell by"
        told = f"p = {self.p_value:.3g}" if self.p_value >= 1e-4 else "p < 0.0001"
        return (
            f"calibration is rejected ({told})"
            if self.is_rejected()
            else f"nothing speaks against calibration ({told})"
        )


def calibration_test(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> CalibrationTest:
    """
    Test whether labels were drawn with the given probabilities.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second.
    labels : array_like of int of shape (rows,)
        The true classes, by number from 0.
    bins : int, default 15
        Runs of probability with an equal part of the rows each, of the second of the two tests.

    Returns
    -------
    CalibrationTest

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or the labels do not fit.

    Notes
    -----
    Of two classes two statistics, and twice the smaller p-value: a score test of the logit z against b + (1 + a) z + c z^2 (three degrees of freedom),
    which sees what a curve could mend, and the sum over bins of the squared excess of outcomes over their variance, which sees what it could
    not. Both take the variance that the probabilities claim, p (1 - p): nothing is fitted. Where all of it is less than 200, the smaller p-value is
    compared with those of 999 outcomes drawn with these probabilities, each time the same. Of more classes the top label and each class against
    the rest are tested so, and the smallest p-value is corrected for their number (Holm). Bins whose outcomes
    vary too little are put together; where all together do, the rarer outcomes are counted against Poisson's law.

    Examples
    --------
    >>> import numpy as np
    >>> from sigmax.calibration import calibration_test
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(2000)
    >>> y = (rng.random(2000) < p).astype(int)
    >>> print(calibration_test(p, y))
    nothing speaks against calibration (p = 0.518)
    >>> print(calibration_test(p**2, y))
    calibration is rejected (p < 0.0001)
    """
    if bins < 1:
        raise ValueError(f"{bins} bins; there must be at least 1")
    check_rows(probabilities=probabilities, labels=labels)
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels)
    confidence, correct = confidence_of(p, y)
    if correct is None:
        raise ValueError("a test needs the labels")
    if p.ndim == 2 and p.shape[1] == 2:
        p = p[:, 1]
    if p.ndim == 1:
        parts = {"": p_value_of(Tally.of_rows(p, y == 1), bins)}
    else:
        parts = {"top label": p_value_of(Tally.of_rows(confidence, correct), bins)}
        parts |= {str(k): p_value_of(Tally.of_rows(p[:, k], y == k), bins) for k in range(p.shape[1])}
    return CalibrationTest.of_parts(parts, int(y.size))


def p_value_of(tally: Tally, bins: int = 15) -> float:
    """
    Return how often outcomes drawn with the given probabilities look as far from them as those that were counted, or farther.

    Of weighted rows too few to have the laws of both statistics it is 1: nothing is drawn for them.
    """
    p = tally.p
    if ((p == 0) & (tally.happened > 0)).any() or ((p == 1) & (tally.happened < tally.weight)).any():
        return 0.0  # the impossible
    # weights in a unit in which they sum up to as many as their squares: to the rows that would tell as much
    unit = tally.weight.sum() / tally.squares.sum() if tally.squares.any() else 1.0
    variance = tally.squares * unit**2 * p * (1 - p)
    whole = float(variance.sum())
    if whole < FEWEST:
        if tally.is_weighted:
            return 1.0
        rarer = np.where(p > 0.5, tally.weight - tally.happened, tally.happened)
        return _poisson(int(rarer.sum()), float((np.minimum(p, 1 - p) * tally.weight).sum()))
    ends = _ends(tally.rows, variance, bins)
    found = _smaller(p, variance, (tally.happened - p * tally.weight)[None, :] * unit, ends)[0]
    if whole >= MANY or tally.is_weighted or tally.rows.sum() > DRAWN:
        return min(1.0, 2 * float(found))
    # so few outcomes that neither statistic has its law: beside those of outcomes that are drawn with these probabilities
    rng = np.random.default_rng(0)
    drawn = np.concatenate(
        [_smaller(p, variance, _drawn(rng, tally, step) - p * tally.weight, ends) for step in _steps(DRAWS, p.size)]
    )
    return (1 + int((drawn <= found * (1 + 1e-9)).sum())) / (DRAWS + 1)


def _drawn(rng: np.random.Generator, tally: Tally, times: int) -> NDArray[Any]:
    """Return how often it happens in each of so many drawings."""
    if tally.rows.max(initial=1) == 1:
        return rng.random((times, tally.p.size)) < tally.p
    return rng.binomial(tally.rows, tally.p, (times, tally.p.size))


def _steps(draws: int, rows: int) -> list[int]:
    """Return how many draws to make at once: no more than some million numbers."""
    most = max((1 << 22) // rows, 1)
    return [min(most, draws - begin) for begin in range(0, draws, most)]


def _smaller(
    p: NDArray[np.float64], variance: NDArray[np.float64], excess: NDArray[np.float64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the smaller of both p-values for each line of outcomes less probabilities, in ascending order of these."""
    sums, sizes = np.add.reduceat(excess, ends, axis=1), np.add.reduceat(variance, ends)
    of_bins = (sums**2 / sizes).sum(axis=1)
    of_curve, degrees = _score_test(p, excess, variance)
    both = zip(of_curve.tolist(), of_bins.tolist(), strict=True)
    return np.array([min(_chi_square(a, degrees), _chi_square(b, len(ends))) for a, b in both])


def _ends(rows: NDArray[np.int64], variance: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return where bins begin that hold an equal part of the rows each, and enough variance."""
    counted = rows.cumsum()
    whole = np.concatenate([[0.0], np.cumsum(variance)])
    begins = [0]
    for k in range(1, bins):
        at = int(np.searchsorted(counted, int(counted[-1]) * k // bins, side="right"))
        if whole[at] - whole[begins[-1]] >= FEWEST and whole[-1] - whole[at] >= FEWEST:
            begins.append(at)
    return np.asarray(begins)


def _score_test(
    p: NDArray[np.float64], excess: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """Return the statistic of each line, and its degrees of freedom."""
    counted = variance > 0
    z = np.asarray(logit(p[counted]))
    weight = variance[counted]
    middle = float(np.average(z, weights=weight))
    size = math.sqrt(float(np.average((z - middle) ** 2, weights=weight))) or 1.0
    z = (z - middle) / size
    features = np.stack([np.ones_like(z), z, z * z])
    values, vectors = np.linalg.eigh((features * weight) @ features.T)
    kept = values > 1e-10 * values[-1]  # of a single score there is one direction
    along = excess[:, counted] @ features.T @ vectors[:, kept]
    return (along**2 / values[kept]).sum(axis=1), int(kept.sum())


def _chi_square(x: float, degrees: int) -> float:
    """Return how often a chi-square of so many degrees of freedom is larger than x: a finite sum."""
    half = x / 2
    if degrees % 2 == 0:
        term = total = math.exp(-half)
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return min(total, 1.0)
    total = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for k in range(1, (degrees - 1) // 2 + 1):
        total += term
        term *= half / (k + 0.5)
    return min(total, 1.0)


def _poisson(count: int, mean: float) -> float:
    """Return how often a count of Poisson's law is as far out as this, on its side, twice."""
    term, below = math.exp(-mean), 0.0
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    at_least, at_most = 1 - below, below + term
    return min(1.0, 2 * min(max(at_least, 0.0), at_most))
