"""What the probabilities of labelled score files are worth: evidence on all their rows, and on groups of them."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.calibration.evidence import LEAST, Evidence
from sigmax.calibration.given import as_logits
from sigmax.calibration.judged import Judged, judge
from sigmax.links import sigmoid
from sigmax.rows import softmax
from sigmax.tables.errors import TableError
from sigmax.tables.families import is_text
from sigmax.tables.job import told_apart
from sigmax.tables.observed import observe_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sigmax.calibration.given import Form
    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job
    from sigmax.tables.summary import Summary

__all__ = ["Measured", "Measuring", "measure_files"]

MOST_GROUPS = 250


@dataclass(frozen=True)
class Measured:
    """
    What was found.

    Attributes
    ----------
    evidence : Evidence
        On all labelled rows.
    groups : dict of str to Evidence
        On those of each value of a column.
    before : Evidence or None
        On all of them without the calibrator, where there is one.
    judged : Judged or None
        What calibration would gain, found on a part of the rows, each by a fit that has not seen it; None for too few rows, and with weights.
    summary : Summary
    """

    evidence: Evidence
    groups: dict[str, Evidence]
    before: Evidence | None
    judged: Judged | None
    summary: Summary = field(repr=False)

    @property
    def left_out(self) -> str:
        """How many rows were not measured, and why; empty if all were."""
        summary = self.summary
        missing = summary.scored - summary.labelled
        reasons = [f"{missing:,} without a label"] if missing else []
        reasons += [f"{count:,}: {reason}" for reason, count in summary.unscored.items() if count]
        return f"{summary.rows - summary.labelled:,} of {summary.rows:,} rows ({'; '.join(reasons)})" if reasons else ""


def measure_files(
    source: str | Path | Sequence[str | Path],
    job: Job,
    *,
    by: str | None = None,
    weights: str | None = None,
    gain: bool = True,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """
    Measure what the probabilities of labelled score files are worth, in one pass over them.

    Parameters
    ----------
    source : path, or sequence of paths
        Files, folders (with all score files below them) and globs.
    job : Job
        What of them are the scores, and which column holds the true class.
    by : str, optional
        A column by whose values the rows are measured apart too.
    weights : str, optional
        A column with what each row counts for.
    gain : bool, default True
        Whether to find what calibration would gain, which takes seconds.
    workers, scheduler, progress
        As for :func:`sigmax.tables.score_files`.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used, or no row has both scores and a label.
    """
    if job.label is None and job.labels is None:
        raise TableError(
            "measuring needs the true classes: name their column with --label, or their file with --labels"
        )
    make = functools.partial(Measuring, by=by, weights=weights)
    whole, summary = observe_files(
        source, told_apart(job), make, workers=workers, scheduler=scheduler, progress=progress
    )
    if not whole.evidence.rows:
        name = source if isinstance(source, str | Path) else source[0] if len(source) == 1 else "the files"
        raise TableError(f"no row of {name} has both scores and a label; there is nothing to measure")
    return whole.measured(summary, gain=gain)


class Measuring:
    """
    Counts the labelled rows of a file's batches.

    Parameters
    ----------
    plan : Plan
    by, weights
        As for :func:`measure_files`.
    """

    def __init__(self, plan: Plan, by: str | None = None, weights: str | None = None) -> None:
        if plan.kind == "multilabel":
            raise TableError(
                "these are scores of many labels a row: measure them with --kind softmax or sigmoid, one class a row"
            )
        for name, meaning in ((by, "the groups"), (weights, "the weights")):
            if name is not None and name in (plan.label, *(plan.columns if plan.model is None else [])):
                used = "the label" if name == plan.label else "a score"
                raise TableError(f"column '{name}' holds {used}; name another for {meaning}")
        self.plan, self.by, self.weights = plan, by, weights
        self.evidence = Evidence(plan.classes)
        self.groups: dict[str, Evidence] = {}
        self.before = None if plan.calibrator is None else Evidence(plan.classes)
        self.sample = _Sample(len(plan.classes))

    def see(self, seen: ScoredBatch) -> None:
        """Count the labelled rows of a batch."""
        known, y = seen.known, seen.labels[seen.known]
        w = None if self.weights is None else self._weights_of(_column(seen.batch, self.weights), seen)[known]
        if not y.size:
            return
        x = seen.scores[:, known].astype(np.float64)
        p, losses = seen.probability[:, known].astype(np.float64), seen.loss.astype(np.float64)
        self.evidence.count(p.T, y, w, losses)
        if self.before is not None and self.plan.calibrator is not None:
            self.before.count(_uncalibrated(seen.given[:, known], self.plan.calibrator.form_), y, w)
        self.sample.see(p.T, x.T, y, self.plan)
        if self.by is not None:
            self._count_groups(_column(seen.batch, self.by).filter(pa.array(known)), p, y, w, losses)

    def _weights_of(self, column: pa.Array, seen: ScoredBatch) -> NDArray[np.float64]:
        try:
            if is_text(column.type):
                column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, column.type), column)
            w = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(f"column '{self.weights}' holds what is no weight: {error}") from None
        wrong = seen.known & ~((w == 0) | ((w >= LEAST) & (w <= 1 / LEAST)))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise TableError(
                f"row {seen.first_row + i}: the weight in '{self.weights}' is {column[i].as_py()}; weights are 0, or from {LEAST:g} to {1 / LEAST:g}"
            )
        return w

    def _count_groups(
        self,
        column: pa.Array,
        p: NDArray[np.float64],
        y: NDArray[np.int64],
        w: NDArray[np.float64] | None,
        losses: NDArray[np.float64],
    ) -> None:
        if pa.types.is_nested(column.type):
            raise TableError(f"column '{self.by}' holds {column.type}; name one with plain values for the groups")
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        which = np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1))
        names = [str(v) for v in encoded.dictionary.to_pylist()]
        for i in np.unique(which).tolist():
            rows = which == i
            name = (names[i] or "(empty)") if i >= 0 else "(none)"
            if name not in self.groups:
                self._check_groups()
                self.groups[name] = Evidence(self.plan.classes, by_class=False)
            self.groups[name].count(p[:, rows].T, y[rows], None if w is None else w[rows], losses[rows])

    def _check_groups(self) -> None:
        if len(self.groups) == MOST_GROUPS:
            raise TableError(f"column '{self.by}' has more than {MOST_GROUPS:,} values; name one with fewer groups")

    def measured(self, summary: Summary, *, gain: bool = True) -> Measured:
        """Return what was found, and what calibration would gain if that is asked for: not of weighted rows."""
        judged = self.sample.judged(self.plan) if gain and self.weights is None else None
        groups = dict(sorted(self.groups.items()))
        return Measured(self.evidence, groups, self.before, judged, summary)

    def merge(self, other: Measuring) -> None:
        """Add what was counted in another file."""
        self.evidence.merge(other.evidence)
        if self.before is not None and other.before is not None:
            self.before.merge(other.before)
        for name, evidence in other.groups.items():
            if name not in self.groups:
                self._check_groups()
                self.groups[name] = Evidence(self.plan.classes, by_class=False)
            self.groups[name].merge(evidence)
        self.sample.merge(other.sample)


def _uncalibrated(x: NDArray[Any], form: Form) -> NDArray[np.float64]:
    """Return the probabilities that scores stand for as they are."""
    z = as_logits(x[0].astype(np.float64) if len(x) == 1 else x.T.astype(np.float64), form)
    return np.asarray(sigmoid(z) if z.ndim == 1 else softmax(z))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        few = ", ".join(batch.schema.names[:10]) + (", ..." if len(batch.schema.names) > 10 else "")
        raise TableError(f"there is no column '{name}'; the columns are {few}")
    return batch.column(name)


class _Sample:
    """
    Rows at equal distances, as many as it takes to see what calibration would gain.

    Whenever there are twice as many as that, every second one goes.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.method = "auto" if classes == 2 else "structured-diagonal" if classes <= 100 else "temperature"
        self.most = 50_000 if classes == 2 else 100_000 // classes if classes <= 100 else max(5_000_000 // classes, 100)
        self._step, self._next = 1, 0  # every so manieth row; how many rows away the next one is
        self._kept: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []

    def see(self, p: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.int64], plan: Plan) -> None:
        """Keep some of the rows: their logits and labels."""
        chosen = slice(self._next, None, self._step)
        self._next = (self._next - len(y)) % self._step
        if not 0 < plan.temperature < np.inf:
            z = as_logits(p[chosen], "probabilities")
        else:
            z = as_logits(x[chosen, 0] if x.shape[1] == 1 else x[chosen], "logits") / plan.temperature
        self._kept.append((z, y[chosen]))
        self._thin()

    def _thin(self) -> None:
        while sum(len(y) for _, y in self._kept) > 2 * self.most:
            z, y = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
            self._kept = [(z[::2], y[::2])]
            self._step *= 2
            self._next += self._step // 2 * (len(y) % 2)

    def merge(self, other: _Sample) -> None:
        """Add the rows of another file, as dense as these."""
        step = max(self._step, other._step)
        self._kept = [
            (z[:: step // sample._step], y[:: step // sample._step])
            for sample in (self, other)
            for z, y in sample._kept
        ]
        self._step = step
        self._thin()

    def judged(self, plan: Plan) -> Judged | None:
        """Return what calibration gains on rows that the fit has not seen; None for fewer than a fold can do with."""
        if sum(len(y) for _, y in self._kept) < 50:
            return None
        z, y = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return judge(z, y, method=self.method, form="logits", classes=plan.classes)
