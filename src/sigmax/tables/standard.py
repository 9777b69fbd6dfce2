"""Standard input and output as score files: by way of a temporary file, so that nothing is half written and any format may come."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
from typing import TYPE_CHECKING

from sigmax.tables.errors import TableError
from sigmax.writing import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


BEGINNING = 1 << 20  # by which a stream is looked at before the rest of it is kept


@contextlib.contextmanager
def standard_input(look: Callable[[Path], object], given_up: Callable[[], bool]) -> Iterator[Path]:
    """
    Read standard input into a file that is gone afterwards; its ending names the format that it has.

    Parameters
    ----------
    look : callable
        Called with a file of the first lines of a long CSV stream: what is wrong with them is said before the rest is read, which
        may have no end.
    given_up : callable
        Returns whether nobody waits for the result any more.
    """
    if sys.stdin is None:
        raise TableError("standard input is closed; name a file, or lead one into the command")
    with temporary_folder() as folder:
        beginning = sys.stdin.buffer.read(8)
        ending = next((e for b, e in _BEGINNINGS.items() if beginning.startswith(b)), ".csv")
        path = folder / f"stdin{ending}"
        try:
            with path.open("wb") as file:
                first = beginning + sys.stdin.buffer.read(BEGINNING)
                lines = first[: first.rfind(b"\n") + 1]
                if ending == ".csv" and len(first) > BEGINNING and lines:
                    path.write_bytes(lines)
                    look(path)
                file.seek(0)
                file.write(first)
                file.flush()
                while block := sys.stdin.buffer.read(BEGINNING):
                    file.write(block)
                    if given_up():
                        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")
            yield path
        except TableError as error:
            if str(path) not in str(error):
                raise
            raise TableError(str(error).replace(str(path), "standard input")) from error


@contextlib.contextmanager
def standard_output(kind: str) -> Iterator[Path]:
    """Give a file to write, with that ending; it goes to standard output when all went well."""
    with temporary_folder() as folder:
        path = folder / f"stdout.{kind}"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
