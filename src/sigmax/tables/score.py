"""Score a file: batches in, class probabilities out, and what can be said of them on the way."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from sigmax.calibration import Reliability, bin_of, from_counts
from sigmax.links import sigmoid, softplus
from sigmax.rows import log_softmax, softmax
from sigmax.tables.columns import Plan, label_indices, label_sets, make_plan, score_matrix
from sigmax.tables.files import TableError, WrongTypeError, format_of, open_sink, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.columns import Kind

    Progress = Callable[[int, int], None]

__all__ = ["Observer", "Seen", "Summary", "score_file"]

BINS = 20  # of confidence, from 0 to 1


@dataclass
class Summary:
    """What was seen in a file, added up batch by batch."""

    plan: Plan
    rows: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    head: list[dict[str, Any]] = field(default_factory=list)
    labelled: int = 0
    _confidence: list[float] = field(default_factory=list)
    _entropy: list[float] = field(default_factory=list)
    _correct: int = 0
    _loss: list[float] = field(default_factory=list)
    # by the probability of the predicted class: all rows, and of the labelled ones the sum of it, the right and the wrong ones
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    _right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _wrong: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    @property
    def scored(self) -> int:
        """Rows that got probabilities."""
        return self.rows - self.unscored.total()

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
    def reliability(self) -> Reliability:
        """How often predictions are right, in ten bins of confidence."""
        merged = [part.reshape(-1, 2).sum(axis=1) for part in (self._right + self._wrong, self._sums, self._right)]
        return from_counts(*merged)

    def add(self, confidence: NDArray[Any], entropy: NDArray[Any], good: NDArray[np.bool_]) -> None:
        """Count the rows of a batch that are `good`."""
        self._confidence.append(float(confidence[good].sum(dtype=np.float64)))
        self._entropy.append(float(entropy[good].sum(dtype=np.float64)))
        self._counts += np.bincount(bin_of(confidence[good], BINS), minlength=BINS)

    def add_labels(self, correct: NDArray[np.bool_], loss: NDArray[Any], confidence: NDArray[Any]) -> None:
        """Count the labelled rows of a batch."""
        self.labelled += len(correct)
        self._correct += int(correct.sum())
        self._loss.append(float(loss.sum(dtype=np.float64)))
        where = bin_of(confidence, BINS)
        self._sums += np.bincount(where, confidence, minlength=BINS)
        self._right += np.bincount(where[correct], minlength=BINS)
        self._wrong += np.bincount(where[~correct], minlength=BINS)


@dataclass(frozen=True)
class Seen:
    """
    A batch and what was found of it.

    Attributes
    ----------
    batch : pyarrow.RecordBatch
        The rows as they were read.
    first_row : int
        The number of the first of them, from 1.
    scores, probability : ndarray of shape (classes, rows)
        Their scores (for a sigmoid one line) and probabilities.
    predicted, labels : ndarray of int of shape (rows,)
        Their classes; -1 where there is no label, or nothing to compare it with. Not for multilabel.
    loss : ndarray of shape (labelled rows,)
        Minus the log-probability of the label.
    bad : ndarray of bool of shape (rows,)
        The rows that could not be scored.
    """

    batch: pa.RecordBatch
    first_row: int
    scores: NDArray[Any]
    probability: NDArray[Any]
    predicted: NDArray[Any]
    labels: NDArray[np.int64]
    loss: NDArray[Any]
    bad: NDArray[np.bool_]


class Observer(Protocol):
    """What wants to see every batch."""

    def see(self, seen: Seen) -> None:
        """Take notice of a batch."""


def score_file(
    path: str | Path,
    *,
    columns: Sequence[str] = (),
    label: str | None = None,
    kind: Kind | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    output: str | Path | None = None,
    head: int = 10,
    progress: Progress | None = None,
    observer: Callable[[Plan], Observer] | None = None,
) -> Summary:
    """
    Turn the scores in a file into class probabilities.

    Parameters
    ----------
    path : str or Path
        A CSV, Parquet, Arrow IPC (Feather) or .npy file.
    columns : sequence of str
        Names or globs of the score columns, or the name of one list column; default: every numeric column but `label`.
    label : str, optional
        The column of the true classes, by name or by number from 0.
    kind : {'softmax', 'sigmoid', 'multilabel'}, optional
        Default: one score is a sigmoid, several are a softmax.
    classes : sequence of str
        Names of the classes, in the order of the scores (for a sigmoid: of the negative and the positive class).
    temperature : float, default 1
        What the scores are divided by.
    output : str or Path, optional
        Where to write the rows with their probabilities; the ending names the format. A .npy file gets the matrix of
        probabilities alone. The file appears when it is complete, or not at all.
    head : int, default 10
        How many of the first rows to keep in the summary.
    progress : callable, optional
        Called with (done, all) after each batch.
    observer : callable, optional
        Called when the columns are settled, again if reading has to begin anew; what it returns sees each batch.

    Returns
    -------
    Summary
        Rows, means, and accuracy and log-loss if there is a label.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used.
    """
    path = Path(path)
    target = None if output is None else Path(output)
    if target is not None:
        format_of(target)
        if target.is_dir():
            raise TableError(f"{target} is a folder; name a file in it")
        if target.exists() and path.exists() and target.samefile(path):
            raise TableError(f"{target} is the input; write the result to another file")

    types: dict[str, pa.DataType] = {}
    while True:
        plan: Plan | None = None
        try:
            with open_source(path, types) as source, contextlib.ExitStack() as stack:
                first = next(source.batches, None)
                plan = make_plan(
                    source.schema,
                    first,
                    columns=columns,
                    label=label,
                    kind=kind,
                    classes=classes,
                    temperature=temperature,
                )
                if format_of(path) == "csv" and not all(
                    pa.types.is_float64(source.schema.field(c).type) for c in plan.columns
                ):
                    types.update(dict.fromkeys(plan.columns, pa.float64()))  # an integer may be followed by a fraction
                    continue
                schema = _output_schema(source.schema, plan, nested=target is None or format_of(target) != "csv")
                sink = (
                    None
                    if target is None
                    else stack.enter_context(open_sink(target, schema, [f"p_{c}" for c in plan.classes]))
                )
                summary = Summary(plan)
                watching = None if observer is None else observer(plan)
                for batch in itertools.chain([] if first is None else [first], source.batches):
                    scored = _score_batch(batch, plan, summary, watching)
                    if len(summary.head) < head:
                        part = _output_batch(batch.slice(0, head), scored.slice(head), plan, schema)
                        summary.head += part.to_pylist()[: head - len(summary.head)]
                    if sink is not None:
                        sink.write_batch(_output_batch(batch, scored, plan, schema))
                    if progress is not None:
                        progress(source.position(), source.size)
                return summary
        except WrongTypeError as wrong:
            types[wrong.column] = _wider(wrong, plan)


def _wider(wrong: WrongTypeError, plan: Plan | None) -> pa.DataType:
    """Return the type to read a CSV column as after a value that does not fit the type it had."""
    if plan is not None and wrong.column in plan.columns:
        raise TableError(f"column '{wrong.column}' is not numeric: {wrong.reason}") from wrong
    return pa.float64() if pa.types.is_integer(wrong.kind) else pa.string()


@dataclass(frozen=True)
class _Scored:
    """A batch's probabilities, a row of the matrix for each class, and what follows from them."""

    probability: NDArray[Any]
    predicted: NDArray[Any]  # the class of each row; for multilabel, a row of booleans for each class
    confidence: NDArray[Any]
    bad: NDArray[np.bool_]

    def slice(self, n: int) -> _Scored:
        """Return the first `n` rows."""
        return _Scored(self.probability[:, :n], self.predicted[..., :n], self.confidence[:n], self.bad[:n])


