"""
Files of arrays, .npy, .npz and .safetensors, as tables: an array of two axes is a column of lists, one of one axis a column of numbers.

Their numbers are read from the file, never mapped: a map of a file that is cut meanwhile ends the process.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pyarrow as pa

from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ArrayFile", "open_arrays"]

WIDEST = 1 << 22  # numbers in a row
HEADER = 100 << 20  # bytes: what a .safetensors file may begin with
_TENSORS = {
    **{f"F{n}": f"f{n // 8}" for n in (16, 32, 64)},
    **{f"{s}{n}": f"{s.lower()}{n // 8}" for s in "IU" for n in (8, 16, 32, 64)},
    "BOOL": "?",
    "BF16": ml_dtypes.bfloat16,
}


class _DamagedError(Exception):
    """A file of arrays that is not what it says."""


# what its readers raise, a password and an unknown compression among it
_DAMAGE = (
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    UnicodeError,
    _DamagedError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class _Array:
    """An array in a file: what it is, and its next rows."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[int, int], NDArray[Any]]  # from the first row, so many; one after the other

    @property
    def is_column(self) -> bool:
        plain = self.dtype.kind in "biufSU" and (self.dtype.kind in "SU" or self.dtype.itemsize <= 8)
        return len(self.shape) in (1, 2) and (plain or self.dtype == ml_dtypes.bfloat16)

    @property
    def width(self) -> int:
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class ArrayFile:
    """
    What a file of arrays holds.

    Attributes
    ----------
    schema : pyarrow.Schema
        A column for each array of one length.
    rows : int
        That length.
    batches : callable
        Takes a number of rows, and returns the record batches.
    others : list of (str, str)
        The arrays that are no columns, with what they are.
    """

    schema: pa.Schema
    rows: int
    batches: Callable[[int], Iterator[pa.RecordBatch]]
    others: list[tuple[str, str]]


@contextlib.contextmanager
def open_arrays(path: Path, kind: str) -> Iterator[ArrayFile]:
    """Open a file of arrays; `kind` is 'npy', 'npz' or 'safetensors'."""
    with contextlib.ExitStack() as stack, _blamed(path, kind):
        if kind == "npy":
            file = stack.enter_context(path.open("rb"))
            arrays = [_npy("score", file, again=True)]
        elif kind == "npz":
            arrays = _npz(stack.enter_context(zipfile.ZipFile(path)), stack)
        else:
            arrays = _safetensors(stack.enter_context(path.open("rb")), path.stat().st_size)
        found = _table(path, arrays)
        yield ArrayFile(
            found.schema, found.rows, lambda step: _blamed_batches(path, kind, found.batches(step)), found.others
        )


def _blamed_batches(path: Path, kind: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _blamed(path, kind):
        yield from batches


@contextlib.contextmanager
def _blamed(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), "") or "it ends too early"
        raise TableError(f"{path} cannot be read as {kind}: {reason}") from error


def _table(path: Path, arrays: list[_Array]) -> ArrayFile:
    wide = {a.shape[0] for a in arrays if a.is_column and len(a.shape) == 2}
    lengths = wide or {a.shape[0] for a in arrays if a.is_column}
    if not lengths:
        held = ", ".join(f"{a.name} of shape {a.shape} and dtype {a.dtype}" for a in arrays[:5]) or "no arrays"
        raise TableError(f"{path} holds {held}; scores are real numbers of shape (rows,) or (rows, classes)")
    if len(lengths) > 1:
        shapes = ", ".join(f"{a.name} {a.shape}" for a in arrays if a.is_column)
        raise TableError(f"{path} holds arrays of several lengths ({shapes}); keep those of the same rows in one file")
    (rows,) = lengths
    for a in arrays:
        if a.is_column and not 0 < a.width <= WIDEST:
            raise TableError(
                f"{path} holds rows of {a.width:,} numbers (shape {a.shape}); a row has 1 to {WIDEST:,} scores"
            )
    columns = [a for a in arrays if a.is_column and a.shape[0] == rows]
    others = [(a.name, f"{a.dtype} of shape {a.shape}") for a in arrays if a not in columns]
    schema = pa.schema({a.name: _kind(a) for a in columns})

    def batches(step: int) -> Iterator[pa.RecordBatch]:
        for first in range(0, rows, step):
            count = min(step, rows - first)
            yield pa.record_batch([_column(a, a.read(first, count)) for a in columns], schema=schema)

    return ArrayFile(schema, rows, batches, others)


def _kind(array: _Array) -> pa.DataType:
    dtype = np.dtype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array.dtype
    item = pa.string() if dtype.kind in "SU" else pa.from_numpy_dtype(dtype.newbyteorder("="))
    return item if len(array.shape) == 1 else pa.list_(item, array.width)


