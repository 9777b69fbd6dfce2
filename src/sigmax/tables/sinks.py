"""Record batches written to a file that appears when it is complete: CSV (compressed too), Parquet, Arrow IPC (Feather) and .npy."""

from __future__ import annotations

import collections
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sigmax.tables.errors import TableError
from sigmax.tables.files import READ_ONLY, compression_of, format_of
from sigmax.writing import aside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

__all__ = ["Sink", "behind", "open_sink"]


class Sink(Protocol):
    """Where batches are written."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append `batch`."""

    def close(self) -> None:
        """Finish the file."""


class _NpySink:
    """The probability columns as one matrix; the header is written again when the number of rows is known."""

    def __init__(self, file: Any, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        self._rows = 0
        self._dtype: np.dtype[Any] | None = None

    def write_batch(self, batch: pa.RecordBatch) -> None:
        matrix = np.column_stack([batch.column(name).to_numpy(zero_copy_only=False) for name in self._columns])
        if self._dtype is None:
            self._dtype = matrix.dtype
            self._header()
        self._file.write(np.ascontiguousarray(matrix).data)
        self._rows += len(matrix)

    def _header(self) -> None:
        # numpy pads the header so that the first axis may grow to 21 digits in place
        self._file.seek(0)
        dtype = self._dtype or np.dtype(np.float64)
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (self._rows, len(self._columns)),
        }
        np.lib.format.write_array_header_1_0(self._file, header)

    def close(self) -> None:
        self._header()


class _Behind:
    """Writes in a thread of its own, a few batches behind."""

    def __init__(self, sink: Sink, thread: ThreadPoolExecutor) -> None:
        self._sink = sink
        self._thread = thread
        self._waiting: collections.deque[Future[None]] = collections.deque()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(self._thread.submit(self._sink.write_batch, batch))
        if len(self._waiting) > 2:
            self._waiting.popleft().result()

    def close(self) -> None:
        while self._waiting:
            self._waiting.popleft().result()


@contextlib.contextmanager
def behind(sink: Sink) -> Iterator[Sink]:
    """Let batches be written while the next ones are made; all are written in the end, or the error of one is raised."""
    with ThreadPoolExecutor(1) as thread:
        writing = _Behind(sink, thread)
        yield writing
        writing.close()


def _sink(kind: str, file: Any, schema: pa.Schema, probabilities: list[str], delimiter: str) -> Sink:
    """Make a writer. Probabilities hardly repeat: a dictionary of them, or compression, would take its time and save nothing."""
    sink: Sink
    if kind == "npy":
        sink = _NpySink(file, probabilities)
    elif kind == "csv":
        sink = pa_csv.CSVWriter(file, schema, write_options=pa_csv.WriteOptions(delimiter=delimiter))
    elif kind == "parquet":
        repeating = [f.name for f in schema if not pa.types.is_floating(f.type) and not pa.types.is_nested(f.type)]
        compression = {f.name: "none" if f.name in (*probabilities, "confidence") else "snappy" for f in schema}
        sink = pq.ParquetWriter(file, schema, use_dictionary=repeating, compression=compression)
    else:
        sink = pa.ipc.new_file(file, schema)
    return sink


@contextlib.contextmanager
def open_sink(path: Path, schema: pa.Schema, probabilities: list[str]) -> Iterator[Sink]:
    """
    Open `path` for writing; the file appears when all of it is written, or not at all.

    Parameters
    ----------
    path : Path
        Its ending names the format.
    schema : pyarrow.Schema
        The columns of the batches to come.
    probabilities : list of str
        The columns that a .npy file holds.
    """
    kind = format_of(path)
    if kind in READ_ONLY:
        raise TableError(f"{path}: {path.suffix} files are only read; write .npy, .parquet, .arrow or .csv")
    nested = [f.name for f in schema if pa.types.is_nested(f.type)]
    if kind == "csv" and nested:
        raise TableError(f"{path}: CSV cannot hold the list column '{nested[0]}'; write .parquet or .arrow")
    if not path.parent.is_dir():
        raise TableError(f"{path}: there is no folder {path.parent}")
    with aside(path) as part:
        # Arrow writes past the interpreter; the header of a .npy file is written a second time, for which Python's file can go back
        file = part.open("wb") if kind == "npy" else pa.OSFile(str(part), "wb")
        compression = compression_of(path)
        stream = file if compression is None else pa.CompressedOutputStream(file, compression)
        sink = _sink(kind, stream, schema, probabilities, "\t" if ".tsv" in path.name.lower() else ",")
        try:
            yield sink
            for left in (sink, stream, file):
                left.close()
        except BaseException:
            for left in (sink, stream, file):
                with contextlib.suppress(Exception):  # what cannot be ended after an error is not what went wrong
                    left.close()
            raise