def _score_batch(batch: pa.RecordBatch, plan: Plan, summary: Summary, watching: Observer | None) -> _Scored:
    x, unscored = score_matrix(batch, plan)
    bad = np.zeros(batch.num_rows, bool)
    for reason, rows in unscored.items():
        summary.unscored[reason] += int(rows.sum())
        bad |= rows
    good = ~bad

    if plan.kind == "softmax":
        p = softmax(x, axis=0, temperature=plan.temperature)
        log_p = log_softmax(x, axis=0, temperature=plan.temperature)
        entropy = _entropy(p, log_p)
        predicted = p.argmax(axis=0)
        confidence = p.max(axis=0)
    else:
        z = _tempered(x, plan.temperature)
        p, q = sigmoid(z), sigmoid(-z)
        log_p, log_q = -softplus(-z), -softplus(z)
        entropy = _entropy(p, log_p) + _entropy(q, log_q)
        if plan.kind == "sigmoid":
            p, log_p = np.vstack([q, p]), np.vstack([log_q, log_p])
            predicted = (z[0] >= 0).astype(np.int64)
            confidence = p.max(axis=0)
        else:
            predicted = z >= 0
            confidence = np.maximum(p, q).min(axis=0)

    summary.rows += batch.num_rows
    summary.add(confidence, entropy, good)
    first_row = summary.rows - batch.num_rows + 1
    labels = np.full(batch.num_rows, -1)
    loss: NDArray[Any] = np.empty(0)
    if plan.label is not None:
        column = batch.column(plan.label)
        if plan.kind == "multilabel":
            truth, known = label_sets(column, plan.classes, first_row)
            known &= good
            loss = -np.where(truth, log_p, log_q).mean(axis=0)
            summary.add_labels((truth == predicted).all(axis=0)[known], loss[known], confidence[known])
        else:
            labels = label_indices(column, plan.classes, first_row)
            known = good & (labels >= 0)
            loss = -log_p[labels[known], np.flatnonzero(known)]
            summary.add_labels(predicted[known] == labels[known], loss, confidence[known])
            labels = np.where(known, labels, -1)
    if watching is not None:
        watching.see(Seen(batch, first_row, x, p, predicted, labels, loss, bad))
    return _Scored(p, predicted, confidence, bad)


