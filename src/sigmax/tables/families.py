"""
Which columns of a file are its scores, where nobody said so.

Scores are a family: columns that share a name but for the class ('score_0', 'score_1', ...; 'logit_cat', 'logit_dog'), or that are
named as the values of the label, or all columns of a file that has nothing else. A numeric column outside of the family could be a
score too, or an id, a weight, a target; two families could both be meant. Such a file is not guessed at: the error names the readings.

Names are compared as templates. 'score_0' fits 'score_*' by its number, 'logit_cat' fits 'logit_*' and '*_cat' by its words; what
most columns fit is their family. Numbers and words do not mix, so that 'score_max' is no class beside 'score_0' to 'score_9'.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.dialect import NUMBER, Dialect
from sigmax.tables.errors import AmbiguousError, Reading, TableError
from sigmax.tables.labels import distinct, key_of, members

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Table", "class_names", "is_list", "is_numeric", "score_columns"]

LOOKED_AT = 1000  # rows
MOST_NAMED = 40  # columns that a reading lists

_SEPARATOR = re.compile(r"[^0-9A-Za-z]+")
_ALMOST_NUMBER = re.compile(r"[^0-9A-Za-z]*\d[\d.,'_\s]*([eE][-+]?\d+)?[^0-9A-Za-z]*")
_ROW_NAMES = re.compile(r"|Unnamed: 0|__index_level_0__")  # what pandas and R write before each row
_FEATURES = re.compile(r"feat(ure)?s?([^a-z]|$)", re.IGNORECASE)
_LABELS = frozenset(
    [
        "actual",
        "class",
        "class_id",
        "diagnosis",
        "ground_truth",
        "gt",
        "label",
        "labels",
        "outcome",
        "response",
        "species",
        "target",
        "targets",
        "true",
        "truth",
        "y",
        "y_true",
    ]
)
_NO_SCORES = _LABELS | frozenset(
    [
        "age",
        "amount",
        "batch",
        "confidence",
        "count",
        "date",
        "datetime",
        "day",
        "duration",
        "epoch",
        "fold",
        "group",
        "id",
        "idx",
        "index",
        "key",
        "lat",
        "lon",
        "month",
        "no",
        "nr",
        "num",
        "number",
        "pred",
        "predicted",
        "prediction",
        "price",
        "row",
        "row_id",
        "rowid",
        "seed",
        "size",
        "split",
        "step",
        "time",
        "timestamp",
        "uid",
        "uuid",
        "weight",
        "weights",
        "wt",
        "y_pred",
        "year",
    ]
)
_NO_CLASSES = frozenset(
    ["fold", "id", "idx", "index", "label", "sample_weight", "target", "timestamp", "uid", "uuid", "weight"]
)


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a column of this type can be a score: integers, floats and decimals, not booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column holds lists of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists) and is_numeric(kind.value_type)


@dataclass(frozen=True)
class Table:
    """
    What is known of a file before it is read.

    Attributes
    ----------
    schema : pyarrow.Schema
    first : pyarrow.RecordBatch or None
        Its first rows; None if it has none.
    named : bool
        Whether the columns have names of their own; not so in .npy files, nor without a header.
    label : str or None
        The column of the true class.
    dialect : Dialect
        How its numbers are written.
    """

    schema: pa.Schema
    first: pa.RecordBatch | None
    named: bool
    label: str | None
    dialect: Dialect

    def beginning(self, name: str) -> pa.Array:
        """Return the first rows of a column."""
        if self.first is None:
            return pa.array([], self.schema.field(name).type)
        return self.first.column(self.schema.get_field_index(name)).slice(0, LOOKED_AT)

    def label_values(self) -> list[Any]:
        """Return the different labels of the first rows; for lists and words joined by ';' their parts too."""
        if self.label is None or self.first is None:
            return []
        column = self.first.column(self.schema.get_field_index(self.label))
        if pa.types.is_nested(column.type):
            return list({key_of(m): m for v in column.to_pylist() if v is not None for m in members(v)}.values())
        values = distinct(column)
        if any(isinstance(v, str) and ";" in v for v in values):
            values = [m for v in values for m in members(v)]
        return values

    def holds_numbers(self, name: str) -> bool:
        """Return whether most words of a column are numbers, if perhaps with marks that no number has, as in '$1.20' and '95%'."""
        kind = self.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return False
        words = [w.strip() for w in self.beginning(name).to_pylist() if w and w.strip()]
        number = self.dialect.number()
        like = sum(bool(number.fullmatch(w) or _ALMOST_NUMBER.fullmatch(w)) for w in words)
        return like > len(words) / 2

    def values(self, name: str) -> NDArray[np.float64] | None:
        """Return the first numbers of a column that are there; None for words."""
        column = self.beginning(name)
        if not is_numeric(column.type):
            return None
        found = np.asarray(pc.cast(column.drop_null(), pa.float64(), safe=False), np.float64)
        return np.extract(np.isfinite(found), found)


def score_columns(table: Table) -> list[str]:
    """Return the score columns, or say what keeps them from being known."""
    names = [f.name for f in table.schema if f.name != table.label]
    lists = [n for n in names if is_list(table.schema.field(n).type)]
    numeric = [n for n in names if is_numeric(table.schema.field(n).type) or table.holds_numbers(n)]
    if len(numeric) > 1:
        numeric = [n for n in numeric if not (_ROW_NAMES.fullmatch(n) and _names_rows(table.values(n)))]
    if not numeric and not lists:
        raise TableError(f"no column is numeric among {_some(names)}; name the scores with --columns")
    if lists:
        if len(lists) == 1 and not numeric:
            return lists
        found = _families(table, numeric)
        odd = (
            f"'{numeric[0]}' is numeric and outside of the list '{lists[0]}'"
            if numeric
            else f"there are {len(lists)} lists"
        )
        raise _ambiguous(table, names, odd, [[n] for n in lists] + found)
    others = [n for n in names if n not in set(numeric) and n != ""]
    found = _families(table, numeric) if table.named else []
    if not found:
        return _everything(table, names, numeric, others)
    inside = set().union(*found)
    odd_ones = [n for n in numeric if n not in inside]
    if len(found) > 1:
        raise _ambiguous(
            table, names, f"{_pattern(found[0], names)} and {_pattern(found[1], names)} could both be scores", found
        )
    if odd_ones:
        what = f"'{odd_ones[0]}' is numeric and not one of {_pattern(found[0], names)}"
        raise _ambiguous(table, names, what, [*found, [n for n in numeric if n not in _suspects(table, numeric)]])
    lost = _stray(table, others, found[0])
    if lost is not None:
        kind = table.schema.field(lost).type
        state = "is empty" if pa.types.is_null(kind) else f"is {kind}, not numeric"
        raise TableError(
            f"column '{lost}' {state}, and is named like the scores {_pattern(found[0], names)}: mend it, or leave it out with --columns"
        )
    return found[0]


def _stray(table: Table, others: Sequence[str], family: list[str]) -> str | None:
    """Return a column that has the name of a class of the family, though not its numbers."""
    prefix, ending = _shared(family)
    number = re.compile(rf"{re.escape(prefix.rstrip('0123456789'))}\d+{re.escape(ending.lstrip('0123456789'))}")
    is_numbered = all(map(number.fullmatch, family))
    labels = {key_of(v) for v in table.label_values()}
    before, after = _at_words(prefix, ending)
    for name in others:
        token = name[len(before) : len(name) - len(after)]
        fits = name.startswith(before) and name.endswith(after) and bool(token)
        if (is_numbered and number.fullmatch(name)) or (fits and key_of(token) in labels):
            return name
    return None


def _everything(table: Table, names: list[str], numeric: list[str], others: list[str]) -> list[str]:
    """Return all columns of a file that has nothing but scores."""
    suspects = _suspects(table, numeric)
    rest = [n for n in numeric if n not in suspects]
    if len(numeric) == 1:
        if others or suspects:
            raise _ambiguous(table, names, f"'{numeric[0]}' is the only numeric column among {_some(names)}", [numeric])
        return numeric
    if suspects:
        why = f"'{next(n for n in numeric if n in suspects)}' does not look like a score"
        raise _ambiguous(table, names, why, [r for r in (rest, numeric) if r])
    if others:
        raise _ambiguous(
            table, names, f"{_some(numeric)} are numeric, and beside them stands {_some(others)}", [numeric]
        )
    return numeric


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


# ---- families by name ----


def _families(table: Table, names: list[str]) -> list[list[str]]:
    """Return the families of columns, the one that the labels name alone if there is one; else the largest first."""
    order = {n: i for i, n in enumerate(names)}
    labels = {key_of(v) for v in table.label_values()}
    templates = _templates(names)
    if labels:
        named = [n for n in names if key_of(n) in labels]
        if len(named) > 1:
            return [named]
        fitting = [t for t in templates if labels <= {key_of(token) for token in t[1]}]
        if fitting:
            is_number, by_token = fitting[0]
            chosen = sorted(by_token.values(), key=order.__getitem__)
            if not is_number:
                suspects = _suspects_in(table, chosen, {n for t, n in by_token.items() if key_of(t) in labels})
                chosen = [n for n in chosen if n not in suspects]
            return _by_size([chosen, *_split(templates, set(chosen), order)], order)
    numbered = _split([t for t in templates if t[0]], set(), order)
    if sum(map(len, numbered)) < len(names):
        whole = next((m for is_number, m in templates if not is_number and len(m) == len(names)), None)
        found = [list(whole.values())] if whole else _split(templates, set(), order)
    else:
        found = numbered
    kept = []
    for family in found:
        suspects = _suspects_in(table, family, set()) if not _is_numbered(family) else set()
        left = [n for n in sorted(family, key=order.__getitem__) if n not in suspects]
        if len(left) > 1:
            kept.append(left)
    return _by_size(kept, order)


def _by_size(families: list[list[str]], order: dict[str, int]) -> list[list[str]]:
    return sorted((f for f in families if len(f) > 1), key=lambda f: (-len(f), order[f[0]]))


def _templates(names: Iterable[str]) -> list[tuple[bool, dict[str, str]]]:
    """Return what two columns or more share of their names: whether a number is left, and the column of each token; the largest first."""
    groups: dict[tuple[bool, str, str], dict[str, str]] = {}
    for name in names:
        for run in re.finditer(r"\d+", name):
            groups.setdefault((True, name[: run.start()], name[run.end() :]), {})[run[0]] = name
        for cut in _SEPARATOR.finditer(name):
            for token, fixed in (
                (name[cut.end() :], (name[: cut.end()], "")),
                (name[: cut.start()], ("", name[cut.start() :])),
            ):
                if token and not token.isdecimal():
                    groups.setdefault((False, *fixed), {})[token] = name
    shared = [(key, by_token) for key, by_token in groups.items() if len(by_token) > 1 and not _FEATURES.match(key[1])]
    shared.sort(key=lambda g: (-len(g[1]), not g[0][0], -len(g[0][1] + g[0][2])))
    return [(key[0], by_token) for key, by_token in shared]


def _split(templates: list[tuple[bool, dict[str, str]]], taken: set[str], order: dict[str, int]) -> list[list[str]]:
    """Give each column to the largest family that it fits; those in `taken` are given."""
    taken, found = set(taken), []
    for _, by_token in templates:
        left = [n for n in by_token.values() if n not in taken]
        if len(left) > 1:
            found.append(sorted(left, key=order.__getitem__))
            taken.update(left)
    return found


def _is_numbered(names: Sequence[str]) -> bool:
    return any(is_number and len(by_token) >= len(names) for is_number, by_token in _templates(names))


# ---- columns that do not look like scores ----


def _names_rows(values: NDArray[np.float64] | None) -> bool:
    """Return whether the numbers of a column without a name are those of rows."""
    return values is not None and _is_whole(values) and np.unique(values).size == values.size


def _counts(values: NDArray[np.float64] | None) -> bool:
    """Return whether numbers go up by one from row to row."""
    return values is not None and values.size > 0 and bool((np.diff(values) == 1).all())


def _is_whole(values: NDArray[np.float64]) -> bool:
    return bool((values == np.rint(values)).all())


def _suspects(table: Table, names: list[str]) -> set[str]:
    """Return the columns that are named, or filled, as ids, targets, weights and the like are."""
    found = {n for n in names if n.lower() in _NO_SCORES or _NO_CLASSES & set(_SEPARATOR.split(n.lower())) or not n}
    values = {n: table.values(n) for n in names}
    found |= {n for n, v in values.items() if v is not None and v.size >= 3 and _counts(v)}
    return found | _unlike_the_rest({n: v for n, v in values.items() if n not in found})


def _suspects_in(table: Table, names: list[str], sure: set[str]) -> set[str]:
    """Return the columns of a family that its name alone does not make a score."""
    found = {n for n in names if _NO_CLASSES & set(_SEPARATOR.split(n.lower()))}
    return (found | _unlike_the_rest({n: table.values(n) for n in names})) - sure


def _unlike_the_rest(columns: dict[str, NDArray[np.float64] | None]) -> set[str]:
    """Return the whole numbers among fractions; and among whole numbers, those that could number the other columns as classes do."""
    known = {n: v for n, v in columns.items() if v is not None and v.size >= 3}
    whole = [n for n, v in known.items() if _is_whole(v)]
    if len(whole) < len(known):
        return {n for n in whole if np.ptp(known[n]) > 0}
    last = len(columns) - 1  # a target's classes are the other columns, from 0 or from 1
    labels = [n for n in whole if known[n].min() >= 0 and known[n].max() <= last and np.ptp(known[n]) > 0]
    return set(labels) if len(labels) == 1 and len(known) > 2 else set()


# ---- what is said of them ----


def _pattern(columns: Sequence[str], names: Sequence[str]) -> str:
    found = _words(columns, names)
    return f"'{found[0]}'" if len(found) == 1 else _some(columns)


def _words(columns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return a glob that means just these of the file's columns, if there is one; else their names."""
    if len(columns) > 2:
        prefix, ending = (part.strip("0123456789") for part in _shared(columns))
        if not set("[?*") & set(prefix + ending) and prefix + ending:
            for glob in (f"{prefix}*{ending}", f"{prefix}[0-9]*{ending}"):
                if fnmatch.filter(names, glob) == list(columns):
                    return (glob,)
    return tuple(columns)


