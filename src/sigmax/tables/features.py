"""Features out of record batches: numbers as they are, words as an indicator for each, and what stands for a missing one."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.tables.dialect import NUMBER
from sigmax.tables.errors import TableError
from sigmax.tables.families import is_numeric, is_text
from sigmax.tables.labels import is_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = frozenset(["", "NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "NULL", "null"])  # words that are none

__all__ = ["Column", "Encoded", "Features", "is_feature", "is_words"]


def is_words(kind: pa.DataType) -> bool:
    """Return whether a column's values are words: text, or a dictionary of it."""
    return is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))


def is_feature(kind: pa.DataType) -> bool:
    """Return whether a column can be a feature."""
    return is_numeric(kind) or pa.types.is_boolean(kind) or is_words(kind)


@dataclass(frozen=True)
class Column:
    """
    A column, and what becomes of it.

    Attributes
    ----------
    name : str
    categories : tuple of str, or None
        Of words: those that have an indicator each. None: numbers, or True and False, are taken as 1 and 0.
    fill : float or None
        Of numbers: what stands for a missing one, with an indicator of it; None: a row without it cannot be scored.
    may_miss : bool
        Of words: whether a missing one has an indicator.
    """

    name: str
    categories: tuple[str, ...] | None = None
    fill: float | None = None
    may_miss: bool = False

    @property
    def features(self) -> list[str]:
        """The names of its features."""
        if self.categories is None:
            return [self.name] + ([f"{self.name} is missing"] if self.fill is not None else [])
        return [f"{self.name}={c}" for c in self.categories] + ([f"{self.name} is missing"] if self.may_miss else [])


@dataclass
class Encoded:
    """
    A batch as features.

    Attributes
    ----------
    matrix : ndarray of float64 of shape (features, rows)
    missing : dict of str to ndarray of bool
        The rows that lack a column's value, by the column, where nothing stands for it.
    odd : dict of str to ndarray of bool
        The rows whose number is NaN or infinite.
    unknown : dict of str to int
        Rows with a word that was not there at the fit, by the column.
    """

    matrix: NDArray[np.float64]
    missing: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    odd: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """The rows that cannot be used."""
        found = np.zeros(self.matrix.shape[1], bool)
        for rows in (*self.missing.values(), *self.odd.values()):
            found |= rows
        return found


@dataclass(frozen=True)
class Features:
    """The columns of a model."""

    columns: tuple[Column, ...]

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of all features, in their order."""
        return [name for column in self.columns for name in column.features]

    def encode(self, batch: pa.RecordBatch, dtype: type = np.float64, *, trusted: bool = False) -> Encoded:
        """Return a batch as features, in float64 or, as single-precision columns are, in float32; trusted numbers are known to be all there."""
        plain = all(c.categories is None for c in self.columns)
        found = Encoded((np.empty if plain else np.zeros)((len(self.names), batch.num_rows), dtype))
        at = 0
        for column in self.columns:
            count = len(column.features)
            lines = found.matrix[at : at + count]
            values = batch.column(column.name)
            if trusted and pa.types.is_floating(values.type) and not values.null_count and count == 1:
                lines[0] = values.to_numpy(zero_copy_only=False)
                at += count
                continue
            (_encode_number if column.categories is None else _encode_words)(column, values, lines, found)
            at += count
        return found

    def check(self, schema: pa.Schema, model: str, *, typed: bool = True) -> None:
        """Refuse a table that lacks a column, or has another kind of one; of text, what is words is read as such."""
        missing = [c.name for c in self.columns if c.name not in schema.names]
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise TableError(f"there is no column '{missing[0]}'{more}, which the model {model} was fitted to")
        for c in self.columns:
            kind = schema.field(c.name).type
            if c.categories is not None and not typed:
                continue
            fits = (c.categories is None and is_words(kind)) or (
                is_numeric(kind)
                or pa.types.is_boolean(kind)
                or pa.types.is_null(kind)
                or (c.categories is not None and is_words(kind))
            )
            if not fits:
                wanted = "numbers" if c.categories is None else "words"
                raise TableError(f"column '{c.name}' is {kind}, and the model {model} was fitted to {wanted} there")


def _encode_number(column: Column, values: pa.Array, lines: NDArray[np.float64], found: Encoded) -> None:
    if is_words(values.type):  # of a CSV file
        values = _numbers_in(values, column.name)
    if pa.types.is_decimal(values.type) or pa.types.is_null(values.type) or pa.types.is_boolean(values.type):
        values = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values.cast(pa.float64())
    missing = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    lines[0] = values.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore", over="ignore"):
        usual = missing is None and np.isfinite(lines[0].sum())  # which every NaN and infinity ends up in
    if usual:
        lines[1:] = 0.0
        return
    nan = np.isnan(lines[0])  # which pandas writes for a missing number
    missing = nan if missing is None else missing | nan
    if missing.any():
        lines[0][missing] = 0.0 if column.fill is None else column.fill
        if column.fill is None:
            found.missing[column.name] = missing
        else:
            lines[1] = missing
    elif column.fill is not None:
        lines[1] = 0.0
    odd = ~np.isfinite(lines[0])
    if odd.any():
        lines[0][odd] = 0.0
        found.odd[column.name] = odd


def _numbers_in(values: pa.Array, name: str) -> pa.Array:
    """Return the numbers that words stand for; nothing is a missing one, and true is 1."""
    indices, words = indices_of(values)
    numbers: list[float | None] = []
    for word in words:
        text = None if word is None or is_missing(word) else word.strip()
        if text is None or text.lower() in ("true", "false"):
            numbers.append(None if text is None else float(text.lower() == "true"))
            continue
        try:
            if not NUMBER.fullmatch(text):
                raise ValueError
            numbers.append(float(text))
        except ValueError:
            raise TableError(
                f"column '{name}' holds {text[:40]!r}, and numbers are wanted there; mend it, or say how numbers are written with --decimal"
            ) from None
    place = np.where(indices < 0, len(numbers), indices)
    return pa.array([*numbers, None], pa.float64()).take(pa.array(place))


def _encode_words(column: Column, values: pa.Array, lines: NDArray[np.float64], found: Encoded) -> None:
    categories = column.categories or ()
    indices, words = indices_of(values)
    known = {c: k for k, c in enumerate(categories)}
    places = np.array([known.get(w, -1) if w is not None else -2 for w in words] + [-2], np.int64)
    place = places[indices]  # the last stands for what is null
    rows = np.flatnonzero(place >= 0)
    lines[place[rows], rows] = 1.0
    missing = place == -2
    if missing.any():
        if column.may_miss:
            lines[-1] = missing
        else:
            found.missing[column.name] = missing
    unknown = int((place == -1).sum())
    if unknown:
        found.unknown[column.name] = unknown


def indices_of(values: pa.Array) -> tuple[NDArray[np.int64], list[str | None]]:
    """Return the place of each value among the words that there are, -1 for a missing one; an empty word is a missing one."""
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.string()) if not is_text(values.type) else values
        values = values.dictionary_encode()
    words = [None if w is None or w.strip() in MISSING else w for w in map(_word, values.dictionary.to_pylist())]
    return np.asarray(pc.fill_null(values.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)), words


def _word(value: Any) -> str | None:
    return None if value is None else str(value)
