"""The smooth calibration error: no bins, and continuous in what is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.calibration.cells import Tally

__all__ = ["smooth_error"]

GRID = 4096  # parts of [0, 1]
WIDTHS = 30  # that are tried: half as far from the right one each time


def smooth_error(tally: Tally) -> float:
    """
    Return the smooth calibration error of what was counted (Blasiok and Nakkiran, "Smooth ECE", ICLR 2024).

    Outcomes less probabilities are smoothed by a normal kernel that is reflected at 0 and 1, as wide as the error itself.
    """
    whole = float(tally.weight.sum())
    if not whole:
        return float("nan")
    residual = (tally.happened - tally.p * tally.weight) / whole
    at = tally.p * GRID
    left = np.minimum(at.astype(np.int64), GRID - 1)
    part = at - left
    on_grid = np.bincount(left, residual * (1 - part), GRID + 1) + np.bincount(left + 1, residual * part, GRID + 1)
    # a cosine series is what is reflected at both ends; a normal kernel shrinks its terms
    mirrored = np.concatenate([on_grid, on_grid[-2:0:-1]])
    mirrored[0] *= 2
    mirrored[GRID] *= 2
    series = np.fft.rfft(mirrored)
    frequency = np.pi * np.arange(series.size, dtype=np.float64)
    low, high = 0.0, 1.0
    for _ in range(WIDTHS):
        width = (low + high) / 2
        if _distance(series, frequency, width) < width:
            high = width
        else:
            low = width
    return (low + high) / 2


def _distance(series: NDArray[np.complex128], frequency: NDArray[np.float64], width: float) -> float:
    """Return the whole of the smoothed residuals, without their signs."""
    smoothed = np.fft.irfft(series * np.exp(-0.5 * (frequency * width) ** 2))[: GRID + 1]
    return float(np.abs(smoothed[1:-1]).sum() + (abs(smoothed[0]) + abs(smoothed[-1])) / 2)
