"""Two classes at every threshold at once, from the cells of the evidence: rates, costs, net benefit; and what is kept against what is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration import Evidence

ROUNDING = 2.0**-29  # of the probabilities in cells

__all__ = ["Curves", "curves_of", "risk_coverage"]


@dataclass(frozen=True)
class Curves:
    """
    What comes of saying the second class from a probability on, for every cell of the evidence, from the highest down.

    Equal probabilities stay together, and so do those of one cell, a 256th of their logit wide: of 300 rows the area under the curve may be off by 0.0003.

    Attributes
    ----------
    threshold : ndarray of shape (points,)
        The mean probability of the lowest cell for which it is said; the first is above all.
    hits, false_alarms : ndarray of shape (points,)
        The weight of the rows of the second and of the first class that it is said of.
    positives, negatives : float
        The weight of all rows of the second and of the first class.
    """

    threshold: NDArray[np.float64] = field(repr=False)
    hits: NDArray[np.float64] = field(repr=False)
    false_alarms: NDArray[np.float64] = field(repr=False)
    positives: float
    negatives: float

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of the second class that is found; NaN without any."""
        return self.hits / (self.positives or math.nan)

    @property
    def false_alarm_rate(self) -> NDArray[np.float64]:
        """The share of the first class that is taken for the second."""
        return self.false_alarms / (self.negatives or math.nan)

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of those that are said to be of the second class which are; where it is said of none, that of the highest."""
        said = self.hits + self.false_alarms
        with np.errstate(invalid="ignore"):
            found = np.where(said > 0, self.hits / np.where(said > 0, said, 1), math.nan)
        if len(found) > 1:
            found[0] = found[1]
        return found

    @property
    def area(self) -> float:
        """The area under the ROC curve: how often a row of the second class has the higher probability of two; ties count half."""
        return float(np.trapezoid(self.recall, self.false_alarm_rate))

    @property
    def average_precision(self) -> float:
        """The mean precision over the rows of the second class, from the highest probability down."""
        return float((np.diff(self.recall) * self.precision[1:]).sum())

    def cost(self, false_alarm: float, miss: float) -> NDArray[np.float64]:
        """
        Return the mean cost of a row at each threshold.

        Parameters
        ----------
        false_alarm, miss : float
            What it costs to take a row of the first class for the second, and the other way round, above what the right answer costs.
        """
        return (false_alarm * self.false_alarms + miss * (self.positives - self.hits)) / (
            self.positives + self.negatives
        )

    def best(self, false_alarm: float, miss: float) -> tuple[float, float]:
        """Return the threshold of least cost for these rows, and that cost."""
        cost = self.cost(false_alarm, miss)
        k = int(cost.argmin())
        return float(self.threshold[k]), float(cost[k])

    def net_benefit(self, probability: ArrayLike) -> NDArray[np.float64]:
        """
        Return the net benefit (Vickers and Elkin, 2006) of acting from a probability on: hits less false alarms at its odds, for each row.

        Parameters
        ----------
        probability : array_like
            At which one acts, below 1: the odds are those of what a false alarm costs, to what a hit gains.
        """
        at = np.asarray(probability, np.float64)
        if not ((at >= 0) & (at < 1)).all():
            raise ValueError("a probability to act from is at least 0 and below 1")
        k = (
            np.searchsorted(-self.threshold, -at + ROUNDING, side="right") - 1
        )  # as many as have that probability or more
        odds = at / (1 - at)
        return np.asarray((self.hits[k] - self.false_alarms[k] * odds) / (self.positives + self.negatives))


def curves_of(evidence: Evidence, label: Any = None) -> Curves:
    """
    Return all thresholds of what was counted.

    Parameters
    ----------
    evidence : Evidence
        From arrays or files: :func:`sigmax.calibration.measure`.
    label : optional
        A class, against all others; by default the second of two, and of more whether the predicted class is right, which gives risk against coverage:
        see :func:`risk_coverage`.

    Returns
    -------
    Curves

    Examples
    --------
    >>> from sigmax.calibration import measure
    >>> from sigmax.decisions import curves_of
    >>> curves_of(measure([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])).area
    0.875
    """
    tally = evidence.tally(label)
    hit, miss = tally.happened[::-1], (tally.weight - tally.happened)[::-1]
    hits, alarms = (np.concatenate([[0.0], np.cumsum(part)]) for part in (hit, miss))
    threshold = np.concatenate([[math.inf], tally.p[::-1]])
    return Curves(threshold, hits, alarms, float(hits[-1]), float(alarms[-1]))


def risk_coverage(evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """
    Return how often the predicted class is wrong among the rows that are answered, over their share: the surest first.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    coverage, risk : ndarray of shape (points,)
    area : float
        The mean risk over all coverages.
    """
    tally = evidence.tally()
    p, wrong, weight = tally.p, tally.weight - tally.happened, tally.weight
    if len(evidence.classes) == 2:  # either class may be the predicted one
        wrong = np.where(p >= 0.5, wrong, tally.happened)
        p = np.maximum(p, 1 - p)
    order = np.argsort(-p, kind="stable")
    p, wrong, weight = p[order], wrong[order], weight[order]
    ends = np.append(np.diff(p) != 0, True)
    answered, errors = np.cumsum(weight)[ends], np.cumsum(wrong)[ends]
    coverage, risk = answered / answered[-1], errors / answered
    steps = np.diff(coverage, prepend=0.0)
    return coverage, risk, float((steps * risk).sum())
