"""Score one batch: what is computed of it does not depend on the others, so it can be done anywhere, in any order."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sigmax.calibration.given import no_probabilities
from sigmax.calibration.noticed import already_probabilities, remedy
from sigmax.links import logit, sigmoid, softplus
from sigmax.rows import log_softmax, softmax
from sigmax.tables.columns import NO_NUMBER, Plan, empty_matrix, score_matrix
from sigmax.tables.errors import TableError
from sigmax.tables.kept import typed
from sigmax.tables.labels import label_indices, label_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.calibration import Calibrator
    from sigmax.decisions import Decided
    from sigmax.tables.model import Model

__all__ = ["BadRow", "ScoredBatch", "output_batch", "output_schema", "score_batch"]

FEW = 5  # rows that could not be scored are shown


@dataclass(frozen=True)
class BadRow:
    """A row that could not be scored."""

    file: str
    row: int  # from 1
    reason: str
    values: str


@dataclass(frozen=True)
class ScoredBatch:
    """
    A batch and what was found of it.

    Attributes
    ----------
    batch : pyarrow.RecordBatch
        The rows as they were read.
    first_row : int
        The number of the first of them in its file, from 1.
    given, scores, probability : ndarray of shape (classes, rows)
        Their scores in the file, and as a calibrator makes them (for a sigmoid one line), and probabilities.
    predicted : ndarray of int of shape (rows,)
        Their classes; for multilabel, a line of booleans for each class.
    confidence, entropy : ndarray of shape (rows,)
        The probability of the class, and the entropy of all, in nats.
    labels : ndarray of int of shape (rows,)
        The true classes; -1 where there is none, or nothing to compare it with. Not for multilabel.
    known, correct, loss : ndarray
        The rows with a label to compare with, and for each of these whether it was met, and minus its log-probability.
    bad : ndarray of bool of shape (rows,)
        The rows that could not be scored.
    unscored : dict of str to int
        How many, by reason.
    bad_rows : list of BadRow
        The first few.
    remarks : dict of str to int
        What else was odd, and in how many rows.
    decided : Decided or None
        What a rule decides.
    inside : ndarray of bool of shape (rows, classes), or None
        Which classes are in a row's set.
    """

    batch: pa.RecordBatch
    first_row: int
    given: NDArray[Any]
    scores: NDArray[Any]
    probability: NDArray[Any]
    predicted: NDArray[Any]
    confidence: NDArray[Any]
    entropy: NDArray[np.float64]
    labels: NDArray[np.int64]
    known: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    loss: NDArray[Any]
    bad: NDArray[np.bool_]
    unscored: dict[str, int]
    bad_rows: list[BadRow]
    remarks: dict[str, int] = field(default_factory=dict)
    decided: Decided | None = None
    inside: NDArray[np.bool_] | None = None


def score_batch(batch: pa.RecordBatch, plan: Plan, first_row: int, file: str = "") -> ScoredBatch:
    """Return the probabilities of a batch; ``plan.on_bad`` says whether a row without may be."""
    remarks: dict[str, int] = {}
    if plan.model is None:
        x, unscored = score_matrix(batch, plan)
    else:
        x, unscored, remarks = _of_model(batch, plan.model, file)
    if plan.on_bad is None and NO_NUMBER in unscored:
        raise _no_number(batch, plan, first_row, file, int(np.argmax(unscored[NO_NUMBER])))
    bad = np.zeros(batch.num_rows, bool)
    bad_rows: list[BadRow] = []
    for reason, rows in unscored.items():
        bad |= rows
        for i in np.flatnonzero(rows)[:FEW]:
            values = ", ".join(f"{name} = {batch.column(name)[int(i)].as_py()}" for name in plan.columns[:4])
            more = ", ..." if len(plan.columns) > 4 else ""
            bad_rows.append(BadRow(file, first_row + int(i), reason, values + more))
    if not plan.as_scores and plan.form == "logits" and (plan.calibrator is None or plan.calibrator.form_ == "logits"):
        _check_scores(x, bad, plan, first_row, file)
    bad_rows = sorted(bad_rows, key=lambda r: r.row)[:FEW]
    if bad_rows and plan.on_bad == "fail":
        at = bad_rows[0]
        raise TableError(
            f"{at.file}{', ' if at.file else ''}row {at.row}: {at.reason} ({at.values}); mend it, or leave such rows "
            "empty with --on-bad null, or out with --on-bad drop"
        )

    given = x
    if plan.calibrator is not None:
        x = _calibrated(x, bad, plan.calibrator, file)
    elif plan.form == "probabilities":
        x = _logits(x, bad, plan, first_row, file)
    inside = None
    if plan.rule is not None:
        inside = plan.rule.inside(x / plan.temperature if plan.temperature != 1 else x)
        x = plan.rule.shifted(x)
    predicted: NDArray[Any]
    if plan.kind == "softmax":
        p = softmax(x, axis=0, temperature=plan.temperature, out=empty_matrix(x.shape, x.dtype))
        log_p = log_softmax(x, axis=0, temperature=plan.temperature, out=empty_matrix(x.shape, x.dtype))
        entropy = _entropy(p, log_p)
        confidence = p.max(axis=0)
        predicted = _largest(p, confidence)
    else:
        p, q, log_p, log_q = _each_by_itself(x, plan.temperature)
        entropy = _entropy(p, log_p) + _entropy(q, log_q)
        if plan.kind == "sigmoid":
            p, log_p = np.vstack([q, p]), np.vstack([log_q, log_p])
            predicted = (x[0] >= 0 if plan.temperature < np.inf else np.ones(x.shape[1], bool)).astype(np.int64)
            confidence = p.max(axis=0)
        else:
            predicted = x >= 0 if plan.temperature < np.inf else np.ones(x.shape, bool)
            confidence = np.maximum(p, q).min(axis=0)

    labels = np.full(batch.num_rows, -1)
    known = np.zeros(batch.num_rows, bool)
    correct, loss = np.empty(0, bool), np.empty(0)
    if plan.label is not None:
        column = batch.column(plan.label)
        if plan.kind == "multilabel":
            truth, known = label_sets(column, plan.names, first_row, plan.labels_in or file)
            known &= ~bad
            loss = -np.where(truth, log_p, log_q).mean(axis=0)[known]
            correct = (truth == predicted).all(axis=0)[known]
        else:
            labels = label_indices(column, plan.names, first_row, plan.labels_in or file)
            known = ~bad & (labels >= 0)
            loss = -log_p[labels[known], np.flatnonzero(known)]
            correct = predicted[known] == labels[known]
            labels = np.where(known, labels, -1)
    counts = {reason: int(rows.sum()) for reason, rows in unscored.items()}
    return ScoredBatch(
        batch,
        first_row,
        given,
        x,
        p,
        predicted,
        confidence,
        entropy,
        labels,
        known,
        correct,
        loss,
        bad,
        counts,
        bad_rows,
        remarks,
        None if plan.rule is None else plan.rule.decided(x / plan.temperature if plan.temperature != 1 else x),
        inside,
    )


def _of_model(
    batch: pa.RecordBatch, model: Model, file: str
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.bool_]], dict[str, int]]:
    """Return the scores that a model makes of its columns, the rows that have none, by reason, and what was odd in others."""
    try:
        encoded = model.encode(batch)
    except TableError as error:
        raise TableError(f"{file}{': ' if file else ''}{error}") from None
    unscored: dict[str, NDArray[np.bool_]] = {}
    settled = np.zeros(batch.num_rows, bool)
    for told, found in (("is missing", encoded.missing), ("is infinite", encoded.odd)):
        for name, rows in found.items():
            if (new := rows & ~settled).any():
                unscored[f"'{name}' {told}"] = new
                settled |= new
    remarks = {f"a word in '{name}' that the model does not know": n for name, n in encoded.unknown.items()}
    return model.scores(encoded.matrix), unscored, remarks


def _calibrated(x: NDArray[Any], bad: NDArray[np.bool_], calibrator: Calibrator, file: str) -> NDArray[Any]:
    """Return the scores that a calibrator makes of these; those of bad rows stay as they are."""
    good = ~bad
    if not good.any():
        return x
    try:
        found = calibrator.calibrated(x[:, good].T)
    except ValueError as error:
        raise TableError(f"{file}{': ' if file else ''}{error}") from None
    y = x.copy()
    y[:, good] = np.stack([np.zeros_like(found), found]) if found.ndim == 1 and len(x) == 2 else np.atleast_2d(found.T)
    return y


def _logits(x: NDArray[Any], bad: NDArray[np.bool_], plan: Plan, first_row: int, file: str) -> NDArray[Any]:
    """Return the scores that probabilities are those of; refuse rows that hold none."""
    odd = no_probabilities(x.T) if plan.kind == "softmax" else np.any([no_probabilities(line) for line in x], axis=0)
    odd &= ~bad
    if odd.any():
        i = int(np.argmax(odd))
        values = ", ".join(f"{v:g}" for v in x[:4, i]) + (", ..." if len(x) > 4 else "")
        where = f"{file}, " if file else ""
        raise TableError(
            f"{where}row {first_row + i} holds {values}, no probabilities, which the columns were taken for; "
            "say --form logits if all of them are raw scores"
        )
    p = np.clip(x, 0, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) if plan.kind == "softmax" else logit(p))


def _check_scores(x: NDArray[Any], bad: NDArray[np.bool_], plan: Plan, first_row: int, file: str) -> None:
    """Refuse a batch whose rows, a thousand of them, hold no scores but probabilities."""
    good = np.flatnonzero(~bad)
    if first_row > 1 and good.size < 20:  # the last few rows of many may look like anything
        return
    found = already_probabilities(x[:, good[:: max(1, good.size // 1000)]], plan.kind)
    if found is not None:
        where = f"{file}: " if file else ""
        since = f" from row {first_row:,} on" if first_row > 1 else ""
        raise TableError(
            f"{where}the columns hold {found}, no scores, in the rows that were looked at{since}: {remedy(found)}. "
            f"{'To take them as they are say --form probabilities; if' if found == 'probabilities' else 'If'} they are raw scores after all, say so "
            "with --as-scores"
        )


def _no_number(batch: pa.RecordBatch, plan: Plan, first_row: int, file: str, i: int) -> TableError:
    """Return the error for a word among the scores of row `i`: where it stands, and what may be meant."""
    number = plan.dialect.number()
    words = ((name, batch.column(name)[i].as_py()) for name in plan.columns)
    name, word = next((n, w) for n, w in words if isinstance(w, str) and not number.fullmatch(w.strip()) and w.strip())
    plain = word.strip().lstrip("+-")
    shown = repr(word) if len(word) <= 40 else repr(word[:37] + "...")
    groups = re.fullmatch(r"\d{1,3}(?:([.,' _\u00a0])\d{3})+(?:[.,]\d*)?", plain)
    if "%" in word:
        meant = "percentages are no scores; pass what they were made of"
    elif plan.dialect.decimal == "." and re.fullmatch(r"\d*,\d+(e[-+]?\d+)?", plain, re.IGNORECASE) and not groups:
        meant = "if the comma is a decimal mark, say --decimal ,"
    elif groups and plan.dialect.thousands is None:
        other = " --decimal ," if groups[1] == "." else ""
        either = " (or, if it is a decimal mark, --decimal ,)" if re.fullmatch(r"\d{1,3},\d{3}", plain) else ""
        meant = f"if it groups thousands, say --thousands {shlex.quote(groups[1])}{other}{either}"
    elif re.search(r"[;\t|]", word):
        meant = "if the fields are cut at the wrong mark, name it with --delimiter"
    else:
        meant = "mend it, or leave such rows empty with --on-bad null, or out with --on-bad drop"
    return TableError(
        f"{file}{', ' if file else ''}row {first_row + i}, column '{name}': {shown} is no number; {meant}"
    )


def _largest(p: NDArray[Any], confidence: NDArray[Any]) -> NDArray[np.int64]:
    """Return the first class that has the largest probability, line by line as memory lies (argmax takes three times as long)."""
    if len(p) > 64:
        return np.asarray(p.argmax(axis=0))
    best, here = np.zeros((2, p.shape[1]), np.uint8)  # the first class counts most, and a row of NaN nothing
    for k, row in enumerate(p):
        np.equal(row, confidence, out=here.view(bool))
        np.multiply(here, np.uint8(len(p) - k), out=here)
        np.maximum(best, here, out=best)
    return np.where(best > 0, np.uint8(len(p)) - best, 0).astype(np.int64)


def _each_by_itself(
    x: NDArray[Any], temperature: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the probability of each score's class, that of its complement, and the logarithms of both."""
    if temperature == 1:
        return sigmoid(x), sigmoid(-x), -softplus(-x), -softplus(x)
    # x / T, rounded, would cost the tails as many digits as it has; the softmax of (x, 0) divides in the core
    pair = np.stack([x, np.zeros_like(x)])
    p, log_p = softmax(pair, axis=0, temperature=temperature), log_softmax(pair, axis=0, temperature=temperature)
    return p[0], p[1], log_p[0], log_p[1]


