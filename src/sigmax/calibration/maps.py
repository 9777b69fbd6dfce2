"""
Fitted maps from scores to calibrated scores: plain numbers, which a JSON file holds.

A map of two classes takes the logit of the second one, of shape (rows,), and returns it calibrated; a map of more takes and returns a score for
each class, of shape (rows, classes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.links import log_sigmoid, logit
from sigmax.rows import log_softmax, logit_softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Affine", "Beta", "Between", "Map", "OneVsRest", "Polynomial", "Steps", "Tempered", "mixed", "mixed_losses"]

Floats = Any


class Map:
    """A fitted map."""

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated scores."""
        raise NotImplementedError

    def ends(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return between which probabilities of the second class, or of each, they lie: where a map knows it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Tempered(Map):
    """Scores divided by a temperature; 1 leaves them as they are, 0 makes the largest certain, infinity makes all alike."""

    temperature: float = 1.0

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        if np.isinf(self.temperature):
            return np.zeros_like(z)
        if self.temperature == 0:
            ahead = z if z.ndim == 1 else z - z.max(axis=1, keepdims=True)
            return np.where(ahead == 0, 0.0, np.copysign(np.inf, ahead))
        return z / self.temperature


@dataclass(frozen=True)
class Polynomial(Map):
    """
    Of two classes: ``shift + slope z + curve z^2``.

    Attributes
    ----------
    low, high : float
        The logits that it was fitted to; beyond them it goes on as a straight line, so that ranks are kept.
    """

    shift: float
    slope: float
    curve: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        if self.curve == 0:
            return self.shift + self.slope * z
        near = np.clip(z, self.low, self.high)
        return self.shift + (self.slope + self.curve * near) * near + (self.slope + 2 * self.curve * near) * (z - near)


@dataclass(frozen=True)
class Beta(Map):
    """Of two classes: ``shift + yes log p - no log(1 - p)``."""

    shift: float
    yes: float
    no: float

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.asarray(self.shift + self.yes * log_sigmoid(z) - self.no * log_sigmoid(-z))


@dataclass(frozen=True)
class Steps(Map):
    """
    Of two classes: probabilities that never fall, at some logits; straight lines between them.

    Attributes
    ----------
    at : ndarray of shape (knots,)
        Logits, ascending.
    probability : ndarray of shape (knots,)
    """

    at: NDArray[np.float64] = field(repr=False)
    probability: NDArray[np.float64] = field(repr=False)

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        with np.errstate(divide="ignore"):
            return np.asarray(logit(np.interp(z, self.at, self.probability)))


@dataclass(frozen=True)
class Between(Map):
    """
    Of two classes: what a row of either class would be given, which never falls; and one probability between both.

    Attributes
    ----------
    at : ndarray of shape (knots,)
        Logits, ascending.
    if_zero : ndarray of shape (knots + 1,)
        The probability of the second class if the row is of the first: below the first knot, from it on, from the next one on.
    if_one : ndarray of shape (knots + 1,)
        The same if it is of the second: up to the first knot, up to the next one, above all.
    """

    at: NDArray[np.float64] = field(repr=False)
    if_zero: NDArray[np.float64] = field(repr=False)
    if_one: NDArray[np.float64] = field(repr=False)

    def ends(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: D102
        return (
            self.if_zero[np.searchsorted(self.at, z, side="right")],
            self.if_one[np.searchsorted(self.at, z, side="left")],
        )

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        low, high = self.ends(z)  # p = high / (1 - low + high), whose odds are
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(high) - np.log1p(-low))


@dataclass(frozen=True)
class Affine(Map):
    """
    Of many classes: with s = z / temperature, ``s + W (s - mean s) + bias``.

    Attributes
    ----------
    temperature : float
    weights : ndarray of shape (classes,) or (classes, classes)
        W, or its diagonal; column k is what class k takes from the others.
    bias : ndarray of shape (classes,)
    centred : bool
        Whether s less its mean is meant; the logarithms of its softmax otherwise.
    """

    temperature: float
    weights: NDArray[np.float64] = field(repr=False)
    bias: NDArray[np.float64] = field(repr=False)
    centred: bool = True

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        s = z / self.temperature
        s = s - s.mean(axis=1, keepdims=True) if self.centred else np.asarray(log_softmax(s))
        return s + (s * self.weights if self.weights.ndim == 1 else s @ self.weights) + self.bias


@dataclass(frozen=True)
class OneVsRest(Map):
    """Of many classes: a map of two for each class against all others, and shares of the whole."""

    maps: tuple[Map, ...]

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        each = np.asarray(logit_softmax(z))
        return np.column_stack([log_sigmoid(of(each[:, k])) for k, of in enumerate(self.maps)])

    def ends(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: D102
        each = np.asarray(logit_softmax(z))
        ends = [of.ends(each[:, k]) for k, of in enumerate(self.maps)]
        return np.column_stack([low for low, _ in ends]), np.column_stack([high for _, high in ends])


def mixed(z: NDArray[np.float64], rows: float) -> NDArray[np.float64]:
    """
    Return the scores of probabilities of which one part in rows + 1 is shared out evenly: what n rows have not shown is not impossible.

    Of two classes logits, of more log-probabilities.
    """
    part = 1 / (rows + 1)
    if z.ndim == 1:
        own, even = np.log1p(-part), np.log(part / 2)
        return np.asarray(
            np.logaddexp(log_sigmoid(z) + own, even) - np.logaddexp(log_sigmoid(-z) + own, even), dtype=np.float64
        )
    return np.asarray(np.logaddexp(np.asarray(log_softmax(z)) + np.log1p(-part), np.log(part / z.shape[1])))


def mixed_losses(losses: NDArray[np.float64], rows: float, classes: int) -> NDArray[np.float64]:
    """Return the log-losses of what :func:`mixed` makes of scores, from those of the scores."""
    part = 1 / (rows + 1)
    return np.asarray(-np.logaddexp(np.log1p(-part) - losses, np.log(part / classes)), dtype=np.float64)
