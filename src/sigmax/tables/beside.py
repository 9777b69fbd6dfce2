"""Labels that lie in a file of their own, row by row beside the scores."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyarrow as pa

from sigmax.tables.errors import TableError
from sigmax.tables.files import format_of
from sigmax.tables.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sigmax.tables.dialect import Dialect
    from sigmax.tables.sources import Source

__all__ = ["Labels"]


class Labels:
    """
    The labels of a score file.

    Parameters
    ----------
    path : Path
        A file of one column, in any of the formats.
    name : str or None
        That column, where there are several.
    dialect : Dialect
        How a CSV file is written.
    """

    def __init__(self, path: Path, name: str | None, dialect: Dialect) -> None:
        self.path = path
        with open_source(path, dialect=dialect) as source:
            names = source.schema.names
            if name is None and len(names) > 1:
                few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                raise TableError(f"{path} has the columns {few}; say with --label which one holds the true classes")
            if name is not None and source.named and name not in names:
                raise TableError(f"{path} has no column '{name}'; it has {', '.join(names[:5])}")
            column = name if name is not None and source.named else names[0]
        # the labels of a CSV file are what is written, whatever it looks like
        types = {column: pa.string()} if format_of(path) == "csv" else {}
        with open_source(path, types, dialect=dialect) as source:
            parts = [batch.column(column) for batch in source.batches]
            kind = source.schema.field(column).type
        self.name = name or (column if source.named else path.stem)
        whole = pa.chunked_array(parts, kind).combine_chunks()
        of_one = pa.types.is_fixed_size_list(kind) and kind.list_size == 1  # an array of shape (rows, 1)
        self.column = whole.flatten() if of_one else whole

    def beside(self, source: Source, scores: Path) -> Source:
        """Return the scores with the labels as one column more."""
        if self.name in source.schema.names:
            raise TableError(
                f"{scores} has a column '{self.name}' itself, as the labels in {self.path} are called; rename one, or leave --labels away"
            )
        schema = source.schema.append(pa.field(self.name, self.column.type))
        return dataclasses.replace(source, schema=schema, batches=self._joined(source, schema, scores))

    def _joined(self, source: Source, schema: pa.Schema, scores: Path) -> Iterator[pa.RecordBatch]:
        row = 0
        for batch in source.batches:
            part = self.column.slice(row, batch.num_rows)
            row += batch.num_rows
            if len(part) < batch.num_rows:
                raise self._apart(scores, f"{len(self.column):,} labels, and there are more rows of scores in")
            yield pa.record_batch([*batch.columns, part], schema=schema)
        if row < len(self.column):
            raise self._apart(scores, f"{len(self.column):,} labels, and there are {row:,} rows of scores in")

    def _apart(self, scores: Path, counted: str) -> TableError:
        hint = "; if its first line is a label, say --no-header" if format_of(self.path) == "csv" else ""
        return TableError(f"{self.path} has {counted} {scores}{hint}")
