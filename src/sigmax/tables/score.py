"""Score files: batches in, class probabilities out, and what can be said of them on the way."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fnmatch
import functools
import math
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

import numpy as np
import pyarrow as pa

from sigmax.calibration import CalibrationError, Cells, Reliability, bin_of, from_counts
from sigmax.tables.batches import FEW, BadRow, ScoredBatch, output_batch, output_schema, score_batch
from sigmax.tables.columns import Kind, OnBad, Plan, make_plan
from sigmax.tables.dialect import Dialect
from sigmax.tables.errors import AmbiguousError, TableError, WrongTypeError
from sigmax.tables.families import Table, is_numeric
from sigmax.tables.files import behind, format_of, open_sink
from sigmax.tables.reading import ScoreFile
from sigmax.writing import remove_left

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.files import Source

    Progress = Callable[[int, int], None]

__all__ = [
    "Job",
    "Observer",
    "Summary",
    "check_target",
    "in_order",
    "job_of",
    "numbered",
    "score_and_make",
    "score_file",
    "score_into",
    "use_workers",
]

BINS = 20  # of confidence, from 0 to 1


@dataclass
class Summary:
    """What was seen in a file, added up batch by batch."""

    plan: Plan
    rows: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
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
    def reliability(self) -> Reliability:
        """How often predictions are right, in ten bins of confidence."""
        parts = (self._right + self._wrong, self._sums, self._right, self._spread)
        return from_counts(*(part.reshape(-1, 2).sum(axis=1) for part in parts))

    @property
    def calibration_error(self) -> CalibrationError:
        """How far confidence lies from the share of right predictions, free of chance, with its interval."""
        return self._cells.error()

    @property
    def label_counts(self) -> NDArray[np.int64]:
        """The labelled rows of each class; none for multilabel."""
        return self._labels

    @property
    def warnings(self) -> list[str]:
        """What makes it doubtful that the answer is right, a sentence each."""
        found = list(self.plan.notes)
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
        self.bad_rows = (self.bad_rows + scored.bad_rows)[:FEW]
        self._confidence.append(float(confidence.sum(dtype=np.float64)))
        self._entropy.append(float(scored.entropy[good].sum(dtype=np.float64)))
        self._counts += np.bincount(bin_of(confidence, BINS), minlength=BINS)
        if confidence.size and not (self._range[0] < 0 and self._range[1] > 1):
            x = scored.scores if not scored.unscored else scored.scores[:, good]
            low, high = max(float(x.min()), -1.0), min(float(x.max()), 2.0)  # farther out it makes no difference
            self._range = (min(self._range[0], low), max(self._range[1], high))
        if self.plan.label is None:
            return
        confidence, correct = scored.confidence[scored.known], scored.correct
        self.labelled += len(correct)
        self._correct += int(correct.sum())
        if self.plan.kind != "multilabel":
            self._labels += np.bincount(scored.labels[scored.known], minlength=self._labels.size)
        self._loss.append(float(scored.loss.sum(dtype=np.float64)))
        where = bin_of(confidence, BINS)
        self._sums += np.bincount(where, confidence, minlength=BINS)
        self._spread += np.bincount(where, confidence * (1 - confidence.astype(np.float64)), minlength=BINS)
        self._cells.add(confidence, correct)
        self._right += np.bincount(where[correct], minlength=BINS)
        self._wrong += np.bincount(where[~correct], minlength=BINS)

    def state(self) -> dict[str, Any]:
        """Return all that was counted, as JSON has it."""
        return {
            "rows": self.rows,
            "unscored": dict(self.unscored),
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


class Observer(Protocol):
    """What wants to see every batch."""

    def see(self, seen: ScoredBatch) -> None:
        """Take notice of a batch."""


@dataclass(frozen=True)
class Job:
    """What is asked of every file; `make_plan` settles the rest."""

    columns: tuple[str, ...] = ()
    label: str | None = None
    labels: str | None = None  # the file that they are in, where it is not that of the scores
    kind: Kind | None = None
    classes: tuple[str, ...] = ()
    temperature: float = 1.0
    on_bad: OnBad | None = None
    as_scores: bool = False
    dialect: Dialect = field(default_factory=Dialect)
    root: str | None = None  # the folder below which others may name keys, as in date=2026-01-01/
    patterns: tuple[str, ...] = ()  # what `columns` was before the first file settled it
    first: tuple[str, tuple[str, ...]] | None = None  # the name of the first file, and its columns

    def settled(self, plan: Plan, file: Path) -> Job:
        """Return the job for the other files, with what the first one settled."""
        return dataclasses.replace(
            self,
            columns=tuple(plan.columns),
            kind=plan.kind,
            classes=tuple(plan.classes),
            patterns=self.columns,
            first=(file.name, tuple(n for n, _ in plan.left_out)),
        )

    def _compare(self, schema: pa.Schema, plan: Plan, file: Path) -> None:
        """Refuse a file with a score column that the first one has not: its class would be lost."""
        name, others = self.first or ("", ())
        known = {*others, *plan.columns, plan.label}
        new = [f.name for f in schema if f.name not in known]
        if self.patterns:
            extra = [n for n in new if any(fnmatch.fnmatchcase(n, pattern) for pattern in self.patterns)]
        else:
            extra = [n for n in new if is_numeric(schema.field(n).type)]
        if extra:
            raise TableError(
                f"{file} has the numeric column '{extra[0]}', which {name} has not: "
                "say with --columns which columns are the scores of all files"
            )

    def plan(self, source: Source, first: pa.RecordBatch | None, file: Path) -> Plan:
        """Settle what to do with a file; refuse a first row in place of a header."""
        twice = next((n for n, count in Counter(source.schema.names).items() if count > 1), None)
        if not source.sure:
            self._check_header(source.schema, first, file)
        if twice is not None:
            raise TableError(f"{file}: two columns are called '{twice}'; rename one")
        schema = pa.schema([f for f in source.schema if f.name not in source.keys or f.name == self.label])
        apart = dict(source.others).get(self.label or "")
        if apart is not None:
            raise TableError(f"{file}: '{self.label}' is {apart}, and does not go with the rows of the scores")
        table = Table(schema, first, source.named, source.typed, self.label, self.dialect)
        try:
            plan = make_plan(
                table,
                columns=self.columns,
                kind=self.kind,
                classes=self.classes,
                temperature=self.temperature,
                on_bad=self.on_bad,
                as_scores=self.as_scores,
            )
        except AmbiguousError:
            raise
        except TableError as error:
            if self.first is None:
                raise
            raise TableError(f"{file}: {error}") from None
        if self.first is not None:
            self._compare(schema, plan, file)
        more = [(k, "of the folder") for k in source.keys if k != self.label]
        return dataclasses.replace(
            plan,
            left_out=[*plan.left_out, *more, *source.others],
            labels_in=Path(self.labels).name if self.labels else "",
        )

    def _check_header(self, schema: pa.Schema, first: pa.RecordBatch | None, file: Path) -> None:
        """Refuse a CSV file whose first line may be a row: numbers, and not those that number columns of fractions."""
        is_number = self.dialect.number().fullmatch
        numbers = {n: f.type for n, f in zip(schema.names, schema, strict=True) if is_number(n.strip())}
        once = len(set(schema.names)) == len(schema.names)
        asked = {*self.columns, self.label} & set(schema.names)
        if not numbers or any(n not in numbers for n in asked):
            return
        places = sorted(int(n) for n in numbers if n.isdecimal())
        counted = len(places) == len(numbers) and places in (list(range(len(places))), list(range(1, len(places) + 1)))
        fractions = first is not None and any(not pa.types.is_integer(t) for t in numbers.values())
        if once and counted and (self.columns or fractions):
            return
        row = ", ".join(schema.names[:6]) + (", ..." if len(schema.names) > 6 else "")
        raise TableError(
            f"{file}: the first line ({row}) looks like a row, not like the names of columns: "
            "say --no-header if it is one, --header if it is not"
        )


def job_of(
    columns: Sequence[str] | str,
    label: str | None,
    labels: str | Path | None,
    kind: Kind | None,
    classes: Sequence[str] | str,
    temperature: float,
    on_bad: OnBad | None,
    as_scores: bool,
    dialect: Dialect | None,
) -> Job:
    """Return what is asked for, checked as far as it can be without a file."""
    for name, value, known in (("kind", kind, Kind), ("on_bad", on_bad, OnBad)):
        if value is not None and value not in get_args(known):
            raise TableError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, get_args(known)))}")
    if label is not None and not isinstance(label, str):
        raise TableError(f"label is {label!r}; pass the name of the column that holds the true classes")
    if isinstance(temperature, bool) or not isinstance(temperature, Real):
        raise TableError(f"temperature is {temperature!r}; it must be a number, at least 0")
    if not isinstance(as_scores, bool | np.bool_):
        raise TableError(f"as_scores is {as_scores!r}; it must be True or False")
    if dialect is not None and not isinstance(dialect, Dialect):
        raise TableError(f"dialect is {dialect!r}; pass a Dialect, as in Dialect(delimiter=';')")
    names = _words("columns", columns)
    called = _words(
        "classes",
        [classes]
        if isinstance(classes, str)
        else [str(c) if isinstance(c, int) else c for c in _listed("classes", classes)],
    )
    beside = None if labels is None else str(labels)
    return Job(names, label, beside, kind, called, float(temperature), on_bad, bool(as_scores), dialect or Dialect())


def _listed(what: str, words: Any) -> list[Any]:
    try:
        return list(words)
    except TypeError:
        raise TableError(f"{what} is {words!r}; pass a list of names") from None


def _words(what: str, words: Any) -> tuple[str, ...]:
    found = [words] if isinstance(words, str) else _listed(what, words)
    for word in found:
        if not isinstance(word, str):
            raise TableError(f"{what} holds {word!r}, of type {type(word).__name__}; pass names")
    return tuple(found)


_A = TypeVar("_A")
_B = TypeVar("_B")


@contextlib.contextmanager
def use_workers(workers: int | None) -> Iterator[ThreadPoolExecutor | None]:
    """Start threads for `in_order`; by default as many as there are cores. None for one."""
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if not isinstance(count, int):
        raise TableError(f"workers is {workers!r}; it must be a whole number from 1 on")
    if count < 1:
        raise TableError(f"the number of workers is {count}; it must be at least 1")
    if count == 1:
        yield None
        return
    with ThreadPoolExecutor(count) as pool:
        yield pool


def in_order(
    pool: ThreadPoolExecutor | None, function: Callable[[_A], _B], items: Iterable[_A]
) -> Generator[_B, None, None]:
    """Call `function` on each item, some at a time, and return the results in the order of the items."""
    if pool is None:
        yield from map(function, items)
        return
    ahead: collections.deque[Any] = collections.deque()
    try:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > pool._max_workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for left in ahead:
            left.cancel()


def score_and_make(
    plan: Plan, schema: pa.Schema | None, file: str, item: tuple[pa.RecordBatch, int]
) -> tuple[ScoredBatch, Any]:
    """Score a batch, whose first row has that number, and make what is written of it."""
    scored = score_batch(item[0], plan, item[1], file)
    return scored, None if schema is None else output_batch(scored, plan, schema)


def numbered(batches: Iterable[pa.RecordBatch], first: int = 1) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Return each batch with the number of its first row."""
    row = first
    for batch in batches:
        yield batch, row
        row += batch.num_rows