def _entropy(p: NDArray[Any], log_p: NDArray[Any]) -> NDArray[Any]:
    """Return -sum p log p over the classes; an impossible class counts nothing."""
    if log_p.size and not log_p.min() > -np.inf:  # or NaN
        log_p = np.where(p > 0, log_p, 0)
    return np.asarray(-np.einsum("kr,kr->r", p, log_p, dtype=np.float64))


def _kept(schema: pa.Schema, plan: Plan) -> list[pa.Field]:
    scores = set(plan.columns)
    return [f for f in schema if f.name not in scores]


def output_schema(schema: pa.Schema, plan: Plan, *, text: bool = False, shown: bool = False) -> pa.Schema:
    """
    Return the input's columns but the scores, then p_<class> for each class, prediction and confidence.

    Parameters
    ----------
    text : bool
        Whether they go into a CSV file: what was text stays so, and a list of classes becomes text.
    shown : bool
        Whether they are only looked at: columns that the result would hide are left out, and not refused.
    """
    value = pa.from_numpy_dtype(plan.dtype)
    name = pa.int64() if plan.numbered else pa.string()
    if plan.kind == "multilabel":
        name = pa.string() if text else pa.list_(name)
    new = [
        *(pa.field(f"p_{c}", value) for c in plan.classes),
        pa.field("prediction", name),
        pa.field("confidence", value),
        *([] if plan.rule is None else plan.rule.fields(text=text)),
    ]
    made = {f.name for f in new}
    kept = [f if text else pa.field(f.name, plan.kept.get(f.name, f.type)) for f in _kept(schema, plan)]
    clash = {f.name for f in kept} & made
    if clash and not shown:
        raise TableError(f"the input has a column '{min(clash)}' already, which the result would hide; rename it")
    return pa.schema([*(f for f in kept if f.name not in clash), *new])


