"""Score files read as streams of record batches: CSV (compressed too), Parquet, Arrow IPC (Feather), .npy, .npz and .safetensors."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sigmax.tables.arrays import open_arrays
from sigmax.tables.dialect import Dialect, WithoutRemarks, layout_of
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.families import is_numeric
from sigmax.tables.files import check_source, compression_of, format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Source", "open_source", "parts_of"]

_T = TypeVar("_T")

BATCH_ROWS = 65_536  # upper bound; wide tables take fewer, so that a batch stays near BATCH_BYTES
BATCH_BYTES = 16 << 20
BEGINNING = 1 << 18  # of a CSV file, to see how it is written


@dataclass(frozen=True)
class Source:
    """A file being read: its schema, its batches, and its size and the position in it, in the same unit, for a progress bar."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    size: int
    position: Callable[[], int]
    named: bool = True  # whether the columns have names of their own
    sure: bool = True  # whether these are surely names, and not the first row of a CSV file
    typed: bool = True  # whether their types are those of the file, and not guessed from its text
    others: Sequence[tuple[str, str]] = ()  # what else the file holds, that is no column of the table
    keys: Sequence[str] = ()  # the last columns, which are named and filled by the folders that it lies in

    def schema_of_results(self, target: Path | None) -> pa.Schema:
        """Return the columns that results are made of: in a file without the keys, which its folders say as well."""
        return pa.schema([f for f in self.schema if target is None or f.name not in self.keys])


def parts_of(path: Path) -> list[list[int] | None]:
    """Return the pieces that a file can be read in by itself: groups of row groups of a Parquet file, else the whole."""
    if format_of(path) != "parquet":
        return [None]
    with _blamed(path, "parquet"), pq.ParquetFile(path) as file:
        return list(_groups_of_row_groups(file))


def _groups_of_row_groups(file: pq.ParquetFile) -> Iterator[list[int]]:
    """Join small row groups, so that batches are of a good size whatever the file's are."""
    wanted, together, rows = _rows_for(file.schema_arrow), [], 0
    for i in range(file.metadata.num_row_groups):
        together.append(i)
        rows += file.metadata.row_group(i).num_rows
        if rows >= wanted:
            yield together
            together, rows = [], 0
    if together:
        yield together


def open_source(
    path: Path,
    types: Mapping[str, pa.DataType] | None = None,
    part: list[int] | None = None,
    dialect: Dialect | None = None,
    keys: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
) -> contextlib.AbstractContextManager[Source]:
    """
    Open a score file for one pass.

    Parameters
    ----------
    path : Path
        A file in one of the formats.
    types : mapping of str to pyarrow.DataType, optional
        For CSV: the types of these columns, in place of those that the first rows suggest.
    part : list of int, optional
        For Parquet: one of `parts_of`, instead of the whole file.
    dialect : Dialect, optional
        For CSV: how it is written.
    keys : mapping of str to str, optional
        Columns of one value that it gets: those of `keys_of` that it has not itself.
    columns : sequence of str, optional
        For Parquet: what is read of it; the others need not be.
    """
    check_source(path)
    kind = format_of(path)
    if kind == "parquet":
        reader = _read_parquet(path, part, columns)
    elif kind == "csv":
        reader = _read_csv(path, types or {}, dialect or Dialect())
    else:
        reader = _read_arrow(path) if kind == "arrow" else _read_arrays(path, kind)
    return _whole(path, kind, reader, keys or {})


@contextlib.contextmanager
def _whole(
    path: Path, kind: str, reader: contextlib.AbstractContextManager[Source], keys: Mapping[str, str]
) -> Iterator[Source]:
    """Give a source with its structs taken apart, the keys of its folders beside it, and errors that name it."""
    with _explained(path, kind, reader) as found:
        structs = [f.name for f in found.schema if _is_struct_of_numbers(f.type)]
        new = {k: v for k, v in keys.items() if k not in found.schema.names}
        flat = _changed(found, lambda batch: _flat(batch, structs)) if structs else found
        yield dataclasses.replace(_changed(flat, lambda batch: _with(batch, new)), keys=tuple(new)) if new else flat


