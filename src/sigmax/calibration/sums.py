"""Means of rows, with their intervals, from sums that are exact: any batches, in any order, give the same bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ExactSum", "Mean", "RowMean"]

PLACES = 80  # binary places of a sum
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Mean:
    """
    A mean over rows.

    Attributes
    ----------
    mean : float
    low, high : float
        Its 95 % interval over samples of as many rows.
    """

    mean: float
    low: float
    high: float


class ExactSum:
    """A sum of numbers from 0 on to 80 binary places, in whole numbers; infinite ones are counted beside it."""

    def __init__(self) -> None:
        self.units = 0  # of 2^-80
        self.infinite = 0

    def add(self, x: NDArray[np.float64]) -> None:
        """Add some."""
        large = ~(x < 2.0**30)
        if large.any():
            whole = np.floor(x[large & (x < math.inf)])
            self.infinite += int(large.sum()) - whole.size
            self.units += sum(int(v) << PLACES for v in whole.tolist())
            x = np.concatenate([x[~large], x[large & (x < math.inf)] - whole])
        for places in (20, 50, 80):
            units = np.floor(x * 2.0**places) if places < PLACES else np.rint(x * 2.0**places)
            x = x - units * 2.0**-places
            self.units += int(units.astype(np.int64).sum()) << (PLACES - places)

    @property
    def value(self) -> float:
        """The sum, rounded once."""
        return math.inf if self.infinite else self.units / (1 << PLACES)

    def merge(self, state: list[int]) -> None:
        """Add what was summed elsewhere."""
        self.units += state[0]
        self.infinite += state[1]

    def state(self) -> list[int]:
        """Return the sum as JSON has it."""
        return [self.units, self.infinite]


class RowMean:
    """The mean of a number of each row, weighted or not, and how sure it is."""

    NAMES = ("weight", "sum", "squares", "cross", "square_weights")

    def __init__(self) -> None:
        self.rows = 0
        self._sums = {name: ExactSum() for name in self.NAMES}

    def add(self, x: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> None:
        """Count rows, whose numbers are not negative."""
        w = np.ones(len(x)) if weights is None else weights
        wx = np.where(w > 0, w * np.where(w > 0, x, 0), 0)  # a row of weight 0 may have an infinite loss
        self.rows += int((w > 0).sum())
        with np.errstate(over="ignore"):
            for name, part in zip(self.NAMES, (w, wx, wx * wx, wx * w, w * w), strict=True):
                self._sums[name].add(part)

    @property
    def infinite(self) -> int:
        """How many of the numbers are infinite."""
        return self._sums["sum"].infinite

    @property
    def mean(self) -> Mean:
        """The mean with its interval; NaN without rows."""
        weight, total, squares, cross, square_weights = (self._sums[name].value for name in self.NAMES)
        if not weight:
            return Mean(math.nan, math.nan, math.nan)
        mean = total / weight
        if not math.isfinite(mean) or self.rows < 2:
            return Mean(mean, -math.inf, math.inf)
        # the sum of the squares of weight times distance from the mean
        spread = max(squares - 2 * mean * cross + mean * mean * square_weights, 0.0)
        half = Z * math.sqrt(spread * self.rows / (self.rows - 1)) / weight
        return Mean(mean, mean - half, mean + half)

    def state(self) -> dict[str, Any]:
        """Return the sums as JSON has them."""
        return {"rows": self.rows, **{name: total.state() for name, total in self._sums.items()}}

    def merge(self, state: dict[str, Any]) -> None:
        """Add what was counted elsewhere."""
        self.rows += state["rows"]
        for name, total in self._sums.items():
            total.merge(state[name])