def output_batch(scored: ScoredBatch, plan: Plan, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows with their probabilities; those that could not be scored have none, or are left out."""
    kind = schema.field("prediction").type
    classes: list[Any] = [int(c) for c in plan.classes] if plan.numbered else plan.classes
    bad = scored.bad if scored.unscored else None
    if scored.predicted.ndim == 1:
        prediction = pa.array(classes, kind).take(pa.array(scored.predicted, mask=bad))
    else:
        sets = [
            None if wrong else [c for c, yes in zip(classes, row, strict=True) if yes]
            for row, wrong in zip(scored.predicted.T, scored.bad, strict=True)
        ]
        joined = [None if s is None else ";".join(map(str, s)) for s in sets] if pa.types.is_string(kind) else sets
        prediction = pa.array(joined, kind)
    text = "set" in schema.names and pa.types.is_string(schema.field("set").type)
    more = [] if plan.rule is None else plan.rule.columns(scored.decided, scored.inside, bad, text=text)
    kept = list(schema)[: len(schema) - len(plan.classes) - 2 - len(more)]
    columns = [typed(scored.batch.column(f.name), f.name, f.type) for f in kept]
    columns += [pa.array(p, mask=bad) for p in scored.probability]
    made = pa.record_batch([*columns, prediction, pa.array(scored.confidence, mask=bad), *more], schema=schema)
    return made.filter(pa.array(~bad)) if bad is not None and plan.on_bad == "drop" else made
