"""One score file: batches in, class probabilities out, and what can be said of them on the way."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack

from sigmax.tables.batches import output_batch, output_schema, score_batch
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.files import format_of
from sigmax.tables.job import job_of
from sigmax.tables.reading import ScoreFile
from sigmax.tables.sinks import behind, open_sink
from sigmax.tables.summary import Summary
from sigmax.tables.task import Task
from sigmax.tables.workers import in_order, use_workers
from sigmax.writing import remove_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job, Options
    from sigmax.tables.rules import Rule
    from sigmax.tables.workers import Workers

    Progress = Callable[[int, int], None]

__all__ = [
    "Merging",
    "Observer",
    "check_target",
    "numbered",
    "refuse_input",
    "score_and_make",
    "score_file",
    "score_into",
]


class Observer(Protocol):
    """What wants to see every batch."""

    def see(self, seen: ScoredBatch) -> None:
        """Take notice of a batch."""


class Merging(Observer, Protocol):
    """An observer that takes over what another of its kind has seen."""

    def merge(self, other: Self) -> None:
        """Take over what another one saw of the rows that come next."""


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
    job: Job | None = None,
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    head: int = 10,
    progress: Progress | None = None,
    observer: Callable[[Plan], Observer] | None = None,
    rule: Rule | None = None,
    **options: Unpack[Options],
) -> Summary:
    """
    Turn the scores in a file into class probabilities.

    Parameters
    ----------
    path : str or Path
        A CSV (.csv, .tsv; also .gz, .bz2, .zst), Parquet, Arrow IPC (Feather), .npy, .npz or .safetensors file.
    job : Job, optional
        What of it are the scores, and what they stand for.
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
    rule : Rule, optional
        What is decided of each row, in columns behind its probabilities.
    **options
        Of the job, by keyword: `columns`, `label`, `labels`, `kind`, `classes`, `temperature`, `on_bad`, `model`, `calibration`, `form`, `as_scores`, `dialect`, as
        :class:`sigmax.tables.Job` has them.

    Returns
    -------
    Summary
        Rows, means, and accuracy and log-loss if there is a label.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used.
    """
    if not isinstance(path, str | os.PathLike):
        raise TableError(
            f"a {type(path).__name__} is no path of a score file; sigmax.tables.score takes lists of paths and Arrow data"
        )
    task = Task(job_of(job, options), rule=rule)
    target = None if output is None else Path(output)
    check_target(Path(path), target)
    refuse_input(target, task.job.labels, task.job.model, task.job.calibration)
    with use_workers(workers) as pool:
        return score_into(Path(path), target, task, pool, head=head, progress=progress, observer=observer)


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


def refuse_input(target: Path | None, *read: str | Path | None) -> None:
    """Refuse an output that is one of the files that are read."""
    for path in read:
        if (
            target is not None
            and path is not None
            and target.exists()
            and Path(path).exists()
            and target.samefile(path)
        ):
            raise TableError(f"{target} is read by this command; write the result to another file")


def score_into(
    path: Path,
    target: Path | None,
    task: Task,
    pool: Workers | None,
    *,
    head: int = 0,
    progress: Progress | None = None,
    observer: Callable[[Plan], Observer] | None = None,
) -> Summary:
    """Score one file and write another; see `score_file`."""
    reading = ScoreFile(path, task)
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
