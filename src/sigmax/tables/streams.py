"""Standard input and output as score files: by way of a temporary file, so that nothing is half written and any format may come."""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import TYPE_CHECKING

from sigmax.tables.errors import TableError
from sigmax.writing import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["standard_input", "standard_output"]

# what files of each format begin with; all else is CSV
_BEGINNINGS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\xff\xff\xff\xff": ".arrow",
    b"\x93NUMPY": ".npy",
    b"\x1f\x8b": ".csv.gz",
    b"BZh": ".csv.bz2",
    b"\x28\xb5\x2f\xfd": ".csv.zst",
}


@contextlib.contextmanager
def standard_input() -> Iterator[Path]:
    """Read standard input into a file that is gone afterwards; its ending names the format that it has."""
    if sys.stdin is None:
        raise TableError("standard input is closed; name a file, or lead one into the command")
    with temporary_folder() as folder:
        beginning = sys.stdin.buffer.read(8)
        ending = next((e for b, e in _BEGINNINGS.items() if beginning.startswith(b)), ".csv")
        path = folder / f"stdin{ending}"
        with path.open("wb") as file:
            file.write(beginning)
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        yield path


@contextlib.contextmanager
def standard_output(kind: str) -> Iterator[Path]:
    """Give a file to write, with that ending; it goes to standard output when all went well."""
    with temporary_folder() as folder:
        path = folder / f"stdout.{kind}"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
