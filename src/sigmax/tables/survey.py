"""What the columns of files hold: classes, categories, moments, a sample of the rows; and which rows a regression uses."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from sigmax import _native
from sigmax.regression.rows import joined
from sigmax.tables.dialect import Dialect
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.features import indices_of
from sigmax.tables.labels import is_missing, key_of
from sigmax.tables.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "MOST_CLASSES",
    "Fitting",
    "Moments",
    "Piece",
    "Reading",
    "Survey",
    "distinct_labels",
    "one_batch",
    "refuse_no_categories",
]

Floats = Any
BLOCK = 1 << 16  # rows
SAMPLE = 20_000  # rows to start from, at least
MOST_WORDS = 1_000  # in a column of words
MOST_CLASSES = 1_000
NONE = np.longdouble(0)
_ALMOST_NUMBER = r"^\W*\d[\d.,'_\s]*([eE][-+]?\d+)?\W*$"  # '$1.20', '95%', '1.234,5'


@dataclass(frozen=True)
class Fitting:
    """
    What is to be fitted to what.

    Parameters
    ----------
    label : str
        The column that holds the class.
    features : list of str
        Names or globs of the feature columns. Default: all others, numbers, words and truths; of words each that there is has an indicator.
    without : list of str
        Names or globs of columns that are none.
    C : float or 'auto'
        The inverse strength of the ridge, as :class:`sigmax.regression.LogisticRegression` has it; auto chooses it for features of deviation 1.
    weights : str
        A column with what each row counts for.
    missing : {'refuse', 'mean'}
        What a missing value is: an error that names the columns; or the mean of the others, and an indicator that it was missing.
    on_bad : {'fail', 'drop'}
        What becomes of a row with a value that is missing or infinite: an error, or it is left out and counted.
    dialect : Dialect
        How CSV files are written, where that is not noticed.
    """

    label: str | None = None
    features: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    C: float | Literal["auto"] = 1.0
    weights: str | None = None
    missing: Literal["refuse", "mean"] = "refuse"
    on_bad: Literal["fail", "drop"] = "fail"
    dialect: Dialect = field(default_factory=Dialect)

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if self.missing not in ("refuse", "mean"):
            raise TableError(f"missing is {self.missing!r}; it must be 'refuse' or 'mean'")
        if self.on_bad not in ("fail", "drop"):
            raise TableError(f"on_bad is {self.on_bad!r}; it must be 'fail' or 'drop'")
        if self.C != "auto" and (isinstance(self.C, str) or not self.C > 0):
            raise TableError(f"C is {self.C!r}; it must be a number above 0, inf for no penalty, or 'auto'")
        for name in ("features", "without"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))


@dataclass(frozen=True)
class Piece:
    """A part of a file, and how it is read."""

    path: Path
    part: list[int] | None
    keys: dict[str, str]
    types: dict[str, pa.DataType]
    dialect: Dialect
    columns: tuple[str, ...]
    kinds: dict[str, bool]
    label: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read its rows."""
        try:
            with open_source(self.path, self.types, self.part, self.dialect, self.keys, self.columns) as source:
                missing = [c for c in self.columns if c not in source.schema.names]
                if missing:
                    raise TableError(f"{self.path}: there is no column '{missing[0]}', which the first file has")
                for batch in source.batches:
                    yield self._alike(batch)
        except WrongTypeError as wrong:
            raise TableError(
                f"{self.path}: column '{wrong.column}' holds numbers first, and then: {wrong.reason}; mend it, or leave it out with --without {wrong.column}"
            ) from wrong

    def _alike(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns that are read, of types that do not hang on the file."""
        made = []
        for name in self.columns:
            column = batch.column(name)
            if name == self.label:
                column = _as_classes(column)
            elif name in self.kinds:
                try:
                    column = column.cast(pa.string()) if self.kinds[name] else _as_numbers(column)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise TableError(
                        f"{self.path}: column '{name}' is {column.type}, and holds {'words' if self.kinds[name] else 'numbers'} in the first file: {error}"
                    ) from None
            made.append(column)
        return pa.record_batch(made, names=list(self.columns))


def _as_numbers(column: pa.Array) -> pa.Array:
    if pa.types.is_float32(column.type) or pa.types.is_float64(column.type):
        return column
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(
        pa.float32() if pa.types.is_float16(column.type) or pa.types.is_int8(column.type) else pa.float64(), safe=False
    )


def _as_classes(column: pa.Array) -> pa.Array:
    """Return labels as words, of which 1, 1.0, "1" and True are one; a missing one is null."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    words = [None if is_missing(v) else str(key_of(v)) for v in values]
    known = {w: i for i, w in enumerate(dict.fromkeys(w for w in words if w is not None))}
    places = np.array([-1 if w is None else known[w] for w in words] + [-1], np.int32)
    indices = places[np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False))]
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(list(known), pa.string()))


