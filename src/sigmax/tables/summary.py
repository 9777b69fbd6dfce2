"""What was seen in score files, added up batch by batch."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration import CalibrationError, Cells, Reliability, bin_of, from_counts
from sigmax.calibration.error import error_of
from sigmax.tables.batches import FEW, BadRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan

__all__ = ["Summary"]

BINS = 20  # of confidence, from 0 to 1


@dataclass
class Summary:
    """What was seen in a file, added up batch by batch."""

    plan: Plan
    rows: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)  # what was odd in rows that were scored
    bad_rows: list[BadRow] = field(default_factory=list)  # the first few
    head: list[dict[str, Any]] = field(default_factory=list)
    labelled: int = 0
    _confidence: list[float] = field(default_factory=list)
    _entropy: list[float] = field(default_factory=list)
    _correct: int = 0
    _loss: list[float] = field(default_factory=list)
    # by the probability of the predicted class: all rows, and of the labelled ones the sum of it, the right and the wrong ones
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    _spread: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))  # sums of p (1 - p)
    _cells: Cells = field(default_factory=Cells, repr=False)
    _right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _wrong: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _labels: NDArray[np.int64] = field(init=False)  # rows by their label
    _range: tuple[float, float] = (math.inf, -math.inf)  # of the scores

    def __post_init__(self) -> None:
        self._labels = np.zeros(len(self.plan.classes), np.int64)

    @property
    def scored(self) -> int:
        """Rows that got probabilities."""
        return self.rows - self.unscored.total()

    @property
    def written(self) -> int:
        """Rows of the output."""
        return self.scored if self.plan.on_bad == "drop" else self.rows

    @property
    def mean_confidence(self) -> float:
        """Mean probability of the predicted class; for multilabel, of the least certain label."""
        return math.fsum(self._confidence) / self.scored if self.scored else math.nan

    @property
    def mean_entropy(self) -> float:
        """Mean entropy of the probabilities of a row, in nats."""
        return math.fsum(self._entropy) / self.scored if self.scored else math.nan

    @property
    def accuracy(self) -> float:
        """Share of the labelled rows whose prediction is the label."""
        return self._correct / self.labelled if self.labelled else math.nan

    @property
    def log_loss(self) -> float:
        """Mean of minus the log-probability of the label, in nats."""
        return math.fsum(self._loss) / self.labelled if self.labelled else math.nan

    @property
    def by_confidence(self) -> dict[str, NDArray[np.int64]]:
        """The rows in each of twenty bins of confidence: right and wrong ones where there are labels."""
        return {"right": self._right, "wrong": self._wrong} if self.labelled else {"rows": self._counts}

    @property
    def by_logit(self) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        """The labelled rows, right and wrong ones, between whole numbers of the logit of confidence; and these numbers."""
        edges, rows, hits = self._cells.by_logit()
        return edges, {"right": hits, "wrong": rows - hits}

    @property
    def reliability(self) -> Reliability:
        """How often predictions are right, in ten bins of confidence."""
        parts = (self._right + self._wrong, self._sums, self._right, self._spread)
        return from_counts(*(part.reshape(-1, 2).sum(axis=1) for part in parts))

    @property
    def calibration_error(self) -> CalibrationError:
        """How far confidence lies from the share of right predictions, free of chance, with its interval."""
        return error_of(self._cells.tally())

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """The labelled rows of each class; none for multilabel."""
        return self._labels

    @property
    def warnings(self) -> list[str]:
        """What makes it doubtful that the answer is right, a sentence each."""
        found = [
            *self.plan.notes,
            *(
                f"{count:,} rows have {told}: it counts as none of those that it was fitted to"
                for told, count in self.remarks.items()
            ),
        ]
        most = int(self._labels.max(initial=0))
        if self.plan.kind != "multilabel" and self.labelled and self._correct <= most and self._correct < self.labelled:
            name = self.plan.classes[int(self._labels.argmax())]
            found.append(
                f"the accuracy of {self.accuracy:.4f} is no better than always saying '{name}' ({most / self.labelled:.4f}): "
                "do the labels and the columns fit, and are the classes in the right order?"
            )
        low, high = self._range
        if self.plan.kind == "softmax" and not self.plan.as_scores and 0 <= low <= high <= 1:
            found.append(
                "all scores lie in [0, 1], and their sums are not 1: if they are probabilities of each class by itself, "
                "no softmax is right for them; if they are scores, --as-scores says so"
            )
        if self.plan.kind == "sigmoid" and self.scored >= 20 and not self.plan.as_scores and (low >= 0 or high <= 0):
            found.append(
                f"no score is {'negative' if low >= 0 else 'positive'}, so that every row is taken for class "
                f"'{self.plan.classes[int(low >= 0)]}': is it a logit, with 0 for even odds?"
            )
        return found

    def figures(self) -> dict[str, Any]:
        """Return what there is to say, as JSON has it: a mean of no rows is None, and an infinite loss the word inf."""
        plan = self.plan
        found: dict[str, Any] = {
            "rows": self.rows,
            "scored": self.scored,
            "not_scored": dict(self.unscored),
            "columns": list(plan.columns),
            "left_out": [name for name, _ in plan.left_out],
            "kind": plan.kind,
            "form": plan.form,
            "classes": list(plan.classes),
            "temperature": plan.temperature,
            "mean_confidence": self.mean_confidence,
            "mean_entropy": self.mean_entropy,
            "label": plan.label,
            "labelled": self.labelled,
            "warnings": self.warnings,
        }
        if plan.label is not None:
            found |= {"accuracy": self.accuracy, "log_loss": self.log_loss}
            if plan.kind != "multilabel" and self.labelled:
                error = self.calibration_error
                found |= {"calibration_error": error.error, "calibration_error_interval": [error.low, error.high]}
        numbers = {k: v for k, v in found.items() if isinstance(v, float) and not math.isfinite(v)}
        return found | {k: None if math.isnan(v) else str(v) for k, v in numbers.items()}

    def add(self, scored: ScoredBatch) -> None:
        """Count the rows of a batch."""
        good = slice(None) if not scored.unscored else ~scored.bad
        confidence = scored.confidence[good]
        self.rows += scored.batch.num_rows
        self.unscored.update(scored.unscored)
        self.remarks.update(scored.remarks)
        self.bad_rows = (self.bad_rows + scored.bad_rows)[:FEW]
        self._confidence.append(float(confidence.sum(dtype=np.float64)))
        self._entropy.append(float(scored.entropy[good].sum(dtype=np.float64)))
        where = bin_of(confidence, BINS)
        self._counts += np.bincount(where, minlength=BINS)
        if confidence.size and not (self._range[0] < 0 and self._range[1] > 1):
            x = scored.scores if not scored.unscored else scored.scores[:, good]
            low, high = max(float(x.min()), -1.0), min(float(x.max()), 2.0)  # farther out it makes no difference
            self._range = (min(self._range[0], low), max(self._range[1], high))
        if self.plan.label is None:
            return
        correct = scored.correct
        if not scored.known.all():
            confidence = scored.confidence[scored.known]
            where = bin_of(confidence, BINS)
        self.labelled += len(correct)
        self._correct += int(correct.sum())
        if self.plan.kind != "multilabel":
            self._labels += np.bincount(scored.labels[scored.known], minlength=self._labels.size)
        self._loss.append(float(scored.loss.sum(dtype=np.float64)))
        self._sums += np.bincount(where, confidence, minlength=BINS)
        self._spread += np.bincount(where, confidence * (1 - confidence.astype(np.float64)), minlength=BINS)
        self._cells.add(confidence, correct)
        wrong, right = np.bincount(2 * where + correct, minlength=2 * BINS).reshape(BINS, 2).T
        self._right += right
        self._wrong += wrong

    def state(self) -> dict[str, Any]:
        """Return all that was counted, as JSON has it."""
        return {
            "rows": self.rows,
            "unscored": dict(self.unscored),
            "remarks": dict(self.remarks),
            "bad_rows": [vars(r) for r in self.bad_rows],
            "labelled": self.labelled,
            "correct": self._correct,
            "confidence": math.fsum(self._confidence),
            "entropy": math.fsum(self._entropy),
            "loss": math.fsum(self._loss),
            "counts": self._counts.tolist(),
            "sums": self._sums.tolist(),
            "spread": self._spread.tolist(),
            "cells": self._cells.state(),
            "right": self._right.tolist(),
            "wrong": self._wrong.tolist(),
            "labels": {int(k): int(self._labels[k]) for k in np.flatnonzero(self._labels)},
            "range": list(self._range) if self.scored else None,
        }

    def merge(self, state: dict[str, Any]) -> None:
        """Add what was counted elsewhere."""
        self.rows += state["rows"]
        self.unscored.update(state["unscored"])
        self.remarks.update(state.get("remarks", {}))  # which an earlier release did not count
        self.bad_rows = (self.bad_rows + [BadRow(**r) for r in state["bad_rows"]])[:FEW]
        self.labelled += state["labelled"]
        self._correct += state["correct"]
        for sums, name in ((self._confidence, "confidence"), (self._entropy, "entropy"), (self._loss, "loss")):
            sums.append(float(state[name]))
        self._counts += state["counts"]
        self._sums += state["sums"]
        self._spread += state["spread"]
        self._cells.merge(state["cells"])
        self._right += state["right"]
        self._wrong += state["wrong"]
        for k, rows in state["labels"].items():
            self._labels[int(k)] += rows
        if state["range"] is not None:
            low, high = map(float, state["range"])
            self._range = (min(self._range[0], low), max(self._range[1], high))
