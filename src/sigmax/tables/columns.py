"""Which columns hold the scores, what the classes are called, and how a batch becomes a matrix."""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.files import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Kind", "OnBad", "Plan", "already_probabilities", "label_indices", "label_sets", "make_plan", "score_matrix"]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|infinity|nan)", re.IGNORECASE)

Kind = Literal["softmax", "sigmoid", "multilabel"]
OnBad = Literal["fail", "null", "drop"]  # what becomes of a row that cannot be scored


@dataclass(frozen=True)
class Plan:
    """What to do with each batch: where the scores are, what they stand for, what the classes are called."""

    columns: list[str]
    is_list: bool
    classes: list[str]
    kind: Kind
    dtype: np.dtype[Any]
    temperature: float
    label: str | None
    on_bad: OnBad = "null"

    @property
    def scores(self) -> int:
        """The number of scores in a row: one for the two classes of a sigmoid."""
        return 1 if self.kind == "sigmoid" else len(self.classes)

    @property
    def numbered(self) -> bool:
        """Whether the classes are called by numbers."""
        return all(c.isdecimal() and str(int(c)) == c for c in self.classes)


def _is_numeric(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a score: integers, floats and decimals, not booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists) and _is_numeric(kind.value_type)


def _unknown(name: str, schema: pa.Schema) -> TableError:
    near = difflib.get_close_matches(name, schema.names, n=1, cutoff=0.0)
    return TableError(
        f"there is no column '{name}'" + (f"; did you mean '{near[0]}'?" if near else "; the file has no columns")
    )


def _chosen(schema: pa.Schema, first: pa.RecordBatch | None, asked: Sequence[str], label: str | None) -> list[str]:
    if not asked:
        numeric = [f.name for f in schema if _is_numeric(f.type) and f.name != label]
        lists = [f.name for f in schema if _is_list(f.type) and f.name != label]
        for field in schema:
            if first is not None and pa.types.is_string(field.type) and field.name != label:
                word = _looks_numeric(first.column(field.name))
                if word is not None:
                    raise TableError(
                        f"column '{field.name}' holds numbers, but also '{word}': mend it, or name the score columns with --columns"
                    )
        if len(lists) == 1 and not any(pa.types.is_floating(schema.field(n).type) for n in numeric):
            return lists
        if not numeric:
            raise TableError(f"no column is numeric among {', '.join(schema.names)}; name the scores with --columns")
        return numeric
    names: list[str] = []
    for pattern in asked:
        matches = [pattern] if pattern in schema.names else fnmatch.filter(schema.names, pattern)
        if not matches:
            raise _unknown(pattern, schema)
        names += [n for n in matches if n not in names and (n != label or n == pattern)]
    return names


def _list_size(column: str, schema: pa.Schema, first: pa.RecordBatch | None) -> int:
    """Return the number of scores in the first row that has any."""
    kind = schema.field(column).type
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    sizes = [] if first is None else pc.list_value_length(first.column(column)).drop_null().slice(0, 1).to_pylist()
    return sizes[0] if sizes else 0


def _looks_numeric(column: pa.Array) -> str | None:
    """Return the first word in a text column that otherwise holds numbers."""
    words = [w for w in column.slice(0, 1000).to_pylist() if w is not None]
    odd = [w for w in words if not _NUMBER.fullmatch(w.strip())]
    return odd[0] if odd and len(odd) < len(words) / 2 else None


def _mostly_numbers(column: pa.Array) -> bool:
    words = [w for w in column.slice(0, 1000).to_pylist() if w]
    return not words or sum(bool(_NUMBER.fullmatch(w.strip())) for w in words) > len(words) / 2