def _column(array: _Array, part: NDArray[Any]) -> pa.Array:
    if array.dtype.kind == "S":
        values = pa.array([v.decode() for v in part.reshape(-1).tolist()], pa.string())
    elif array.dtype.kind == "U":
        values = pa.array(part.reshape(-1).tolist(), pa.string())
    else:
        dtype = np.dtype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array.dtype.newbyteorder("=")
        values = pa.array(np.ascontiguousarray(part, dtype).reshape(-1))
    return values if len(array.shape) == 1 else pa.FixedSizeListArray.from_arrays(values, array.width)


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _rows_at(file: IO[bytes], begin: int, dtype: np.dtype[Any], width: int) -> Callable[[int, int], NDArray[Any]]:
    """Return what reads rows that lie one behind the other."""

    def read(first: int, count: int) -> NDArray[Any]:
        file.seek(begin + first * width * dtype.itemsize)
        return np.frombuffer(_exactly(file, count * width * dtype.itemsize), dtype)

    return read


def _npy(name: str, file: IO[bytes], *, again: bool) -> _Array:
    """Read the header of an array; `again` says whether any place of the file can be gone to at no cost."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise _DamagedError(f"there is no version {version[0]}.{version[1]} of it")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings(action="ignore"):  # of Python's own syntax, in which it is written
            shape, across, dtype = read_header(file)
    except ValueError as error:
        raise _DamagedError(str(error)) from error
    if dtype.hasobject:
        raise _DamagedError(f"'{name}' holds Python objects, which are not loaded: they could run any code")
    if any(n < 0 for n in shape) or not dtype.itemsize:
        raise _DamagedError(f"'{name}' has the shape {shape} and dtype {dtype}")
    begin, width = file.tell(), math.prod(shape[1:])
    if not again:  # in an archive, where rows can only be read one after the other

        def following(_first: int, count: int) -> NDArray[Any]:
            return np.frombuffer(_exactly(file, count * width * dtype.itemsize), dtype)

        def turned(first: int, count: int) -> NDArray[Any]:
            if first == 0:
                whole.append(
                    np.frombuffer(_exactly(file, math.prod(shape) * dtype.itemsize), dtype).reshape(shape[::-1]).T
                )
            return whole[0][first : first + count]

        whole: list[NDArray[Any]] = []
        return _Array(name, dtype, shape, turned if across and width > 1 else following)
    if not across or len(shape) < 2:
        return _Array(name, dtype, shape, _rows_at(file, begin, dtype, width))
    along = [
        _rows_at(file, begin + k * shape[0] * dtype.itemsize, dtype, 1) for k in range(width if len(shape) == 2 else 0)
    ]
    return _Array(name, dtype, shape, lambda first, count: np.stack([read(first, count) for read in along], axis=1))


def _npz(archive: zipfile.ZipFile, stack: contextlib.ExitStack) -> list[_Array]:
    names = [n for n in archive.namelist() if n.endswith(".npy")]
    return [_npy(n.removesuffix(".npy"), stack.enter_context(archive.open(n)), again=False) for n in names]


def _safetensors(file: IO[bytes], size: int) -> list[_Array]:
    """Read the header of a file: eight bytes with its length, JSON with a type, a shape and a place for each tensor."""
    length = int.from_bytes(_exactly(file, 8), "little")
    if length > min(HEADER, size - 8):
        raise _DamagedError(f"its header has {length} bytes, and the file {size}")
    arrays = []
    try:
        header = json.loads(_exactly(file, length))
        for name, told in header.items():
            if name == "__metadata__":
                continue
            begin, end = told["data_offsets"]
            dtype, shape = np.dtype(_TENSORS.get(told["dtype"], "V1")), tuple(told["shape"])
            if any(type(n) is not int for n in (begin, end, *shape)):
                raise _DamagedError(f"'{name}' has the shape {list(shape)} at [{begin}, {end}]")
            if dtype.kind == "V" and dtype != ml_dtypes.bfloat16:
                arrays.append(_Array(name, dtype, shape, _rows_at(file, 0, dtype, 0)))  # no column
                continue
            if min(shape, default=0) < 0 or not 0 <= begin <= end <= size - 8 - length:
                raise _DamagedError(f"'{name}' lies outside of the file")
            if end - begin != math.prod(shape) * dtype.itemsize:
                raise _DamagedError(f"'{name}' of shape {shape} has {end - begin} bytes")
            arrays.append(_Array(name, dtype, shape, _rows_at(file, 8 + length + begin, dtype, math.prod(shape[1:]))))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _DamagedError("its header is none of this format") from error
    return arrays