def _changed(source: Source, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Source:
    schema = change(pa.RecordBatch.from_pylist([], source.schema)).schema
    return dataclasses.replace(source, schema=schema, batches=map(change, source.batches))


def _is_struct_of_numbers(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.num_fields > 0 and all(is_numeric(f.type) for f in kind)


def _flat(batch: pa.RecordBatch, structs: Sequence[str]) -> pa.RecordBatch:
    """Put a column for each part in the place of a struct: scores.cat, scores.dog."""
    names: list[str] = []
    columns: list[pa.Array] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        is_struct = field.name in structs and pa.types.is_struct(field.type)
        names += [f"{field.name}.{f.name}" for f in field.type] if is_struct else [field.name]
        columns += column.flatten() if is_struct else [column]
    return pa.record_batch(columns, names=names)  # two of one name are refused where the columns are chosen


def _with(batch: pa.RecordBatch, keys: Mapping[str, str]) -> pa.RecordBatch:
    columns = [*batch.columns, *(pa.repeat(value, batch.num_rows) for value in keys.values())]
    return pa.record_batch(columns, schema=pa.schema([*batch.schema, *((k, pa.string()) for k in keys)]))


@contextlib.contextmanager
def _explained(path: Path, kind: str, reader: contextlib.AbstractContextManager[Source]) -> Iterator[Source]:
    """Blame the file for what goes wrong in reading it, and for nothing else."""
    with contextlib.ExitStack() as stack:
        with _blamed(path, kind):
            source = stack.enter_context(reader)
            str(source.schema.names)  # which may be no text
        yield dataclasses.replace(source, batches=_blamed_batches(path, kind, source.batches))


def _blamed_batches(path: Path, kind: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while True:
        with _blamed(path, kind):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextlib.contextmanager
def _blamed(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, EOFError, UnicodeError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        hint = (
            "; if the fields are cut at the wrong mark, name it with --delimiter" if " columns, got " in reason else ""
        )
        if kind == "csv" and isinstance(error, UnicodeError):
            hint = "; name its encoding, as in --encoding latin-1"
        raise TableError(f"{path} cannot be read as {kind}: {reason}{hint}") from error
    except OSError as error:
        if error.filename is not None:  # the error names it
            raise
        raise TableError(
            f"{path} cannot be read as {kind}: {next(iter(str(error).splitlines()), 'it is damaged')}"
        ) from error


def _rows_for(schema: pa.Schema) -> int:
    """Rows in a batch of about BATCH_BYTES, guessing 16 bytes for what has no fixed width."""
    width = 0
    for field in schema:
        try:
            width += max(field.type.bit_width // 8, 1)
        except ValueError:
            width += 16
    return max(1024, min(BATCH_ROWS, BATCH_BYTES // max(width, 1)))


@contextlib.contextmanager
def _read_csv(path: Path, types: Mapping[str, pa.DataType], dialect: Dialect) -> Iterator[Source]:
    size = path.stat().st_size
    if size == 0:
        raise TableError(f"{path} is empty; a CSV file begins with the names of its columns")
    with path.open("rb") as file, contextlib.ExitStack() as stack:
        compression = compression_of(path)

        def stream() -> Any:
            file.seek(0)
            found = file if compression is None else stack.enter_context(pa.CompressedInputStream(file, compression))
            return found if dialect.comment is None else WithoutRemarks(found, dialect.comment)

        beginning = bytes(stream().read(BEGINNING))
        _check_text(path, beginning)
        layout = layout_of(beginning, dialect, whole=len(beginning) < BEGINNING)
        reader = pa_csv.open_csv(
            stream(),
            read_options=pa_csv.ReadOptions(
                block_size=4 << 20, skip_rows=layout.skip, column_names=layout.names, encoding=layout.encoding
            ),
            parse_options=pa_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=dict(types), decimal_point=dialect.decimal),
        )
        for field in reader.schema:
            if pa.types.is_binary(field.type):
                raise _no_text(path, field.name, dialect)
        names_said = dialect.header is not None or layout.names is not None
        yield Source(
            reader.schema,
            _csv_batches(path, reader, dialect),
            size,
            file.tell,
            named=dialect.header is not False,
            sure=names_said,
            typed=False,
        )


def _check_text(path: Path, beginning: bytes) -> None:
    """Refuse what is no text, by its first bytes."""
    kinds = {
        b"PK\x03\x04": "a workbook or another archive: save it as CSV",
        b"PAR1": "a Parquet file: name it .parquet",
        b"ARROW1": "an Arrow file: name it .arrow",
        b"\x93NUMPY": "a NumPy array: name it .npy",
        b"\x1f\x8b": "compressed: name it .csv.gz",
        b"BZh": "compressed: name it .csv.bz2",
        b"\x28\xb5\x2f\xfd": "compressed: name it .csv.zst",
    }
    is_utf16 = beginning.startswith((b"\xff\xfe", b"\xfe\xff"))
    for magic, what in kinds.items():
        if beginning.startswith(magic):
            raise TableError(f"{path} is no CSV file but {what}")
    if b"\0" in beginning and not is_utf16:
        raise TableError(
            f"{path} holds zero bytes; if it is text in UTF-16, say --encoding utf-16-le, else it is no CSV file"
        )


def _no_text(path: Path, column: str, dialect: Dialect) -> TableError:
    return TableError(
        f"{path}: column '{column}' holds bytes that are no {dialect.encoding or 'UTF-8'}; name the encoding, as in --encoding latin-1"
    )


def _csv_batches(path: Path, reader: pa_csv.CSVStreamingReader, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except pa.ArrowInvalid as error:
            text = str(error)
            if not text.startswith("In CSV column #"):
                raise
            number, _, reason = text.removeprefix("In CSV column #").partition(": ")
            field = reader.schema.field(int(number))
            if pa.types.is_string(field.type):  # any text can be read as that
                raise _no_text(path, field.name, dialect) from error
            raise WrongTypeError(field.name, field.type, reason.splitlines()[0]) from error
        yield batch


@contextlib.contextmanager
def _read_parquet(path: Path, part: list[int] | None, columns: Sequence[str] | None) -> Iterator[Source]:
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        done = 0
        schema = file.schema_arrow
        if columns is not None:  # a struct is taken apart later, and read whole
            schema = pa.schema([f for f in schema if f.name in columns or pa.types.is_struct(f.type)])
        wanted = None if columns is None else schema.names
        others = [i for i, f in enumerate(schema) if not is_numeric(f.type)]

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal done
            for row_groups in _groups_of_row_groups(file) if part is None else [part]:
                rows = _rows_for(schema)
                for batch in file.iter_batches(rows, row_groups=row_groups, columns=wanted, use_threads=False):
                    done += batch.num_rows
                    for i in others:
                        batch.column(i).validate(
                            full=True
                        )  # text that is none would be met later, where no file is known
                    yield batch

        yield Source(schema, batches(), file.metadata.num_rows, lambda: done)


@contextlib.contextmanager
def _read_arrow(path: Path) -> Iterator[Source]:
    with pa.OSFile(str(path)) as file:
        magic = file.read(6)
        file.seek(0)
        reader = pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file)

        def batches() -> Iterator[pa.RecordBatch]:
            step = _rows_for(reader.schema)
            stream = (
                (reader.get_batch(i) for i in range(reader.num_record_batches)) if magic == b"ARROW1" else iter(reader)
            )
            for batch in stream:
                batch.validate(full=True)  # offsets that lead out of a damaged file would end the process
                for begin in range(0, batch.num_rows, step):
                    yield batch.slice(begin, step)

        yield Source(reader.schema, batches(), path.stat().st_size, file.tell)


@contextlib.contextmanager
def _read_arrays(path: Path, kind: str) -> Iterator[Source]:
    with open_arrays(path, kind) as file:
        done = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal done
            for batch in file.batches(_rows_for(file.schema)):
                yield batch
                done += batch.num_rows

        yield Source(file.schema, batches(), file.rows, lambda: done, named=kind != "npy", others=file.others)
