"""The reliability of probabilities as it is, without bins: the isotonic line, its band, and what it makes of a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sigmax.calibration.isotonic import pooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.calibration.cells import Tally

__all__ = ["Decomposition", "ReliabilityLine", "decomposed", "reliability_line"]

DRAWS = 400  # of outcomes, for the band
POINTS = 200  # of the band: neighbours are counted together


@dataclass(frozen=True)
class ReliabilityLine:
    """
    How often it happened over how probable it was said to be: the line that never falls and fits best (CORP).

    Attributes
    ----------
    probability, share : ndarray of shape (points,)
        The corners of the line.
    at, low, high : ndarray of shape (some,)
        Between which shares the line of a calibrated model lies at some probabilities, each in 95 of 100 cases.
    """

    probability: NDArray[np.float64] = field(repr=False)
    share: NDArray[np.float64] = field(repr=False)
    at: NDArray[np.float64] = field(repr=False)
    low: NDArray[np.float64] = field(repr=False)
    high: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class Decomposition:
    """
    A mean loss in three parts: ``miscalibration - discrimination + uncertainty``.

    Attributes
    ----------
    miscalibration : float
        What the best line that never falls would take off the loss: about 0 for probabilities that hold.
    discrimination : float
        What that line gains on saying the same of every row.
    uncertainty : float
        The loss of always saying how often it happens.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def reliability_line(tally: Tally, *, level: float = 0.95) -> ReliabilityLine:
    """Return the isotonic line of what was counted, and the band in which it lies if the probabilities hold."""
    if not tally.p.size:
        return ReliabilityLine(*(np.empty(0),) * 5)
    share = pooled(tally.happened / tally.weight, tally.weight)
    corner = np.ones(share.size, bool)
    corner[1:-1] = (share[1:-1] != share[:-2]) | (share[1:-1] != share[2:])
    few = tally.joined(POINTS)
    rows = np.maximum(np.rint(few.weight**2 / few.squares), 1).astype(np.int64)  # as many rows of weight 1 tell as much
    drawn = np.random.default_rng(0).binomial(rows, np.clip(few.p, 0, 1), (DRAWS, few.p.size)) / rows
    lines = np.sort([pooled(line, few.weight) for line in drawn], axis=0)
    ends = (np.quantile(lines, q, axis=0) for q in ((1 - level) / 2, (1 + level) / 2))
    return ReliabilityLine(tally.p[corner], share[corner], few.p, *ends)


def decomposed(tally: Tally, brier: float, log_loss: float) -> tuple[Decomposition, Decomposition]:
    """
    Return the parts of a Brier score and of a log-loss of two classes.

    The line says 0 or 1 at its ends, which a log-loss cannot take: there 1 row of n + 1 is taken for one that was drawn from both alike.
    """
    whole = float(tally.weight.sum())
    share = pooled(tally.happened / tally.weight, tally.weight)
    often = tally.share
    rows = whole**2 / float(tally.squares.sum())
    mixed = (rows * share + 0.5) / (rows + 1)
    hit, not_hit = tally.happened, tally.weight - tally.happened
    best = float((hit * (1 - share) ** 2 + not_hit * share**2).sum()) / whole
    fitted = -float((hit * np.log(mixed) + not_hit * np.log1p(-mixed)).sum()) / whole
    always = -sum(q * math.log(q) for q in (often, 1 - often) if q > 0)
    return (
        Decomposition(brier - best, often * (1 - often) - best, often * (1 - often)),
        Decomposition(log_loss - fitted, always - fitted, always),
    )
