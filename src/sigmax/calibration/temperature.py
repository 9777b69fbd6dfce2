"""The temperature of the least log-loss: exact at every scale of the scores, and exact about there being none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sigmax.links import sigmoid
from sigmax.parts import in_parts
from sigmax.rows import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["best_temperature"]

SAMPLE = 20_000  # rows to find a start with


def best_temperature(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64] | None = None) -> float:
    """
    Return the temperature T of the least mean of ``lse(z / T) - z_y / T``.

    Parameters
    ----------
    z : ndarray of shape (rows,) or (rows, classes)
        Logits of the second of two classes; or a score for each class. Finite.
    y : ndarray of int of shape (rows,)
        Class numbers.
    w : ndarray of shape (rows,), optional
        What each row counts for.

    Returns
    -------
    float
        0 where every row's class has its largest score: the loss falls for ever as T does. Infinity where the classes' scores are on
        average no larger than the others'.

    Notes
    -----
    Convex in b = 1 / T. Newton's method from one over the scores' spread, which does not depend on their scale, kept inside a bracket by
    the sign of the slope; on many rows from the solution for some of them. Seven steps are usual.
    """
    counted = None if w is None else w > 0
    if counted is not None and not counted.all():
        z, y, w = z[counted], y[counted], w[counted]  # type: ignore[index]
    if not len(y):
        return 1.0
    scale = max(float(z.max()), -float(z.min()))
    if scale > 1e100 or 0 < scale < 1e-100:  # whose squares are no numbers
        return best_temperature(z / scale, y, w) * scale
    if z.ndim == 1:
        own = np.where(y == 1, z, -z)
        if not (own < 0).any():
            return 0.0 if (own > 0).any() else 1.0
        mean = float(np.average(own, weights=w)) / 2
        size = float(np.sqrt(np.average(z * z, weights=w)))
    else:
        found = in_parts(lambda part: _ahead(z[part], y[part]), *z.shape)
        behind, ahead, wide = (np.concatenate(of) for of in zip(*found, strict=True))
        if not (behind > 0).any():
            return 0.0 if (wide > 0).any() else 1.0
        mean, size = (float(np.average(of, weights=w)) for of in (ahead, wide))
    if mean <= 0:
        return math.inf
    b = 1 / size
    if len(y) > 4 * SAMPLE:
        step = len(y) // SAMPLE
        some = best_temperature(z[::step], y[::step], None if w is None else w[::step])
        b = 1 / some if 0 < some < math.inf else b
    return 1 / _newton(z, y, w, b)


def _newton(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64] | None, b: float) -> float:
    low, high = 0.0, math.inf
    for _ in range(200):
        slope, curvature = _slope(z, y, w, b)
        step = slope / curvature if curvature > 0 else math.copysign(math.inf, slope)
        if slope == 0 or abs(step) <= 1e-8 * b:  # the next error goes with the square of this step
            return b if slope == 0 else b - step
        low, high = (b, high) if slope < 0 else (low, b)
        after = b - step
        if not low < after < high:
            after = math.sqrt(low * high) if low > 0 and high < math.inf else b * 8 if slope < 0 else b / 8
        if high < math.inf and high - low <= 4e-16 * high:
            return after
        b = after
    return b


def _slope(
    z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64] | None, b: float
) -> tuple[float, float]:
    """Return the first and second derivative of the sum of losses by b, a part of the rows after the other."""

    def of(part: slice) -> tuple[float, float]:
        x, own = z[part], y[part]
        if z.ndim == 1:
            p = np.asarray(sigmoid(b * x))
            first, second = (p - own) * x, p * (1 - p) * x * x
        else:
            p = np.asarray(softmax(b * x) if b < 1e150 else softmax(x, temperature=1 / b))
            x = x - x[np.arange(len(own)), own][:, None]  # the label's own score is 0: small sums keep their digits
            p *= x
            first = np.einsum("ij->i", p)
            second = np.einsum("ij,ij->i", p, x) - first * first
        if w is None:
            return float(first.sum()), float(second.sum())
        return float(w[part] @ first), float(w[part] @ second)

    found = in_parts(of, len(y), 1 if z.ndim == 1 else z.shape[1])
    return math.fsum(slope for slope, _ in found), math.fsum(curvature for _, curvature in found)


def _ahead(z: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Return how far each row's class is behind the largest score, and ahead of the mean, and how far apart the scores are."""
    own, columns = z[np.arange(len(y)), y], np.ascontiguousarray(z.T)
    top = columns.max(axis=0)
    return top - own, own - columns.mean(axis=0), top - columns.min(axis=0)
