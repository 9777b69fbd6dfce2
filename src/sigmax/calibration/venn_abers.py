"""Venn-Abers prediction: the isotonic regression with each label that a new row could have, for all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigmax.calibration.isotonic import grouped
from sigmax.calibration.maps import Between

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["venn_abers"]


def venn_abers(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]) -> Between:
    """
    Fit to logits, labels of 0 or 1 and weights; a new row counts 1.

    For every score between two of the fit it is known beforehand what the isotonic regression would say of a row there of class 0, and of
    class 1 (Vovk, Petej and Fedorova, "Large-scale probabilistic predictors with and without guarantees of validity", NIPS 2015).
    """
    counted = w > 0
    at, sums, hits = grouped(z[counted], y[counted], w[counted])
    if_one = _if_one(sums, hits)
    if_zero = (
        1 - _if_one(sums[::-1], (sums - hits)[::-1])[::-1]
    )  # the same with both classes, and the scores, turned round
    return Between(at, if_zero, if_one)


def _if_one(weights: NDArray[np.float64], hits: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return what the regression says of a row of class 1 up to each score, and of one above all.

    It is the slope of the greatest convex minorant of the points (weight so far, hits so far) and one that lies (1, 1) before the first;
    from score to score one point moves past another, and only the minorant's left end changes.
    """
    points = [(0.0, 0.0), *zip(np.cumsum(weights).tolist(), np.cumsum(hits).tolist(), strict=True)]
    before = (-1.0, -1.0)
    corners: list[tuple[float, float]] = []
    for point in (before, *points):
        while len(corners) > 1 and not _turns_left(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    corners.reverse()  # the leftmost is the last now
    slopes = []
    for i in range(1, len(points)):
        (x0, y0), (x1, y1) = corners[-1], corners[-2]
        slopes.append((y1 - y0) / (x1 - x0))
        # the new row stands behind this score from now on: the point before it moves by its weight and hits
        moved = (before[0] + points[i][0] - points[i - 1][0], before[1] + points[i][1] - points[i - 1][1])
        before = moved
        if (moved[1] - y0) * (x1 - x0) >= (y1 - y0) * (moved[0] - x0):
            continue
        corners.pop()
        while len(corners) > 1 and not _turns_left(moved, corners[-1], corners[-2]):
            corners.pop()
        corners.append(moved)
    return np.asarray([*slopes, 1.0])


def _turns_left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - b[1]) > (b[1] - a[1]) * (c[0] - b[0])