def make_plan(
    schema: pa.Schema,
    first: pa.RecordBatch | None,
    *,
    columns: Sequence[str],
    label: str | None,
    kind: Kind | None,
    classes: Sequence[str],
    temperature: float,
    on_bad: OnBad = "null",
) -> Plan:
    """Settle every choice from the schema and the first batch, or say what is wrong with it."""
    if not (temperature >= 0):
        raise TableError(f"the temperature is {temperature}; it must be at least 0")
    if label is not None and label not in schema.names:
        raise _unknown(label, schema)
    if len(set(schema.names)) < len(schema.names):
        twice = next(n for n in schema.names if schema.names.count(n) > 1)
        raise TableError(f"two columns are called '{twice}'; rename one")
    names = _chosen(schema, first, columns, label)
    if label in names:
        raise TableError(f"'{label}' is both a score and the label")
    is_list = len(names) == 1 and _is_list(schema.field(names[0]).type)
    for name in names:
        words = pa.types.is_string(schema.field(name).type) and first is not None
        if words and not is_list and _mostly_numbers(first.column(name)):  # type: ignore[union-attr]
            continue
        if not is_list and not _is_numeric(schema.field(name).type):
            raise TableError(
                f"column '{name}' is {schema.field(name).type}, not numeric; choose the score columns with --columns"
            )

    count = _list_size(names[0], schema, first) if is_list else len(names)
    if not count:
        raise TableError(f"column '{names[0]}' has no row with scores")
    kind = kind or ("sigmoid" if count == 1 else "softmax")
    if kind == "sigmoid" and count > 1:
        raise TableError(
            f"a sigmoid takes one score and there are {count}: use --kind multilabel for a sigmoid each, or softmax"
        )
    if kind == "softmax" and count == 1:
        raise TableError("the softmax of one score is always 1: use --kind sigmoid, or name more columns")

    expected = 2 if kind == "sigmoid" else count
    if classes and len(classes) != expected:
        raise TableError(f"{len(classes)} classes are named and the scores stand for {expected}")
    if len(set(classes)) < len(classes):
        raise TableError(f"the classes {', '.join(classes)} are not all different")
    if not classes:
        classes = _class_names(names) if not is_list and kind != "sigmoid" else [str(k) for k in range(expected)]
    kinds = [schema.field(n).type.value_type if is_list else schema.field(n).type for n in names]
    narrow = all(pa.types.is_float16(t) or pa.types.is_float32(t) for t in kinds)
    dtype = np.dtype(np.float32 if narrow else np.float64)
    return Plan(names, is_list, list(classes), kind, dtype, temperature, label, on_bad)


def _class_names(columns: list[str]) -> list[str]:
    """What tells the columns apart: 'score_cat', 'score_dog' stand for the classes 'cat' and 'dog'."""
    first, last = min(columns), max(columns)
    prefix = first[: next((i for i, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))]
    while prefix and prefix[-1].isalnum():
        prefix = prefix[:-1]
    names = [c[len(prefix) :] for c in columns]
    return names if all(names) else columns


def score_matrix(batch: pa.RecordBatch, plan: Plan) -> tuple[NDArray[np.floating[Any]], dict[str, NDArray[np.bool_]]]:
    """
    Return the scores of a batch, one row of the matrix a class, and the rows that cannot be scored, by reason.

    A score that is missing stands as NaN in the matrix.
    """
    n = batch.num_rows
    missing, words = np.zeros(n, bool), np.zeros(n, bool)
    unscored: dict[str, NDArray[np.bool_]] = {}
    if plan.is_list:
        column = batch.column(plan.columns[0])
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        missing |= pc.is_null(column).to_numpy(zero_copy_only=False)
        wrong = (lengths != plan.scores) & ~missing
        if wrong.any():
            unscored[f"not {plan.scores} scores"] = wrong
        whole = ~missing & ~wrong
        values = column.filter(pa.array(whole)).flatten()
        x = np.full((n, plan.scores), np.nan, plan.dtype)
        x[whole] = _floats(values, plan.dtype).reshape(-1, plan.scores)
        nulls = values.is_null().to_numpy(zero_copy_only=False).reshape(-1, plan.scores).any(axis=1)
        missing[np.flatnonzero(whole)[nulls]] = True
        matrix = x.T
    else:
        matrix = np.empty((len(plan.columns), n), plan.dtype)
        for row, name in zip(matrix, plan.columns, strict=True):
            column = batch.column(name)
            if pa.types.is_string(column.type):
                column, wrong = _parsed(column)
                words |= wrong
            row[:] = _floats(column, plan.dtype)
            if column.null_count:
                missing |= column.is_null().to_numpy(zero_copy_only=False)
    unscored["a score is no number"] = words
    unscored["a score is missing"] = missing & ~words
    settled = missing | words
    for rows in unscored.values():
        settled |= rows
    with np.errstate(invalid="ignore", over="ignore"):
        usual = np.isfinite(matrix.sum())  # which every NaN and infinity ends up in
    if not usual:
        unscored["a score is NaN"] = np.isnan(matrix).any(axis=0) & ~settled
        settled |= unscored["a score is NaN"]
        infinite = np.isinf(matrix) if plan.kind != "softmax" else matrix == np.inf
        unscored["a score is infinite"] = infinite.any(axis=0) & ~settled
        settled |= unscored["a score is infinite"]
        if plan.kind == "softmax":  # -inf beside finite scores is an impossible class
            unscored["every score is -inf"] = (matrix == -np.inf).all(axis=0) & ~settled
    return matrix, {reason: rows for reason, rows in unscored.items() if rows.any()}


