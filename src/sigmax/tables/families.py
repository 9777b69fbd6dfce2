"""
Which columns of a file are its scores, where nobody said so.

Scores are a family: columns that share a name but for the class ('score_0', 'score_1', ...; 'logit_cat', 'logit_dog'), or that are
named as the values of the label, or all columns of a file that has nothing else. A numeric column outside of the family could be a
score too, or an id, a weight, a target; two families could both be meant. Such a file is not guessed at: the error names the readings.

Names are compared as templates. 'score_0' fits 'score_*' by its number, 'logit_cat' fits 'logit_*' and '*_cat' by its words; what
most columns fit is their family. Numbers and words do not mix, so that 'score_max' is no class beside 'score_0' to 'score_9', unless
the labels say that it is.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.dialect import NUMBER, Dialect
from sigmax.tables.errors import AmbiguousError, Reading, TableError
from sigmax.tables.labels import distinct, key_of, members

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "ENOUGH",
    "LOOKED_AT",
    "Table",
    "class_names",
    "is_list",
    "is_numeric",
    "is_row_name",
    "is_text",
    "score_columns",
    "variants",
]

LOOKED_AT = 1000  # rows
FEW = 5  # rows that may be anything
ENOUGH = 20  # rows by which a column shows what it is
MOST_NAMED = 300  # columns that a reading lists

_SEPARATOR = re.compile(r"[\W_]+")
_RUN = re.compile(r"(?<![^\W_])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?")  # a number in a name; not the minus in 'score-1'
_ALMOST_NUMBER = r"^\W*\d[\d.,'_\s]*([eE][-+]?\d+)?\W*$"  # '$1.20', '95%', '1.234,5'
_ROW_NAMES = re.compile(r"|Unnamed: \d+(\.\d+)?|__index_level_\d+__")  # what pandas and R write before each row
_FEATURES = re.compile(
    r"(dim|emb(edding)?|feat(ure)?|hidden|pca|top)s?([^a-z]|$)", re.IGNORECASE
)  # numbered, and no classes
_LABELS = frozenset(
    [
        "actual",
        "class",
        "class_id",
        "diagnosis",
        "gold",
        "ground_truth",
        "gt",
        "label",
        "labels",
        "outcome",
        "response",
        "species",
        "target",
        "targets",
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
_BESIDE = ("prediction", "confidence")  # what stands beside the probabilities in a file of results
_IDS = frozenset(["fold", "id", "idx", "index", "timestamp", "uid", "uuid"])
_NO_CLASSES = _IDS | frozenset(
    [
        "avg",
        "bias",
        "confidence",
        "count",
        "entropy",
        "label",
        "logsumexp",
        "loss",
        "lse",
        "margin",
        "max",
        "mean",
        "median",
        "min",
        "n",
        "norm",
        "scale",
        "std",
        "sum",
        "target",
        "temperature",
        "threshold",
        "total",
        "true",
        "var",
        "version",
        "weight",
    ]
)


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a column of this type can be a score: integers, floats and decimals, not booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column holds words."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column holds lists of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists) and is_numeric(kind.value_type)


def is_row_name(name: str) -> bool:
    """Return whether a column has the name that programs give to one without."""
    return _ROW_NAMES.fullmatch(name) is not None


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
    typed : bool
        Whether their types are those of the file, and not guessed from its text.
    label : str or None
        The column of the true class.
    dialect : Dialect
        How its numbers are written.
    """

    schema: pa.Schema
    first: pa.RecordBatch | None
    named: bool
    typed: bool
    label: str | None
    dialect: Dialect

    @functools.cached_property
    def names(self) -> list[str]:
        """All columns but the label."""
        return [f.name for f in self.schema if f.name != self.label]

    def kind(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        return self.schema.field(name).type

    def beginning(self, name: str) -> pa.Array:
        """Return the first rows of a column."""
        if self.first is None:
            return pa.array([], self.kind(name))
        return self.first.column(self.schema.get_field_index(name)).slice(0, LOOKED_AT)

    @functools.cached_property
    def labels(self) -> set[Any]:
        """The different labels of the first rows, as they compare; of lists, their members."""
        if self.label is None or self.first is None or self.label not in self.schema.names:
            return set()
        column = self.first.column(self.schema.get_field_index(self.label))
        if pa.types.is_nested(column.type):
            return {key_of(m) for v in column.to_pylist() if v is not None for m in members(v)}
        return {key_of(v) for v in distinct(column)}

    def holds_numbers(self, name: str, almost: bool = False) -> bool:
        """Return whether most words of a column are numbers; or almost, with marks that no number has, as in '$1.20' and '95%'."""
        if not is_text(self.kind(name)):
            return False
        words = pc.utf8_trim_whitespace(self.beginning(name).drop_null())
        words = words.filter(pc.not_equal(words, ""))
        like = pc.match_substring_regex(words, f"^({self.dialect.number().pattern})$", ignore_case=True)
        if almost:
            like = pc.or_(like, pc.match_substring_regex(words, _ALMOST_NUMBER))
        return bool((pc.sum(like).as_py() or 0) > len(words) / 2)

    def values(self, name: str) -> NDArray[np.float64] | None:
        """Return the first numbers of a column that are there; None for words."""
        column = self.beginning(name)
        if not is_numeric(column.type):
            return None
        found = np.asarray(pc.cast(column.drop_null(), pa.float64(), safe=False), np.float64)
        return np.extract(np.isfinite(found), found)


def score_columns(table: Table) -> list[str]:
    """Return the score columns, or say what keeps them from being known."""
    lists = [n for n in table.names if is_list(table.kind(n))]
    numeric = [n for n in table.names if is_numeric(table.kind(n)) or (not table.typed and table.holds_numbers(n))]
    if len(numeric) > 1:
        numeric = [n for n in numeric if not (is_row_name(n) and not pa.types.is_floating(table.kind(n)))]
    known = {*numeric, *lists}
    almost = [n for n in table.names if n not in known and table.holds_numbers(n, almost=True)]
    if not (numeric or lists or almost):
        raise TableError(f"no column is numeric among {_some(table.names)}; name the scores with --columns")
    if lists:
        if len(lists) == 1 and not numeric:
            return lists
        odd = (
            f"'{numeric[0]}' is numeric and outside of the list '{lists[0]}'"
            if numeric
            else f"there are {len(lists)} lists"
        )
        raise _ambiguous(table, odd, [[n] for n in lists] + _families(table, numeric))
    found = _families(table, _in_order(table, {*numeric, *almost})) if table.named else []
    if not found:
        numeric = numeric or almost
        known = {*numeric}
        return _everything(table, numeric, [n for n in table.names if n not in known and not is_row_name(n)])
    chosen, inside = found[0], set().union(*found)
    odd_ones = [n for n in numeric if n not in inside]
    if all(n.startswith("p_") for n in chosen) and set(odd_ones) <= {*_BESIDE}:  # a file of results
        odd_ones = []
    if len(found) > 1:
        why = f"{_pattern(table, chosen)} and {_pattern(table, found[1])} could both be scores"
        raise _ambiguous(table, why, found)
    if odd_ones:
        suspects = _suspects(table, numeric)
        rest = [n for n in numeric if n not in suspects]
        before, after = _at_words(*_shared(chosen))
        alike = [n for n in numeric if _fits(n, before, after)]
        why = f"'{odd_ones[0]}' is numeric and not one of {_pattern(table, chosen)}"
        readings = [rest, chosen] if _is_named_by_labels(table, chosen) else [chosen, alike, rest]
        raise _ambiguous(table, why, [r for r in readings if len(r) > 1])
    taken = {*chosen}
    stray = _stray(table, [n for n in table.names if n not in taken], chosen)
    if stray is not None:
        state = "is empty" if pa.types.is_null(table.kind(stray)) else f"is {table.kind(stray)}, not numeric"
        raise _ambiguous(table, f"'{stray}' {state}, and is named like the scores {_pattern(table, chosen)}", [chosen])
    return chosen


def _everything(table: Table, numeric: list[str], others: list[str]) -> list[str]:
    """Return all columns of a file that has nothing but scores."""
    suspects = _suspects(table, numeric)
    rest = [n for n in numeric if n not in suspects]
    if len(numeric) == 1:
        if others or suspects:
            raise _ambiguous(table, f"'{numeric[0]}' is the only numeric column among {_some(table.names)}", [rest])
        return numeric
    if suspects:
        why = f"'{next(n for n in numeric if n in suspects)}' does not look like a score"
        raise _ambiguous(table, why, [r for r in (rest, numeric) if r])
    if others:
        raise _ambiguous(table, f"{_some(numeric)} are numeric, and beside them stands {_some(others)}", [numeric])
    return numeric


def _in_order(table: Table, names: set[str]) -> list[str]:
    return [n for n in table.names if n in names]


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


# ---- families by name ----


class _Template(NamedTuple):
    """What columns share of their names: whether the rest is a number, what stands before and after, the column of each rest."""

    is_number: bool
    before: str
    after: str
    columns: dict[str, str]


def _families(table: Table, names: list[str]) -> list[list[str]]:
    """Return the families of columns, the largest first; where labels name the columns, theirs alone, or with what could be one too."""
    order = {n: i for i, n in enumerate(names)}
    templates = _templates(names)
    if table.labels:
        named = [n for n in names if key_of(n) in table.labels]
        if named and len(names) > 1:
            return [named]
        fitting = [t for t in templates if table.labels <= {key_of(token) for token in t.columns}]
        if fitting:
            best = next((t for t in fitting if t.is_number), fitting[0])
            sure = {n for token, n in best.columns.items() if key_of(token) in table.labels}
            chosen = _without_suspects(table, best, [*best.columns.values()], sure)
            return _by_size([chosen, *_split(templates, set(chosen))], order)
    numbered = _split([t for t in templates if t.is_number], set())
    if sum(map(len, numbered)) < len(names):
        words = [t for t in map(_words_only, templates) if len(t.columns) > 1]
        whole = next((t for t in words if not t.is_number and len(t.columns) == len(names)), None)
        found = [list(whole.columns.values())] if whole else _split(words, set())
    else:
        found = numbered
    by_family = {frozenset(f): f for f in found}
    kept = []
    for family in by_family.values():
        template = next((t for t in templates if t.is_number and {*family} <= {*t.columns.values()}), None)
        kept.append(family if template else _without_suspects(table, None, family, set()))
    return _by_size(kept, order)


def _words_only(template: _Template) -> _Template:
    if template.is_number:
        return template
    return template._replace(columns={t: n for t, n in template.columns.items() if not NUMBER.fullmatch(t)})


def _templates(names: Iterable[str]) -> list[_Template]:
    """Return what two columns or more share of their names, the most frequent first."""
    groups: dict[tuple[bool, str, str], dict[str, str]] = {}
    for name in names:
        for run in _RUN.finditer(name):
            groups.setdefault((True, name[: run.start()], name[run.end() :]), {})[run[0]] = name
        for cut in _SEPARATOR.finditer(name):
            if cut.end() < len(name):
                groups.setdefault((False, name[: cut.end()], ""), {})[name[cut.end() :]] = name
            if cut.start():
                groups.setdefault((False, "", name[cut.start() :]), {})[name[: cut.start()]] = name
    shared = [
        _Template(*key, columns) for key, columns in groups.items() if len(columns) > 1 and not _FEATURES.match(key[1])
    ]
    return sorted(shared, key=lambda t: (-len(t.columns), not t.is_number, -len(t.before + t.after)))


def _split(templates: list[_Template], taken: set[str]) -> list[list[str]]:
    """Give each column to the largest family that it fits; those in `taken` are given."""
    taken, found = set(taken), []
    for template in templates:
        left = [n for n in template.columns.values() if n not in taken]
        if len(left) > 1:
            found.append(left)
            taken.update(left)
    return found


def _by_size(families: list[list[str]], order: dict[str, int]) -> list[list[str]]:
    placed = [sorted(f, key=order.__getitem__) for f in families if len(f) > 1]
    return sorted(placed, key=lambda f: (-len(f), order[f[0]]))


def _is_named_by_labels(table: Table, names: list[str]) -> bool:
    return bool(table.labels) and all(key_of(n) in table.labels for n in names)


def _fits(name: str, before: str, after: str) -> bool:
    return bool(before + after) and len(name) > len(before + after) and name.startswith(before) and name.endswith(after)


def _stray(table: Table, others: Sequence[str], family: list[str]) -> str | None:
    """Return a column that has the name of a class of the family, though not its numbers."""
    prefix, ending = _shared(family)
    number = re.compile(rf"{re.escape(prefix.rstrip('0123456789'))}\d+{re.escape(ending.lstrip('0123456789'))}")
    is_numbered = all(map(number.fullmatch, family))
    before, after = _at_words(prefix, ending)
    for name in others:
        if number.fullmatch(name) if is_numbered else _fits(name, before, after) or key_of(name) in table.labels:
            return name
    return None


# ---- columns that do not look like scores ----


def _is_whole(table: Table, name: str, values: NDArray[np.float64]) -> bool:
    """Return whether numbers are whole, by their type or in many rows."""
    typed = pa.types.is_integer(table.kind(name)) or values.size >= ENOUGH
    return typed and values.size >= FEW and bool((values == np.rint(values)).all())


def _suspects(table: Table, names: list[str]) -> set[str]:
    """Return the columns that are named, or filled, as ids, targets, weights and the like are."""
    found = {n for n in names if n.lower() in _NO_SCORES or _IDS & set(_SEPARATOR.split(n.lower())) or not n}
    left = {n: v for n in names if n not in found and (v := table.values(n)) is not None}
    found |= {n for n, v in left.items() if _is_whole(table, n, v) and bool((np.diff(v) == 1).all())}
    return found | _unlike_the_rest(table, {n: v for n, v in left.items() if n not in found})


def _without_suspects(table: Table, template: _Template | None, family: list[str], sure: set[str]) -> list[str]:
    """Return the columns of a family without those that its name alone does not make a score."""
    if template is not None and template.is_number:
        return family
    before, after = _at_words(*_shared(family))
    rest = {n: n[len(before) : len(n) - len(after)].lower() for n in family}
    found = {n for n in family if _NO_CLASSES & set(_SEPARATOR.split(rest[n]))}
    left = {n: v for n in family if n not in found and (v := table.values(n)) is not None}
    found |= _unlike_the_rest(table, left) | _made_of_the_rest(left)
    return [n for n in family if n not in found or n in sure]


def _unlike_the_rest(table: Table, columns: dict[str, NDArray[np.float64]]) -> set[str]:
    """Return the whole numbers among fractions; and among whole numbers, those that could number the other columns as classes do."""
    known = {n: v for n, v in columns.items() if v.size >= FEW}
    whole = [n for n, v in known.items() if _is_whole(table, n, v)]
    if len(whole) < len(known):
        return {n for n in whole if np.ptp(known[n]) > 0}
    last = len(columns) - 1  # a target's classes are the other columns, from 0 or from 1
    labels = [
        n
        for n in whole
        if known[n].size >= 2 * FEW and known[n].min() >= 0 and known[n].max() <= last and np.ptp(known[n]) > 0
    ]
    return set(labels) if len(labels) == 1 and len(known) > 2 else set()


def _made_of_the_rest(columns: dict[str, NDArray[np.float64]]) -> set[str]:
    """Return the columns that are the largest, the smallest, the sum or the mean of the others in every row."""
    if not 2 < len(columns) <= 200 or len({v.size for v in columns.values()}) > 1:
        return set()
    x = np.stack(list(columns.values()))
    if x.shape[1] < FEW:
        return set()
    found = set()
    for i, name in enumerate(columns):
        others = np.delete(x, i, axis=0)
        for made in (others.max(axis=0), others.min(axis=0), others.sum(axis=0), others.mean(axis=0)):
            if np.allclose(x[i], made, rtol=1e-5, atol=1e-9):
                found.add(name)
    return found


# ---- what is said of them ----


def _pattern(table: Table, columns: Sequence[str]) -> str:
    found = _words(table, columns)
    return f"'{found[0]}'" if len(found) == 1 else _some(columns)


def _words(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Return a glob that means just these of the file's columns, if there is one; else their names."""
    if len(columns) > 2:
        prefix, ending = (part.strip("0123456789") for part in _shared(columns))
        if not set("[?*") & set(prefix + ending) and prefix + ending:
            for glob in (f"{prefix}*{ending}", f"{prefix}[0-9]*{ending}"):
                if fnmatch.filter(table.names, glob) == list(columns):
                    return (glob,)
    return tuple(columns)


def _ambiguous(table: Table, why: str, families: list[list[str]]) -> AmbiguousError:
    readings = []
    for columns in families:
        words = _words(table, columns)
        if columns and len(words) <= MOST_NAMED:
            reading = Reading(words, None if table.label is not None else _label_for(table, columns))
            if reading not in readings:
                readings.append(reading)
    return AmbiguousError(why, readings[:4])


def _label_for(table: Table, columns: Sequence[str]) -> str | None:
    """Return the column that seems to hold the true class, named as such or with the classes as its values."""
    chosen = set(columns)
    others = [n for n in table.names if n not in chosen]
    for name in others:
        if name.lower() in _LABELS:
            return name
    classes = {key_of(c) for variant in variants(columns) for c in variant}
    for name in others:
        kind = table.kind(name)
        if name.lower() in _NO_SCORES or pa.types.is_nested(kind) or pa.types.is_floating(kind):
            continue
        values = {key_of(v) for v in distinct(table.beginning(name))}
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
    """Return them cut to whole words; an ending of digits alone belongs to the class, as in 'score_0.5' and 'score_1.5'."""
    before = prefix[: max((m.end() for m in _SEPARATOR.finditer(prefix)), default=0)]
    after = ending[min((m.start() for m in _SEPARATOR.finditer(ending)), default=len(ending)) :]
    return before, after if re.search(r"[^\W\d_]", after) else ""


def variants(columns: Sequence[str]) -> list[list[str]]:
    """Return what the classes may be called by the names of their columns, the likeliest first."""
    whole = list(columns)
    if len(columns) < 2 or all(NUMBER.fullmatch(c) for c in columns):
        return [whole]
    prefix, ending = _shared(whole)
    before, after = _at_words(prefix, ending)
    # first what differs; then with the words before it, as the 'class_0' of 'score_class_0'; then the number alone, as the 1 of 'V1'
    cuts = [(before, after), *((prefix[: m.end()], after) for m in reversed([*_SEPARATOR.finditer(before)]))]
    found: list[list[str]] = []
    for first, last in [*cuts, (prefix.rstrip("0123456789"), ending.lstrip("0123456789"))]:
        names = [c[len(first) : len(c) - len(last)] for c in whole]
        is_new = all(names) and len(set(names)) == len(names) and names not in found
        is_number = all(n.isdecimal() for n in names) and (
            not last or last[:1].isalpha() or re.search(r"[^\W\d_]", last)
        )
        if is_new and ((first, last) in cuts or is_number):
            found.append(names)
    return [*found, whole] if whole not in found else found


def class_names(columns: Sequence[str], labels: set[Any]) -> list[str]:
    """Return what tells the columns apart, 'cat' and 'dog' of 'score_cat' and 'score_dog': that which the labels are called by."""
    ways = variants(columns)
    return next((names for names in ways if labels and labels <= {key_of(n) for n in names}), ways[0])