def score_file(
    path: str | Path,
    *,
    columns: Sequence[str] = (),
    label: str | None = None,
    labels: str | Path | None = None,
    kind: Kind | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    on_bad: OnBad | None = None,
    as_scores: bool = False,
    dialect: Dialect | None = None,
    output: str | Path | None = None,
    workers: int | None = None,
    head: int = 10,
    progress: Progress | None = None,
    observer: Callable[[Plan], Observer] | None = None,
) -> Summary:
    """
    Turn the scores in a file into class probabilities.

    Parameters
    ----------
    path : str or Path
        A CSV (.csv, .tsv; also .gz, .bz2, .zst), Parquet, Arrow IPC (Feather), .npy, .npz or .safetensors file.
    columns : sequence of str
        Names or globs of the score columns, or the name of one list column. Default: the one family of columns that share a name but
        for the class, or are named as the label's values, or are all that the file has; where another column could be a score too,
        an error names the readings.
    label : str, optional
        The column of the true classes, called as the columns call them (1, 1.0, "1" and True are one name); by number from 0 where the
        scores have no names: in a list, in .npy, without a header, for a sigmoid.
    labels : str or Path, optional
        A file with the true classes, one a row, in any of the formats: for scores that are an array alone.
    kind : {'softmax', 'sigmoid', 'multilabel'}, optional
        Default: one score is a sigmoid, several are a softmax.
    classes : sequence of str
        Names of the classes, in the order of the scores (for a sigmoid: of the negative and the positive class).
    temperature : float, default 1
        What the scores are divided by.
    on_bad : {'null', 'drop', 'fail'}, optional
        What becomes of a row with a score that is missing, NaN, infinite or no number: no probabilities, no row, or an error. A
        score of -inf beside finite ones is an impossible class, and not bad. Default: 'null', but a word among the numbers of a
        column is an error.
    as_scores : bool, default False
        Take numbers that look like probabilities, percentages or log-probabilities for scores.
    dialect : Dialect, optional
        How CSV files are written, where that is not noticed.
    output : str or Path, optional
        Where to write the rows with their probabilities; the ending names the format. A .npy file gets the matrix of
        probabilities alone. The file appears when it is complete, or not at all.
    workers : int, optional
        How many threads score; default: as many as there are cores. They do not change the output.
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
    job = job_of(columns, label, labels, kind, classes, temperature, on_bad, as_scores, dialect)
    target = None if output is None else Path(output)
    check_target(Path(path), target)
    with use_workers(workers) as pool:
        return score_into(Path(path), target, job, pool, head=head, progress=progress, observer=observer)


def check_target(path: Path, target: Path | None) -> None:
    """Refuse an output that cannot be written, or that is the input."""
    if target is None:
        return
    format_of(target)
    if target.is_dir():
        raise TableError(f"{target} is a folder; name a file in it")
    if target.exists() and path.exists() and target.samefile(path):
        raise TableError(f"{target} is the input; write the result to another file")
    remove_left(target.parent)


def score_into(
    path: Path,
    target: Path | None,
    job: Job,
    pool: ThreadPoolExecutor | None,
    *,
    head: int = 0,
    progress: Progress | None = None,
    observer: Callable[[Plan], Observer] | None = None,
) -> Summary:
    """Score one file and write another; see `score_file`."""
    reading = ScoreFile(path, job)
    while True:
        try:
            with reading.open() as (source, plan, batches), contextlib.ExitStack() as stack:
                text = target is not None and format_of(target) == "csv"
                schema = output_schema(source.schema_of_results(target), plan, text=text, shown=target is None)
                sink = None
                if target is not None:
                    sink = stack.enter_context(open_sink(target, schema, [f"p_{c}" for c in plan.classes]))
                    sink = sink if pool is None else stack.enter_context(behind(sink))
                summary = Summary(plan)
                watching = None if observer is None else observer(plan)
                wanted = sink is not None or head > 0

                work = functools.partial(score_and_make, plan, schema if wanted else None, path.name)
                for scored, made in in_order(pool, work, numbered(batches)):
                    summary.add(scored)
                    if watching is not None:
                        watching.see(scored)
                    if len(summary.head) < head:
                        summary.head += made.slice(0, head - len(summary.head)).to_pylist()
                    if sink is not None:
                        sink.write_batch(made)
                    if progress is not None:
                        progress(source.position(), source.size)
                return summary
        except WrongTypeError as wrong:
            reading.widen(wrong)