def _parsed(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return the numbers in a column of words, null where there is none; and where there is a word that is no number."""
    trimmed = pc.utf8_trim_whitespace(column)
    numbers = pc.match_substring_regex(trimmed, f"^({_NUMBER.pattern})$", ignore_case=True)
    empty = pc.fill_null(pc.equal(trimmed, ""), True)
    wrong = pc.and_(pc.invert(pc.fill_null(numbers, True)), pc.invert(empty))
    values = pc.if_else(numbers, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())
    return values, wrong.to_numpy(zero_copy_only=False)


def already_probabilities(matrix: NDArray[Any], kind: Kind) -> str | None:
    """
    Return 'probabilities' or 'log-probabilities' if that is what scores are.

    Parameters
    ----------
    matrix : ndarray of shape (classes, rows)
        Rows that can be scored.
    """
    if kind != "softmax" or not matrix.shape[1]:
        return None
    close = min(5e-4 * len(matrix), 0.01)  # three decimals are taken for rounded
    if matrix.min() >= 0 and matrix.max() <= 1:
        return "probabilities" if np.abs(matrix.sum(axis=0) - 1).max() <= close else None
    if matrix.max() <= 0 and np.abs(np.exp(matrix).sum(axis=0) - 1).max() <= close:
        return "log-probabilities"
    return None


def _floats(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype)


def _class_of(value: Any, classes: Sequence[str]) -> int | None:
    """Return the class that a label names: by its name, or by its number from 0."""
    whole = isinstance(value, bool) or (isinstance(value, float) and value.is_integer())
    text = str(int(value)) if whole else str(value)
    if text in classes:
        return list(classes).index(text)
    numeric = isinstance(value, int | float) and text.isdecimal()
    return int(text) if numeric and int(text) < len(classes) else None


def _no_such_class(value: Any, row: int, classes: Sequence[str]) -> TableError:
    few = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    return TableError(
        f"the label {value!r} in row {row} is none of the classes {few}; name them in order with --classes"
    )


def label_indices(column: pa.Array, classes: Sequence[str], first_row: int) -> NDArray[np.int64]:
    """Return the class of each label, -1 where it is missing or empty."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = np.asarray(encoded.indices.fill_null(-1))
    found = []
    for i, value in enumerate(encoded.dictionary.to_pylist()):
        missing = value is None or (value == "" and "" not in classes)
        known = -1 if missing else _class_of(value, classes)
        if known is None:
            raise _no_such_class(value, first_row + int(np.flatnonzero(indices == i)[0]), classes)
        found.append(known)
    return np.asarray([*found, -1], np.int64).take(indices)


def label_sets(column: pa.Array, classes: Sequence[str], first_row: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which classes each label names (a list, or words joined by ';'), a row a class; and which labels are there."""
    truth = np.zeros((len(classes), len(column)), bool)
    known = np.asarray(column.is_valid())
    for row, value in enumerate(column.to_pylist()):
        members = value.split(";") if isinstance(value, str) else value if isinstance(value, list) else [value]
        for member in members if known[row] else []:
            if member == "":
                continue
            k = _class_of(member, classes)
            if k is None:
                raise _no_such_class(member, first_row + row, classes)
            truth[k, row] = True
    return truth, known