def _ambiguous(table: Table, names: list[str], why: str, families: list[list[str]]) -> AmbiguousError:
    readings = []
    for columns in families:
        if len(_words(columns, names)) <= MOST_NAMED:
            reading = Reading(
                _words(columns, names), None if table.label is not None else _label_for(table, names, columns)
            )
            if reading not in readings:
                readings.append(reading)
    return AmbiguousError(why, readings[:4])


def _label_for(table: Table, names: list[str], columns: Sequence[str]) -> str | None:
    """Return the column that seems to hold the true class, named as such or with the classes as its values."""
    others = [n for n in names if n not in set(columns)]
    for name in others:
        if name.lower() in _LABELS:
            return name
    classes = {key_of(c) for variant in _variants(columns) for c in variant}
    for name in others:
        column = table.beginning(name)
        if pa.types.is_nested(column.type) or pa.types.is_floating(column.type):
            continue
        values = {key_of(v) for v in distinct(column)}
        if len(values) > 1 and values <= classes:
            return name
    return None


# ---- names of classes ----


def _shared(names: Sequence[str]) -> tuple[str, str]:
    """Return what all names begin with, and what they end in."""
    return _beginning(names), _beginning([n[::-1] for n in names])[::-1]


def _beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)  # what these share, all between them share
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _at_words(prefix: str, ending: str) -> tuple[str, str]:
    """Return them cut to whole words."""
    before = prefix[: max((m.end() for m in _SEPARATOR.finditer(prefix)), default=0)]
    return before, ending[min((m.start() for m in _SEPARATOR.finditer(ending)), default=len(ending)) :]


def _variants(columns: Sequence[str]) -> list[list[str]]:
    """Return what may be called the class in the names of score columns, the likeliest first."""
    whole = list(columns)
    if len(columns) < 2 or all(NUMBER.fullmatch(c) for c in columns):
        return [whole]
    prefix, ending = _shared(whole)
    found: list[list[str]] = []
    for before, after in (_at_words(prefix, ending), (prefix.rstrip("0123456789"), ending.lstrip("0123456789"))):
        names = [c[len(before) : len(c) - len(after)] for c in whole]
        is_new = all(names) and len(set(names)) == len(names) and names not in found
        if is_new and (not found or all(n.isdecimal() for n in names)):
            found.append(names)
    return [*found, whole] if whole not in found else found


def class_names(columns: Sequence[str], labels: Iterable[Any]) -> list[str]:
    """Return what tells the columns apart, 'cat' and 'dog' of 'score_cat' and 'score_dog': that which the labels are called by."""
    variants = _variants(columns)
    known = {key_of(v) for v in labels}
    for names in variants:
        if known and known <= {key_of(n) for n in names}:
            return names
    return variants[0]