@dataclass
class Moments:
    """Of a number column: weighted mean and sum of squared distances from it, merged by Chan's formula; what is missing is counted."""

    weight: Floats = NONE
    mean: Floats = NONE
    square: Floats = NONE
    missing: int = 0
    infinite: int = 0
    narrow: bool = True

    @classmethod
    def of(cls, values: pa.Array, w: Floats) -> Moments:
        """Return those of a column of a block."""
        narrow = (
            pa.types.is_float32(values.type) or pa.types.is_float16(values.type) or pa.types.is_boolean(values.type)
        )
        if pa.types.is_boolean(values.type):
            values = values.cast(pa.int8())
        elif pa.types.is_decimal(values.type) or pa.types.is_null(values.type):
            values = values.cast(pa.float64())
        given = values.to_numpy(zero_copy_only=False)
        if (
            not values.null_count
            and given.dtype in (np.float32, np.float64)
            and (quick := _usual(given, w)) is not None
        ):
            return cls(*quick, narrow=narrow)
        x = np.asarray(given, np.float64)
        missing = infinite = 0
        with np.errstate(invalid="ignore", over="ignore"):
            usual = values.null_count == 0 and np.isfinite(x.sum())
        if not usual:
            nan = np.isnan(x) | np.asarray(values.is_null().to_numpy(zero_copy_only=False))
            good = np.isfinite(x) & ~nan
            missing, infinite = int(nan.sum()), int((~good & ~nan).sum())
            x, w = x[good], w[good]
        weight = w.sum(dtype=np.longdouble)
        if not weight > 0:
            return cls(missing=missing, infinite=infinite, narrow=narrow)
        largest = float(np.abs(x).max(initial=0)) or 1.0
        scaled = x / largest  # whose squares are numbers
        mean = (w * scaled).sum() / float(weight)
        square = (w * (scaled - mean) ** 2).sum()
        big = np.longdouble(largest)
        if square == 0 or (x == x[0]).all():
            return cls(weight, np.longdouble(x[0]), np.longdouble(0), missing, infinite, narrow)
        return cls(weight, mean * big, square * big * big, missing, infinite, narrow)

    def __add__(self, other: Moments) -> Moments:
        missing, infinite = self.missing + other.missing, self.infinite + other.infinite
        narrow = self.narrow and other.narrow
        if not self.weight or not other.weight:
            one = self if self.weight else other
            return Moments(one.weight, one.mean, one.square, missing, infinite, narrow)
        weight, apart = self.weight + other.weight, other.mean - self.mean
        mean = self.mean + apart * (other.weight / weight)
        square = self.square + other.square + apart * apart * (self.weight * other.weight / weight)
        return Moments(weight, mean, square, missing, infinite, narrow)


