"""Score files: batches in, class probabilities out, and what can be said of them on the way."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import math
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from sigmax.calibration import Reliability, bin_of, from_counts
from sigmax.tables.batches import FEW, BadRow, ScoredBatch, output_batch, output_schema, score_batch
from sigmax.tables.columns import Plan, already_probabilities, make_plan, score_matrix
from sigmax.tables.files import TableError, WrongTypeError, behind, format_of, open_sink, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.columns import Kind, OnBad
    from sigmax.tables.files import Source

    Progress = Callable[[int, int], None]

__all__ = [
    "Job",
    "Observer",
    "Summary",
    "begin",
    "check_target",
    "in_order",
    "numbered",
    "score_and_make",
    "score_file",
    "score_into",
    "use_workers",
    "wider",
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
    _right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    _wrong: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

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
        merged = [part.reshape(-1, 2).sum(axis=1) for part in (self._right + self._wrong, self._sums, self._right)]
        return from_counts(*merged)

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
        if self.plan.label is None:
            return
        confidence, correct = scored.confidence[scored.known], scored.correct
        self.labelled += len(correct)
        self._correct += int(correct.sum())
        self._loss.append(float(scored.loss.sum(dtype=np.float64)))
        where = bin_of(confidence, BINS)
        self._sums += np.bincount(where, confidence, minlength=BINS)
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
            "right": self._right.tolist(),
            "wrong": self._wrong.tolist(),
        }

    def merge(self, state: dict[str, Any]) -> None:
        """Add what was counted elsewhere."""
        self.rows += state["rows"]
        self.unscored.update(state["unscored"])
        self.bad_rows = (self.bad_rows + [BadRow(**r) for r in state["bad_rows"]])[:FEW]
        self.labelled += state["labelled"]
        self._correct += state["correct"]
        for sums, name in ((self._confidence, "confidence"), (self._entropy, "entropy"), (self._loss, "loss")):
            sums.append(state[name])
        self._counts += state["counts"]
        self._sums += state["sums"]
        self._right += state["right"]
        self._wrong += state["wrong"]


class Observer(Protocol):
    """What wants to see every batch."""

    def see(self, seen: ScoredBatch) -> None:
        """Take notice of a batch."""


@dataclass(frozen=True)
class Job:
    """What is asked of every file; `make_plan` settles the rest."""

    columns: tuple[str, ...] = ()
    label: str | None = None
    kind: Kind | None = None
    classes: tuple[str, ...] = ()
    temperature: float = 1.0
    on_bad: OnBad = "null"
    as_scores: bool = False

    def plan(self, source: Source, first: pa.RecordBatch | None, file: Path) -> Plan:
        """Settle what to do with a file; refuse scores that are probabilities already."""
        plan = make_plan(
            source.schema,
            first,
            columns=self.columns,
            label=self.label,
            kind=self.kind,
            classes=self.classes,
            temperature=self.temperature,
            on_bad=self.on_bad,
        )
        if first is not None and not self.as_scores:
            x, unscored = score_matrix(first, plan)
            good = np.ones(x.shape[1], bool)
            for rows in unscored.values():
                good &= ~rows
            found = already_probabilities(x[:, good], plan.kind)
            if found is not None:
                remedy = (
                    "a softmax would only flatten them; pass the scores that they were made of (logits, decision_function)"
                    if found == "probabilities"
                    else "their exponentials are the probabilities; pass the scores that they were made of, or take exp"
                )
                raise TableError(
                    f"{file}: the columns hold {found} already, in every row that was looked at: {remedy}. "
                    "If they are raw scores after all, say so with --as-scores"
                )
        return plan


_A = TypeVar("_A")
_B = TypeVar("_B")


@contextlib.contextmanager
def use_workers(workers: int | None) -> Iterator[ThreadPoolExecutor | None]:
    """Start threads for `in_order`; by default as many as there are cores. None for one."""
    count = len(os.sched_getaffinity(0)) if workers is None else workers
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
    kind: Kind | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    on_bad: OnBad = "null",
    as_scores: bool = False,
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
        A CSV (.csv, .csv.gz, .csv.bz2, .csv.zst), Parquet, Arrow IPC (Feather) or .npy file.
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
    on_bad : {'null', 'drop', 'fail'}
        What becomes of a row with a score that is missing, NaN, infinite or no number: no probabilities, no row, or an error. A
        score of -inf beside finite ones is an impossible class, and not bad.
    as_scores : bool, default False
        Take numbers that look like probabilities or log-probabilities for scores.
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
    job = Job(tuple(columns), label, kind, tuple(classes), temperature, on_bad, as_scores)
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
    types: dict[str, pa.DataType] = {}
    while True:
        plan: Plan | None = None
        try:
            with open_source(path, types) as source, contextlib.ExitStack() as stack:
                plan, batches = begin(path, source, job, types)
                if plan is None:
                    continue
                schema = output_schema(source.schema, plan, nested=target is None or format_of(target) != "csv")
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
            types[wrong.column] = wider(wrong, plan)


def begin(
    path: Path, source: Source, job: Job, types: dict[str, pa.DataType]
) -> tuple[Plan | None, Iterator[pa.RecordBatch]]:
    """Settle the plan from the first batch; None, and `types` changed, where a CSV file has to be opened anew."""
    first = next(source.batches, None)
    plan = job.plan(source, first, path)
    if format_of(path) == "csv":
        # a column of integers may go on with a fraction
        whole = [c for c in plan.columns if pa.types.is_integer(source.schema.field(c).type)]
        if whole:
            types.update(dict.fromkeys(whole, pa.float64()))
            return None, iter(())
    return plan, itertools.chain([] if first is None else [first], source.batches)


def wider(wrong: WrongTypeError, plan: Plan | None) -> pa.DataType:
    """Return the type to read a CSV column as after a value that does not fit the type it had."""
    if plan is not None and wrong.column in plan.columns:
        return pa.string()  # its numbers are taken out row by row
    return pa.float64() if pa.types.is_integer(wrong.kind) else pa.string()