def _tempered(x: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Return x / T, with the limits at 0 (a step; one half at 0) and at infinity."""
    if temperature == 1:
        return x
    with np.errstate(divide="ignore", invalid="ignore"):
        z = x / x.dtype.type(temperature)
    return np.where((x == 0) & ~np.isnan(x), x, z)


def _entropy(p: NDArray[Any], log_p: NDArray[Any]) -> NDArray[Any]:
    """Return -sum p log p over the classes; an impossible class counts nothing."""
    terms = p * np.where(p > 0, log_p, 0)
    return np.asarray(-terms.sum(axis=0, dtype=np.float64))


def _kept(schema: pa.Schema, plan: Plan) -> list[pa.Field]:
    return [f for f in schema if f.name not in plan.columns]


def _output_schema(schema: pa.Schema, plan: Plan, *, nested: bool) -> pa.Schema:
    """Return the input's columns but the scores, then p_<class> for each class, prediction and confidence."""
    value = pa.from_numpy_dtype(plan.dtype)
    name = pa.int64() if plan.numbered else pa.string()
    if plan.kind == "multilabel":
        name = pa.list_(name) if nested else pa.string()
    new = [
        *(pa.field(f"p_{c}", value) for c in plan.classes),
        pa.field("prediction", name),
        pa.field("confidence", value),
    ]
    kept = _kept(schema, plan)
    clash = {f.name for f in kept} & {f.name for f in new}
    if clash:
        raise TableError(f"the input has a column '{min(clash)}' already, which the result would hide; rename it")
    return pa.schema([*kept, *new])


def _output_batch(batch: pa.RecordBatch, scored: _Scored, plan: Plan, schema: pa.Schema) -> pa.RecordBatch:
    kind = schema.field("prediction").type
    classes: list[Any] = [int(c) for c in plan.classes] if plan.numbered else plan.classes
    if scored.predicted.ndim == 1:
        prediction = pa.array(classes, kind).take(pa.array(scored.predicted, mask=scored.bad))
    else:
        sets = [
            None if bad else [c for c, yes in zip(classes, row, strict=True) if yes]
            for row, bad in zip(scored.predicted.T, scored.bad, strict=True)
        ]
        joined = [None if s is None else ";".join(map(str, s)) for s in sets] if pa.types.is_string(kind) else sets
        prediction = pa.array(joined, kind)
    columns = [batch.column(f.name) for f in _kept(batch.schema, plan)]
    columns += [pa.array(p, mask=scored.bad) for p in scored.probability]
    return pa.record_batch([*columns, prediction, pa.array(scored.confidence, mask=scored.bad)], schema=schema)
