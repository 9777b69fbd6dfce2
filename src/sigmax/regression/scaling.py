"""
How features are shifted and scaled as they are read, to a mean of 0 and a mean square of 1.

Nothing is copied, and coefficients and penalties are those of the features as given, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import _native

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scaling", "scaling_of"]

Floats = Any


@dataclass(frozen=True)
class Scaling:
    """
    What features are shifted and scaled by: x becomes (x - shift) * scale.

    Attributes
    ----------
    shift, scale : ndarray of shape (features,)
    mean, deviation : ndarray of shape (features,)
        Of the features, weighted; a deviation of 0 is exactly that.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def outer(self, theta: Floats) -> Floats:
        """Return coefficients of the features as given, the intercept last."""
        given = theta[:-1] * self.scale[:, None]
        return np.vstack([given, theta[-1] - self.shift @ given])

    def inner(self, coefficients: Floats) -> Floats:
        """Return those of the scaled features."""
        return np.vstack([coefficients[:-1] / self.scale[:, None], coefficients[-1] + self.shift @ coefficients[:-1]])

    def inner_penalty(self, penalty: Floats) -> Floats:
        """Return a penalty on coefficients of the features as given for those of the scaled ones; what never varies is held at 0."""
        scale = np.append(self.scale, 1.0)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            inner = np.where(penalty == 0, 0.0, penalty * scale * scale)
        if self.shift.any() or (penalty[-1] == 0).all():  # beside an intercept
            inner[:-1][self.deviation == 0] = np.inf
        return inner


def scaling_of(x: Any, weights: NDArray[np.float64], *, centred: bool) -> Scaling:
    """
    Return the scaling of features: their weighted means and deviations, found in one pass.

    Raises
    ------
    ValueError
        If a feature is NaN or infinite.
    """
    if hasattr(x, "tocsr"):
        return _scaling_of_sparse(x, weights, centred=centred)
    rows, features = x.shape
    some = np.array(x[:: max(rows // 500, 1)], np.float64, order="C")
    with np.errstate(all="ignore"):
        largest = np.abs(some).max(axis=0)
        largest = np.where(largest > 0, largest, 1.0)
        shift = (some / largest).mean(axis=0) * largest
        spread = (some / largest).std(axis=0) * largest  # squares of what is left are numbers
    same = (some == some[0]).all(axis=0)
    shift, spread = np.where(same, some[0], shift), np.where(same | ~(spread > 0), 1.0, spread)
    shift = np.where(np.isfinite(shift), shift, 0.0)
    scale = 1 / np.where(np.isfinite(spread) & np.isfinite(1 / spread), spread, 1.0)

    first, second = np.empty(features + 1), np.empty(features + 1)
    _native.feature_moments(x, shift, scale, weights, first, second)
    return _scaled(shift, scale, first, second, centred=centred)


def _scaled(shift: Floats, scale: Floats, first: Floats, second: Floats, *, centred: bool) -> Scaling:
    """Return the scaling, from sums of numbers, and of their squares, that were scaled roughly; the last is that of the weights."""
    total = first[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        m = first[:-1] / total
        square = second[:-1] / total - m * m
        mean = shift + m / scale
        deviation = np.sqrt(np.maximum(square, 0.0)) / scale
    deviation = np.where(second[:-1] == 0, 0.0, deviation)
    deviation = np.where(deviation <= 1e-14 * np.abs(mean), 0.0, deviation)
    if centred:
        usual = np.where(deviation > 0, deviation, 1.0)
        return Scaling(np.ascontiguousarray(mean), 1 / usual, mean, deviation)
    size = np.hypot(mean, deviation)
    return Scaling(np.zeros_like(mean), 1 / np.where(size > 0, size, 1.0), mean, deviation)


def _scaling_of_sparse(x: Any, weights: NDArray[np.float64], *, centred: bool) -> Scaling:
    total = float(weights.sum())
    largest = np.asarray(abs(x).max(axis=0).todense()).reshape(-1).astype(np.float64)
    scale = 1 / np.where(largest > 0, largest, 1.0)
    scaled = x.multiply(scale[None, :]).tocsr()
    first = np.append(np.asarray(scaled.T @ weights).reshape(-1), total)
    second = np.append(np.asarray(scaled.multiply(scaled).T @ weights).reshape(-1), total)
    return _scaled(np.zeros_like(scale), scale, first, second, centred=centred)