def _usual(x: NDArray[Any], w: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Return weight, mean and sum of squared distances of numbers of usual size, in the core's sums; None of others, or where they lose digits."""
    if not len(x):
        return None
    some = x[:: max(len(x) // 64, 1)].astype(np.float64)
    with np.errstate(all="ignore"):
        shift = some[:1] if (some == some[:1]).all() else some.mean(keepdims=True)
        first, second = np.empty(2), np.empty(2)
        for _ in range(2):
            if not np.isfinite(shift).all():
                return None
            _native.feature_moments(x[:, None], shift, np.ones(1), w, first, second)
            away = first[0] / first[1]
            square = second[0] - first[0] * away
            if not (np.isfinite(square) and first[1] > 0 and second[0] > 1e-200):
                return None
            if square > 0.01 * second[0]:
                return np.longdouble(first[1]), np.longdouble(shift[0]) + away, np.longdouble(square)
            shift = shift + away
    return None


@dataclass
class Survey:
    """What the columns of rows hold."""

    rows: int
    weight: Floats
    left_out: Counter[str]
    labels: dict[Any, tuple[int, float]]  # rows and weight of each
    numbers: dict[str, Moments]
    words: dict[str, Counter[str]]  # weights; None stands for what is missing
    absent: Counter[str]  # rows without a word
    sample: list[pa.RecordBatch]
    step: int = 1

    def __add__(self, other: Survey) -> Survey:
        labels = dict(self.labels)
        for value, (rows, weight) in other.labels.items():
            before = labels.get(value, (0, 0.0))
            labels[value] = before[0] + rows, before[1] + weight
        words = {name: self.words[name] + other.words[name] for name in self.words}
        numbers = {name: self.numbers[name] + other.numbers[name] for name in self.numbers}
        step = max(self.step, other.step)
        sample = [_thinned(b, step // s.step) for s in (self, other) for b in s.sample]
        while sum(b.num_rows for b in sample) > 4 * SAMPLE:
            step, sample = 2 * step, [_thinned(b, 2) for b in sample]
        return Survey(
            self.rows + other.rows,
            self.weight + other.weight,
            self.left_out + other.left_out,
            labels,
            numbers,
            words,
            self.absent + other.absent,
            sample,
            step,
        )


def _thinned(batch: pa.RecordBatch, step: int) -> pa.RecordBatch:
    return batch if step <= 1 else batch.take(pa.array(np.arange(0, batch.num_rows, step)))


class Reading:
    """
    How rows are read: which columns, and which rows are used.

    It travels to the workers of a cluster.
    """

    def __init__(self, fitting: Fitting, kinds: dict[str, bool]) -> None:
        self.fitting, self.kinds = fitting, kinds  # of each feature column whether it holds words

    def blocks(self, piece: Piece) -> Iterator[tuple[pa.RecordBatch, Counter[str]]]:
        """Return blocks of rows that are used, and how many before them were not."""
        waiting: list[pa.RecordBatch] = []
        count = 0
        left: Counter[str] = Counter()
        for batch in piece.batches():
            used, out = self._used(batch)
            left += out
            while used.num_rows:
                some = used.slice(0, BLOCK - count)
                used = used.slice(some.num_rows)
                waiting.append(some)
                count += some.num_rows
                if count == BLOCK:
                    yield one_batch(waiting), left
                    waiting, count, left = [], 0, Counter()
        yield one_batch(waiting) if waiting else batch_of_none(piece), left

    def _used(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Counter[str]]:
        label = str(self.fitting.label)
        out: Counter[str] = Counter()
        bad = _missing_labels(batch.column(label))
        if bad.any():
            out["without a class"] = int(bad.sum())
        if self.fitting.on_bad == "drop":
            worse = np.zeros(batch.num_rows, bool)
            for name, words in self.kinds.items():
                worse |= _unusable(batch.column(name), words=words, missing=self.fitting.missing == "refuse")
            worse &= ~bad
            if worse.any():
                out["with a value that is missing or infinite"] = int(worse.sum())
            bad |= worse
        if self.fitting.weights is not None:
            w = weights_in(batch.column(self.fitting.weights), self.fitting.weights)
            none = (w == 0) & ~bad
            if none.any():
                out["of weight 0"] = int(none.sum())
            bad |= none
        return (batch.filter(pa.array(~bad)), out) if bad.any() else (batch, out)

    def weights(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Return what each row counts for."""
        name = self.fitting.weights
        return np.ones(batch.num_rows) if name is None else weights_in(batch.column(name), name)

    def survey(self, piece: Piece) -> Survey:
        """Return what a piece holds."""
        found = [self._survey(batch, left) for batch, left in self.blocks(piece)]
        whole: Survey = joined(found)
        return whole

    def _survey(self, batch: pa.RecordBatch, left: Counter[str]) -> Survey:
        w = self.weights(batch)
        places, values = distinct_labels(batch.column(str(self.fitting.label)))
        rows, weights = np.bincount(places, minlength=len(values)), np.bincount(places, w, len(values))
        labels = {v: (int(n), float(s)) for v, n, s in zip(values, rows, weights, strict=True) if n}
        if len(labels) > MOST_CLASSES:
            raise TableError(
                f"column '{self.fitting.label}' has more than {MOST_CLASSES:,} values, such as {next(iter(labels))}: name one with classes"
            )
        numbers, words, absent = {}, {}, Counter[str]()
        for name, is_of_words in self.kinds.items():
            column = batch.column(name)
            if not is_of_words:
                numbers[name] = Moments.of(column, w)
                continue
            indices, names = indices_of(column)
            sums = np.bincount(indices + 1, w, len(names) + 1)
            count = Counter[str]()
            for word, weight in zip(names, sums[1:].tolist(), strict=True):
                if word is not None and weight:
                    count[word] += weight
            lost = indices < 0
            for k, word in enumerate(names):
                if word is None:
                    lost |= indices == k
            if lost.any():
                absent[name] = int(lost.sum())
            if len(count) > MOST_WORDS:
                raise TableError(
                    f"column '{name}' has more than {MOST_WORDS:,} different words{_meant(names)}: no category, it seems; leave it out with --without {name}"
                )
            words[name] = count
        return Survey(batch.num_rows, w.sum(dtype=np.longdouble), left, labels, numbers, words, absent, [batch])


def _meant(words: Sequence[str | None]) -> str:
    """Return what is said of words that look like numbers; nothing if most do not."""
    known = [w for w in words if w is not None]
    alike = [w for w in known if re.match(_ALMOST_NUMBER, w)]
    if len(known) <= 20 or len(alike) < 0.9 * len(known):
        return ""
    other = next((w for w in known if w not in alike), None)
    also = f", and {other!r} beside them" if other is not None else ""
    return (
        f" that look like numbers, such as {alike[0]!r}{also} (--decimal and --thousands say how numbers are written)"
    )


def refuse_no_categories(survey: Survey) -> None:
    """Refuse columns whose words are no categories: numbers that are not understood, and a word of its own in nearly every row."""
    for name, count in survey.words.items():
        told = _meant(list(count))
        if not told and survey.rows >= 50 and len(count) > 0.8 * survey.rows:
            told = f", {len(count):,} in {survey.rows:,} rows, such as {next(iter(count))!r}"
        if told:
            raise TableError(
                f"column '{name}' holds different words{told}: mend it, or leave it out with --without {name}"
            )


def batch_of_none(piece: Piece) -> pa.RecordBatch:
    """Return a batch without rows, as the piece has them."""
    types = [
        pa.dictionary(pa.int32(), pa.string())
        if n == piece.label
        else pa.string()
        if piece.kinds.get(n)
        else pa.float64()
        for n in piece.columns
    ]
    return pa.record_batch([pa.array([], t) for t in types], names=list(piece.columns))


def one_batch(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of several batches as one."""
    if len(batches) == 1:
        return batches[0]
    tables = [pa.Table.from_batches([b]) for b in batches]
    table = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()
    return table.to_batches()[0] if table.num_rows else batches[0]


def _missing_labels(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _encoded(column: pa.Array) -> tuple[NDArray[np.int64], list[Any]]:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(indices), encoded.dictionary.to_pylist()


def distinct_labels(column: pa.Array) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the place of each row's class among those that there are, and these: 1, 1.0 and "1" are one."""
    indices, values = _encoded(column)
    keys = [key_of(v) for v in values]
    known = {k: i for i, k in enumerate(dict.fromkeys(keys))}
    return np.array([known[k] for k in keys] or [0], np.int64)[indices], list(known)


def weights_in(column: pa.Array, name: str) -> NDArray[np.float64]:
    """Return weights."""
    try:
        w = np.asarray(column.cast(pa.float64()).fill_null(math.nan).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise TableError(
            f"column '{name}' is {column.type} and holds what is no weight; name one with numbers"
        ) from None
    if not ((w >= 0) & np.isfinite(w)).all():
        raise TableError(
            f"column '{name}' holds {w[~((w >= 0) & np.isfinite(w))][0]}, which is no weight; they are finite and not below 0"
        )
    return w


def _unusable(column: pa.Array, *, words: bool, missing: bool) -> NDArray[np.bool_]:
    """Return the rows whose value is infinite, or missing if that counts."""
    found = np.zeros(len(column), bool)
    if words:
        if missing:
            indices, names = indices_of(column)
            found = np.array([w is None for w in names] + [True])[indices]
        return found
    if missing and column.null_count:
        found |= column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        x = column.to_numpy(zero_copy_only=False)
        found |= ~np.isfinite(x) if missing else np.isinf(x)
        if not missing:
            found &= ~np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    return found
