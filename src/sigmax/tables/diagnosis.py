"""What a labelled score file tells of its model: counted batch by batch, beside the summary."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.tables.errors import TableError
from sigmax.tables.thresholds import Thresholds

if TYPE_CHECKING:
    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan

__all__ = ["ClassFigures", "Diagnosis", "WorstRow"]


@dataclass(frozen=True, order=True)
class WorstRow:
    """A row whose label the model thought improbable."""

    loss: float
    row: int  # from 1
    label: str
    prediction: str
    label_probability: float
    confidence: float
    others: tuple[tuple[str, str], ...]  # the file's other columns

    @property
    def is_right(self) -> bool:
        """Whether it was predicted right all the same."""
        return self.prediction == self.label


@dataclass(frozen=True)
class ClassFigures:
    """One class: its rows, how many were predicted, how many of its rows were right, and how sure the model was of them."""

    name: str
    rows: int
    predicted: int
    right: int
    mean_confidence: float

    @property
    def recall(self) -> float:
        """The share of its rows that were predicted right."""
        return self.right / self.rows if self.rows else math.nan

    @property
    def precision(self) -> float:
        """The share of its predictions that were right."""
        return self.right / self.predicted if self.predicted else math.nan


class Diagnosis:
    """
    Confusion, Brier score, figures by class, and the rows with the largest loss.

    Parameters
    ----------
    plan : Plan
        The classes and the label's column.
    keep : int
        How many of the worst rows to keep.
    """

    def __init__(self, plan: Plan, keep: int = 20) -> None:
        if plan.kind == "multilabel":
            raise TableError("a report shows one class a row: use --kind softmax or sigmoid")
        if plan.label is None:
            raise TableError("a report needs the true classes: name their column with --label")
        if keep < 0:
            raise TableError(f"{keep} of the worst rows are asked for; give 0 or more")
        k = len(plan.classes)
        self.plan = plan
        self._pairs: Counter[tuple[int, int]] = Counter()  # rows by true and predicted class; most pairs have none
        self._rows, self._predicted, self._right = (np.zeros(k, np.int64) for _ in range(3))
        self._keep = keep
        self._confidence = np.zeros(k)
        self._squares: list[float] = []
        self._worst: list[WorstRow] = []
        self.thresholds = Thresholds() if k == 2 else None  # of two classes

    def see(self, seen: ScoredBatch) -> None:
        """Count the labelled rows of a batch."""
        k = len(self.plan.classes)
        known = np.flatnonzero(seen.labels >= 0)
        y, guess, p = seen.labels[known], seen.predicted[known], seen.probability[:, known].astype(np.float64)
        batch, loss = seen.batch, seen.loss
        pairs, counts = np.unique(y * k + guess, return_counts=True)
        self._pairs.update({divmod(int(pair), k): int(count) for pair, count in zip(pairs, counts, strict=True)})
        self._rows += np.bincount(y, minlength=k)
        self._predicted += np.bincount(guess, minlength=k)
        self._right += np.bincount(y[y == guess], minlength=k)
        self._confidence += np.bincount(y, p.max(axis=0), minlength=k)
        if self.thresholds is not None:
            self.thresholds.see(seen.scores[:, known], p[1], y, self.plan.temperature)
        of_label = p[y, np.arange(y.size)]
        self._squares.append(float((p * p).sum() - 2 * of_label.sum() + y.size))
        for i in np.argsort(-loss, kind="stable")[: self._keep]:
            if len(self._worst) == self._keep and not loss[i] > self._worst[0].loss:
                break
            others = [
                (f.name, _text(batch.column(f.name)[int(known[i])].as_py()))
                for f in batch.schema
                if f.name not in self.plan.columns and f.name != self.plan.label
            ]
            row = WorstRow(
                float(loss[i]),
                seen.first_row + int(known[i]),
                self.plan.classes[y[i]],
                self.plan.classes[guess[i]],
                float(of_label[i]),
                float(p[:, i].max()),
                tuple(others),
            )
            if len(self._worst) < self._keep:
                heapq.heappush(self._worst, row)
            else:
                heapq.heapreplace(self._worst, row)

    @property
    def rows(self) -> int:
        """Rows with a label."""
        return int(self._rows.sum())

    @property
    def right(self) -> int:
        """Rows that were predicted right."""
        return int(self._right.sum())

    @property
    def confusion(self) -> list[list[int]]:
        """The confusion matrix: a line for each true class, a number for each predicted one. For few classes; see `confusions`."""
        k = range(len(self.plan.classes))
        return [[self._pairs[i, j] for j in k] for i in k]

    @property
    def brier(self) -> float:
        """Mean squared distance of the probabilities from the label's 0 and 1, summed over classes; halved for two classes."""
        if not self.rows:
            return math.nan
        return math.fsum(self._squares) / self.rows / (2 if len(self.plan.classes) == 2 else 1)

    @property
    def classes(self) -> list[ClassFigures]:
        """Figures of every class."""
        rows, predicted, right = self._rows, self._predicted, self._right
        return [
            ClassFigures(name, int(n), int(m), int(r), float(c / n) if n else math.nan)
            for name, n, m, r, c in zip(self.plan.classes, rows, predicted, right, self._confidence, strict=True)
        ]

    @property
    def worst(self) -> list[WorstRow]:
        """The rows with the largest loss, the worst first."""
        return sorted(self._worst, key=lambda r: (-r.loss, r.row))

    @property
    def confusions(self) -> list[tuple[int, str, str]]:
        """How often which class was taken for which other, the most frequent first."""
        found = [
            (n, self.plan.classes[i], self.plan.classes[j]) for (i, j), n in sorted(self._pairs.items()) if i != j and n
        ]
        return sorted(found, key=lambda c: -c[0])


def _text(value: Any) -> str:
    return "" if value is None else str(value)
