"""Two classes at every threshold: how many rows of each class lie above it, counted batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decision", "Thresholds"]

SHOWN = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # probabilities
FINE, FARTHEST = 200, 40.0  # cells to a logit, and the logit up to which there are cells
MOST_POINTS = 400  # of a curve


@dataclass(frozen=True)
class Decision:
    """What comes of it to say the second class from a probability on: rows by what they are and what is said of them."""

    threshold: float
    hits: int
    false_alarms: int
    misses: int
    rest: int

    @property
    def precision(self) -> float:
        """The share of those that are said to be of the second class which are; NaN where it is said of none."""
        said = self.hits + self.false_alarms
        return self.hits / said if said else math.nan

    @property
    def recall(self) -> float:
        """The share of the second class that is found."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else math.nan

    @property
    def false_alarm_rate(self) -> float:
        """The share of the first class that is taken for the second."""
        return self.false_alarms / (self.false_alarms + self.rest) if self.false_alarms + self.rest else math.nan

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        whole = 2 * self.hits + self.false_alarms + self.misses
        return 2 * self.hits / whole if whole else math.nan


class Thresholds:
    """Counts of both classes by their logit, and by the probabilities that are shown."""

    def __init__(self) -> None:
        self._cells = np.zeros((2, 2 * int(FINE * FARTHEST) + 1), np.int64)
        self._between = np.zeros((2, len(SHOWN) + 1), np.int64)

    def see(
        self, scores: NDArray[Any], probability: NDArray[Any], labels: NDArray[np.int64], temperature: float
    ) -> None:
        """Count rows: their scores (one or two lines), the probability of the second class, and their class."""
        x = scores.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            logit = (x[0] if len(x) == 1 else x[1] - x[0]) / temperature
        logit = np.clip(np.nan_to_num(logit, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST), -FARTHEST, FARTHEST)
        cells = np.rint((logit + FARTHEST) * FINE).astype(np.int64)
        above = np.searchsorted(SHOWN, probability, side="right")
        for k in range(2):
            self._cells[k] += np.bincount(cells[labels == k], minlength=self._cells.shape[1])
            self._between[k] += np.bincount(above[labels == k], minlength=len(SHOWN) + 1)

    @property
    def decisions(self) -> list[Decision]:
        """What comes of each of the thresholds that are shown."""
        above = self._between[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        negatives, positives = self._between.sum(axis=1)
        return [
            Decision(t, int(hits), int(alarms), int(positives - hits), int(negatives - alarms))
            for t, alarms, hits in zip(SHOWN, *above, strict=True)
        ]

    def _curve(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the false alarms and the hits from the highest threshold down to the lowest."""
        filled = self._cells[:, self._cells.any(axis=0)][:, ::-1]
        alarms, hits = (np.concatenate([[0], line.cumsum()]) for line in filled)
        return alarms, hits

    @property
    def area(self) -> float:
        """The area under the ROC curve: how often a row of the second class has the higher score of two; NaN without both classes."""
        alarms, hits = self._curve()
        return float(np.trapezoid(hits, alarms) / (alarms[-1] * hits[-1])) if alarms[-1] and hits[-1] else math.nan

    @property
    def average_precision(self) -> float:
        """The mean precision over the rows of the second class, taken from the highest score down."""
        alarms, hits = self._curve()
        if not hits[-1]:
            return math.nan
        return float((np.diff(hits) * (hits / np.maximum(hits + alarms, 1))[1:]).sum() / hits[-1])

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Return points of both curves: false_alarm_rate, recall and precision."""
        alarms, hits = self._curve()
        chosen = np.unique(np.linspace(0, hits.size - 1, min(hits.size, MOST_POINTS)).round().astype(int))
        alarms, hits = alarms[chosen], hits[chosen]
        precision = np.where(hits + alarms > 0, hits / np.maximum(hits + alarms, 1), np.nan)
        precision[0] = precision[1] if precision.size > 1 else 1.0
        return {
            "false_alarm_rate": alarms / max(alarms[-1], 1),
            "recall": hits / max(hits[-1], 1),
            "precision": precision,
        }
