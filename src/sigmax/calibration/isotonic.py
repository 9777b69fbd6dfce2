"""Probabilities that never fall as the score rises: the least squares, and the least log-loss, there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigmax.calibration.maps import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["grouped", "isotonic", "pooled"]

MOST = 1 << 16  # different scores that are told apart; beyond, they are counted in cells


def pooled(means: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the isotonic regression of means: neighbours that fall are pooled (Ayer et al., 1955).

    Parameters
    ----------
    means, weights : ndarray of shape (points,)
        In ascending order of what they belong to; weights above 0.
    """
    sums: list[float] = []
    sizes: list[float] = []
    counts: list[int] = []
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        total, size, count = mean * weight, weight, 1
        while sums and sums[-1] * size >= total * sizes[-1]:
            total, size, count = total + sums.pop(), size + sizes.pop(), count + counts.pop()
        sums.append(total)
        sizes.append(size)
        counts.append(count)
    return np.repeat(np.asarray(sums) / np.asarray(sizes), counts)


def isotonic(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]) -> Steps:
    """Fit probabilities that never fall to logits, labels of 0 or 1 and weights."""
    counted = w > 0
    at, sums, hits = grouped(z[counted], y[counted], w[counted])
    if not at.size:
        return Steps(np.zeros(1), np.full(1, 0.5))
    fitted = pooled(hits / sums, sums)
    # of a run of equal probabilities the ends are enough
    inner = np.zeros(at.size, bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Steps(at[~inner], fitted[~inner])


def grouped(
    z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the different scores in ascending order, and for each the weight of its rows, and of those of class 1."""
    if z.size > MOST:
        # the upper half of the bits of a float32 ascends with it: cells as wide as a 256th of a score
        bits = (z.astype(np.float32).view(np.uint32) >> 16).astype(np.int64)
        cell = bits ^ np.where(bits >> 15, 0xFFFF, 0x8000)
        sums = np.asarray(np.bincount(cell, w, minlength=MOST), np.float64)
        filled = np.flatnonzero(sums)
        sums = sums[filled]
        at = np.bincount(cell, w * z, minlength=MOST)[filled] / sums
        return at, sums, np.asarray(np.bincount(cell, w * y, minlength=MOST)[filled], np.float64)
    at, where = np.unique(z, return_inverse=True)
    sums, hits = (np.asarray(np.bincount(where, part, minlength=at.size), np.float64) for part in (w, w * y))
    return at, sums, hits
