"""The five-minute explanation, on the reader's own numbers: from scores through odds to probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sigmax.errors import InputError
from sigmax.links import sigmoid
from sigmax.rows import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ClassShare", "TwoClasses", "odds_ratio", "share_out", "two_classes", "weighted_sum"]


@dataclass(frozen=True)
class ClassShare:
    """One of many classes: what its score is worth beside the others', and alone."""

    score: float
    odds: float
    probability: float
    alone: float


@dataclass(frozen=True)
class TwoClasses:
    """A logit seen from every side."""

    logit: float
    odds: float
    ratio: tuple[int, int] | None
    probability: float
    complement: float


def share_out(scores: Sequence[float]) -> list[ClassShare]:
    """
    Return, for each of many classes, its odds e^x, its softmax probability, and a sigmoid of its score alone.

    Parameters
    ----------
    scores : sequence of float
        One score a class.

    Examples
    --------
    The softmax shares out one whole; a sigmoid of each score does not.

    >>> from sigmax.explain import share_out
    >>> classes = share_out([2.0, 1.0, 0.1])
    >>> round(sum(c.probability for c in classes), 4), round(sum(c.alone for c in classes), 4)
    (1.0, 2.1368)
    """
    x = np.asarray(scores, np.float64)
    with np.errstate(over="ignore"):
        odds = np.exp(x)
    return [ClassShare(*map(float, row)) for row in zip(x, odds, softmax(x), sigmoid(x), strict=True)]


def two_classes(logit: float) -> TwoClasses:
    """
    Return the odds, the probability and the complement of a logit.

    Examples
    --------
    >>> from math import log
    >>> from sigmax.explain import two_classes
    >>> horse = two_classes(log(3 / 8))
    >>> horse.ratio, round(horse.probability, 4)
    ((3, 8), 0.2727)
    """
    with np.errstate(over="ignore"):
        odds = float(np.exp(logit))
    return TwoClasses(logit, odds, odds_ratio(odds), float(sigmoid(logit)), float(sigmoid(-logit)))


def odds_ratio(odds: float, largest: int = 20, tolerance: float = 0.001) -> tuple[int, int] | None:
    """
    Return whole numbers up to `largest` whose ratio is `odds` within a relative `tolerance`, the smallest that fit, or None.

    Examples
    --------
    >>> from sigmax.explain import odds_ratio
    >>> odds_ratio(0.375), odds_ratio(0.3751), odds_ratio(0.38)
    ((3, 8), (3, 8), None)
    """
    if not (1 / largest <= odds <= largest):
        return None
    for denominator in range(1, largest + 1):
        ratio = Fraction(round(odds * denominator), denominator)
        if 0 < ratio.numerator <= largest and abs(float(ratio) / odds - 1) <= tolerance:
            return ratio.numerator, ratio.denominator
    return None


def weighted_sum(weights: Sequence[float], inputs: Sequence[float], bias: float = 0.0) -> float:
    """
    Return a neuron's score z = w1 x1 + ... + wn xn + b.

    Raises
    ------
    ValueError
        If there are not as many inputs as weights.

    Examples
    --------
    >>> from sigmax.explain import weighted_sum
    >>> weighted_sum([0.5, -1.0], [1.0, 0.25], 0.25)
    0.5
    """
    if len(weights) != len(inputs):
        raise InputError(f"there are {len(weights)} weights and {len(inputs)} inputs; each weight has its input")
    return math.fsum([*(w * x for w, x in zip(weights, inputs, strict=True)), bias])
