"""Tables and files scored on the way: record batches in, record batches out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa

from sigmax.tables.batches import output_schema
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.files import expand
from sigmax.tables.job import job_of
from sigmax.tables.one import numbered, score_and_make
from sigmax.tables.reading import ScoreFile
from sigmax.tables.sources import Source
from sigmax.tables.summary import Summary
from sigmax.tables.task import Task
from sigmax.tables.workers import in_order, use_workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job, Options
    from sigmax.tables.workers import Workers

__all__ = ["ScoredBatches", "refuse_labels_beside", "score"]


def score(
    source: Any, job: Job | None = None, *, workers: int | None = None, **options: Unpack[Options]
) -> ScoredBatches:
    """
    Score a table and get it back in record batches, however large it is.

    Parameters
    ----------
    source : path, folder, glob, a list of these, or Arrow data
        Score files; or a pyarrow Table, RecordBatch or RecordBatchReader, or whatever gives an Arrow stream, such as a Polars
        frame or a DuckDB result.
    job, workers, **options
        As for :func:`sigmax.tables.score_file`.

    Returns
    -------
    ScoredBatches
        An iterable of `pyarrow.RecordBatch`: the columns but the scores, then p_<class> for each class, prediction and confidence.
        Its `summary` counts what has been read so far.

    Raises
    ------
    TableError
        If the source, a column or an option cannot be used; when it is iterated over.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sigmax.tables import score
    >>> batches = score(pa.table({"id": [7], "s_cat": [2.0], "s_dog": [1.0]}), columns=["s_*"])
    >>> [batch.column_names for batch in batches]
    [['id', 'p_cat', 'p_dog', 'prediction', 'confidence']]
    >>> batches.summary.rows
    1
    """
    if not isinstance(
        source, str | Path | list | tuple | pa.RecordBatch | pa.Table | pa.RecordBatchReader
    ) and not hasattr(source, "__arrow_c_stream__"):
        raise TableError(f"cannot read a {type(source).__name__}; pass a path, a list of paths, or Arrow data")
    return ScoredBatches(source, Task(job_of(job, options)), workers)


class ScoredBatches:
    """Record batches, scored as they are asked for; can be iterated over once for Arrow streams, else any number of times."""

    def __init__(self, source: Any, task: Task, workers: int | None) -> None:
        self._source = source
        self._task = task
        self._workers = workers
        self._summary: Summary | None = None

    @property
    def summary(self) -> Summary:
        """What has been read so far."""
        if self._summary is None:
            raise TableError("there is no summary before the first batch is asked for")
        return self._summary

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._summary = None
        with use_workers(self._workers) as pool:
            if isinstance(self._source, str | Path | list | tuple):
                task = self._task
                files, root = expand(self._source)
                if root is not None:
                    refuse_labels_beside(task.job)
                    task = dataclasses.replace(task, root=str(root))
                for i, path in enumerate(files):
                    yield from self._file(path, task, pool)
                    if i == 0:
                        task = task.settled(self.summary.plan, path)
            else:
                refuse_labels_beside(self._task.job)
                with _arrow_source(self._source) as source:
                    first = next((batch for batch in source.batches if batch.num_rows), None)
                    plan = self._task.plan(source, first, Path("the table"))
                    batches = itertools.chain([] if first is None else [first], source.batches)
                    yield from self._batches("", source, plan, batches, pool)

    def _file(self, path: Path, task: Task, pool: Workers | None) -> Iterator[pa.RecordBatch]:
        with ScoreFile(path, task).open() as (source, plan, batches):
            try:
                yield from self._batches(path.name, source, plan, batches, pool)
            except WrongTypeError as wrong:  # batches are gone out already, of another type
                raise TableError(
                    f"{path}: column '{wrong.column}' is read as {wrong.kind}, and then: {wrong.reason}; score the file "
                    "with score_file, which begins anew, or make it Parquet"
                ) from wrong

    def _batches(
        self, file: str, source: Source, plan: Plan, batches: Iterator[pa.RecordBatch], pool: Workers | None
    ) -> Iterator[pa.RecordBatch]:
        schema = output_schema(source.schema, plan)
        if self._summary is None:
            self._summary = Summary(plan)
        work = functools.partial(score_and_make, plan, schema, file)
        for scored, made in in_order(pool, work, numbered(batches)):
            self._summary.add(scored)
            yield made


def refuse_labels_beside(job: Job) -> None:
    """Refuse labels in a file of their own where they would go with several files."""
    if job.labels is not None:
        raise TableError(
            f"the labels in {job.labels} belong to one file of scores, scored on this machine; give others theirs as a column"
        )


@contextlib.contextmanager
def _arrow_source(data: Any) -> Iterator[Source]:
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        data = data.to_reader(max_chunksize=65_536)
    elif not isinstance(data, pa.RecordBatchReader):
        if not hasattr(data, "__arrow_c_stream__"):
            raise TableError(f"cannot read a {type(data).__name__}; pass a path, a list of paths, or Arrow data")
        data = pa.RecordBatchReader.from_stream(data)
    yield Source(data.schema, iter(data), 1, lambda: 0)
