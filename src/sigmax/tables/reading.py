"""
How one file is read from its beginning: the plan is settled by its first rows.

A CSV file is opened twice. The first rows show which columns are scores; then these are read as numbers, and all others as the text
that they are, so that '00123', '1.50' and the twentieth digit of an id come out as they went in. Where the result has types, columns of
plain numbers become numbers again. A column that turns out to hold something else later on is read as text from the beginning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import TYPE_CHECKING

import pyarrow as pa

from sigmax.tables.beside import Labels
from sigmax.tables.families import is_numeric
from sigmax.tables.files import format_of, keys_of
from sigmax.tables.kept import plain_type
from sigmax.tables.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sigmax.tables.columns import Plan
    from sigmax.tables.errors import WrongTypeError
    from sigmax.tables.sources import Source
    from sigmax.tables.task import Task

__all__ = ["ScoreFile"]


class ScoreFile:
    """
    A file, and what has been learnt of it so far.

    Parameters
    ----------
    path : Path
    task : Task
        What is asked of it.
    """

    def __init__(self, path: Path, task: Task) -> None:
        self.path, self.task = path, task
        self.types: dict[str, pa.DataType] = {}  # of the columns of a CSV file, by which it is read
        self.keys = keys_of(path, task.root)
        self._plan: Plan | None = None
        self._words: set[str] = set()  # other columns that are no plain numbers
        self._labels: Labels | None = None
        job = task.job
        if job.labels is not None:
            self._labels = Labels(job.labels, job.label, job.dialect)
            self.task = dataclasses.replace(task, job=dataclasses.replace(job, label=self._labels.name))

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Source, Plan, Iterator[pa.RecordBatch]]]:
        """Open the file: where its rows come from, what to do with them, and the rows."""
        if self._plan is None:
            with self._source() as source:
                first = _first(source.batches)
                plan = self.task.plan(source, first, self.path)
                self._plan = plan
                if format_of(self.path) != "csv":
                    yield source, plan, itertools.chain([] if first is None else [first], source.batches)
                    return
                scores = set(plan.columns)
                if plan.model is not None:  # whose words stay as they are written, whatever they look like
                    scores -= {c.name for c in plan.model.features.columns if c.categories is not None}
                for field in source.schema:
                    number = field.name in scores and is_numeric(field.type)
                    self.types[field.name] = pa.float64() if number else pa.string()
                for name in (*source.keys, *([] if self._labels is None else [self._labels.name])):
                    del self.types[name]  # which is no column of the file itself
        with self._source() as source:
            first = _first(source.batches)
            scores = set(self._plan.columns)
            kept = {
                n: pa.string() if n in self._words or first is None else plain_type(first.column(n))
                for n in source.schema.names
                if n not in scores and n not in source.keys
            }
            plan = dataclasses.replace(self._plan, kept=kept)
            yield source, plan, itertools.chain([] if first is None else [first], source.batches)

    @contextlib.contextmanager
    def _source(self) -> Iterator[Source]:
        with open_source(self.path, self.types, dialect=self.task.job.dialect, keys=self.keys) as source:
            yield source if self._labels is None else self._labels.beside(source, self.path)

    def widen(self, wrong: WrongTypeError) -> None:
        """Read a column as text from now on: its scores are taken out row by row, and other columns stay as they are."""
        self.types[wrong.column] = pa.string()
        self._words.add(wrong.column)


def _first(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    """Return the first batch with rows; the last of those without, if all are."""
    batch = None
    for batch in batches:
        if batch.num_rows:
            return batch
    return batch
