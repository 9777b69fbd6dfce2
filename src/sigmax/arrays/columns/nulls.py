"""
Scores some of which are missing: what the adapters of tables and columns share.

A missing score is one that is not there, not an impossible one and not a wrong one: its place stays empty in the result, and the
others share the whole, as aggregates of SQL have it. A row of missing scores has a missing sum. A NaN is a number gone wrong, and
its row is NaN, as everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import host
from sigmax.host.contract import axes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from sigmax.family import Function

__all__ = ["Column", "call", "columns_as_matrix", "in_order_of", "is_frame", "not_alike", "per_list"]


@dataclass(frozen=True)
class Column:
    """Numbers, and which of them are there; None where all are."""

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None

    @property
    def missing(self) -> NDArray[np.bool_] | None:
        """Which numbers are not there; None where all are."""
        return None if self.valid is None else ~self.valid


def columns_as_matrix(columns: Iterable[Column]) -> Column:
    """Return columns side by side, in a dtype that holds all of them."""
    parts = list(columns)
    if not parts:
        return Column(np.empty((0, 0)))
    floats = [c.values if c.values.dtype.kind == "f" else c.values.astype(np.float64) for c in parts]
    values = np.stack(floats, axis=1)
    if all(c.valid is None for c in parts):
        return Column(values)
    return Column(values, np.stack([np.ones(len(values), bool) if c.valid is None else c.valid for c in parts], axis=1))


def call(entry: Function, x: Column, args: tuple[Any, ...], options: Mapping[str, Any]) -> list[Column]:
    """
    Call a function on scores and the arguments that follow them.

    Returns
    -------
    list of Column
        Its results: one, or two for the functions that return a pair.
    """
    options = dict(options)
    if options.get("out") is not None:
        raise TypeError("columns are not written to; leave out= away and take the result")
    options.pop("out", None)
    if entry.kind == "elementwise":
        return [Column(host.run(entry, x.values, *args, **options), x.valid)]
    if entry.kind == "two classes":
        labels = _as_labels(args[0])
        found = [v.valid for v in (x, labels) if v.valid is not None]
        results = host.run(entry, x.values, labels.values)
        valid = np.logical_and.reduce(np.broadcast_arrays(*found)) if found else None
        return [Column(r, valid) for r in (results if isinstance(results, tuple) else (results,))]

    axes = axes_of(options.get("axis", -1), max(x.values.ndim, 1))
    rows_valid: Any = None
    if x.valid is not None:
        where = options.get("where")
        options["where"] = x.valid if where is None else np.asarray(where) & x.valid
        rows_valid = x.valid.any(axis=axes, keepdims=bool(options.get("keepdims")))
        if not math.prod(x.values.shape[i] for i in axes):  # nothing is missing from an empty row
            rows_valid = np.ones_like(rows_valid)
    if entry.labelled:
        labels = _as_labels(args[0])
        rows_valid = _labelled(x, labels, rows_valid, axes)
        args = (labels.values, *args[1:])
    results = host.run(entry, x.values, *args, **options)
    pair = results if isinstance(results, tuple) else (results,)
    return [
        Column(np.asarray(r), x.valid if place == "score" else rows_valid)
        for r, place in zip(pair, entry.places(options), strict=True)
    ]


def _as_labels(labels: Any) -> Column:
    if isinstance(labels, Column):
        return labels
    if isinstance(labels, np.ma.MaskedArray):
        return Column(labels.filled(0), ~np.ma.getmaskarray(labels))
    return Column(np.asarray(labels))


def _labelled(
    x: Column, labels: Column, rows_valid: NDArray[np.bool_] | None, axes: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """Return which rows have a loss: those with a label whose score is there."""
    if labels.values.dtype.kind in "iu" and x.valid is not None and len(axes) == 1:
        number = np.expand_dims(np.clip(labels.values, 0, x.values.shape[axes[0]] - 1), axes[0])
        rows_valid = np.take_along_axis(x.valid, number, axes[0]).squeeze(axes[0])
    if labels.valid is not None:
        a_row = labels.values.ndim == x.values.ndim - len(axes)
        there = labels.valid if a_row else np.asarray(labels.valid.all(axis=axes))
        rows_valid = there if rows_valid is None else rows_valid & there
    return rows_valid


def per_list(
    entry: Function,
    x: Column,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    options: Mapping[str, Any],
) -> list[tuple[Column, bool]]:
    """
    Call a function on each of many lists of scores.

    Parameters
    ----------
    x : Column
        The scores of all lists, one after another or in any order.
    starts, lengths : ndarray
        Where each list begins, and how long it is.

    Returns
    -------
    list of (Column, bool)
        One number a score in the places of `x`, and True; or one number a list, and False.
    """
    if options.get("axis", -1) not in (-1, (-1,)):
        raise TypeError(f"axis={options['axis']!r}: the scores of a list have one axis; leave it away")
    options = {k: v for k, v in options.items() if k not in ("axis", "out", "keepdims")}
    if options.get("where") is not None:
        raise TypeError("where= is for arrays; leave scores out by making them null")
    kinds = call(entry, Column(x.values[:0].reshape(0, 1)), (), options)
    found = []
    for r in kinds:
        per_score = r.values.ndim == 2
        count = len(x.values) if per_score else len(lengths)
        found.append((Column(np.zeros(count, r.values.dtype), np.ones(count, bool)), per_score))
    # lists of one length are a matrix, whose rows do not depend on one another
    for length in np.unique(lengths):
        which = np.flatnonzero(lengths == length)
        places = starts[which, None] + np.arange(length)
        part = Column(x.values[places], None if x.valid is None else x.valid[places])
        for (target, per_score), r in zip(found, call(entry, part, (), options), strict=True):
            at = places if per_score else which
            target.values[at] = r.values
            if r.valid is not None and target.valid is not None:
                target.valid[at] = r.valid
    return found


def in_order_of(names: Sequence[Any], frame: Any, what: str) -> Any:
    """
    Return a frame that goes with the scores, its columns in their order; refuse one that has others.

    Parameters
    ----------
    names : sequence
        What the columns of the scores are called.
    frame : a table of pandas, Polars or pyarrow
        A mask, weights, or the probabilities of classes.
    what : str
        Its name, for the error.
    """
    own = list(frame.column_names if hasattr(frame, "column_names") else frame.columns)
    if own == list(names):
        return frame
    if len(set(own)) < len(own) or set(own) != set(names):
        raise not_alike(what, "columns", own, names)
    return frame.select(list(names)) if hasattr(frame, "column_names") else frame[list(names)]


def is_frame(value: Any) -> bool:
    """Return whether a value is a table with named columns."""
    library = type(value).__module__.partition(".")[0]
    return library in ("pandas", "polars", "pyarrow") and type(value).__name__ in ("DataFrame", "Table", "RecordBatch")


def not_alike(what: str, axis: str, own: Sequence[Any], names: Sequence[Any]) -> ValueError:
    """Return the error for what has other names than the scores."""
    shown = [", ".join(map(repr, list(v)[:4])) + (", ..." if len(v) > 4 else "") for v in (own, names)]
    return ValueError(
        f"{what} has the {axis} {shown[0]} and the scores have {shown[1]}: give both the same, or pass an array to go by position"
    )
