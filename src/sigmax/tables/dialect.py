"""How a CSV file is written: what lies between its fields, how its numbers look, whether its first line names the columns."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sigmax.tables.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["NUMBER", "Dialect", "Layout", "WithoutRemarks", "layout_of"]

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|infinity|nan)", re.IGNORECASE)

_MARKS = ("\t", ";", "|", ",")  # in this order: a comma may be a decimal mark between semicolons
_BYTE_ORDERS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Dialect:
    """
    How CSV files are written. What is not said is noticed where that is safe, and an error where it is not.

    Parameters
    ----------
    delimiter : str, optional
        What lies between fields. Default: a comma, semicolon, tab, bar or blank, whichever cuts the first lines alike.
    decimal : {'.', ','}
        The decimal mark of the numbers.
    thousands : str, optional
        What groups the thousands of the scores, as the comma in 1,234.5. Default: nothing.
    header : bool, optional
        Whether the first line names the columns. Default: it does, and if it looks like a row of numbers, that is an error.
    encoding : str, optional
        How the text is encoded, as in 'latin-1'. Default: UTF-8, or UTF-16 where the file begins with its mark.
    comment : str, optional
        What a line begins with that is passed over, wherever it stands. Default: lines with # before the first row are.

    Raises
    ------
    TableError
        If an option is not a single character, an encoding is not known, or two options contradict each other.

    Examples
    --------
    >>> from sigmax.tables import Dialect
    >>> Dialect(decimal=",", delimiter=";")
    Dialect(delimiter=';', decimal=',', thousands=None, header=None, encoding=None, comment=None)
    """

    delimiter: str | None = None
    decimal: str = "."
    thousands: str | None = None
    header: bool | None = None
    encoding: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.delimiter in ("tab", "\\t"):
            object.__setattr__(self, "delimiter", "\t")
        for name in ("delimiter", "thousands", "comment"):
            value = getattr(self, name)
            if name == "comment" and value == "//":
                continue
            if value is not None and (len(value) != 1 or value.isalnum() or value in '"\r\n'):
                raise TableError(f"the {name} is {value!r}; it must be one character, and no letter or digit")
        if self.decimal not in (".", ","):
            raise TableError(f"the decimal mark is {self.decimal!r}; it must be '.' or ','")
        for name in ("delimiter", "thousands"):
            if getattr(self, name) == self.decimal:
                raise TableError(f"the {name} and the decimal mark are both '{self.decimal}'; change one of them")
        if self.comment is not None and (self.encoding or "").lower().startswith("utf-16"):
            raise TableError(
                "lines are passed over in text of UTF-8 and its like; turn the file into UTF-8, or leave --comment away"
            )
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                raise TableError(f"there is no encoding '{self.encoding}'; try utf-8, utf-16 or latin-1") from None

    @property
    def plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self.decimal == "." and self.thousands is None

    def number(self) -> re.Pattern[str]:
        """Return what a number looks like."""
        if self.plain:
            return NUMBER
        point = re.escape(self.decimal)
        digits = r"\d+"
        if self.thousands is not None:
            digits = rf"(?:\d+|\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+)"
        return re.compile(
            rf"[-+]?({digits}{point}?\d*|{point}\d+)([eE][-+]?\d+)?|[-+]?(inf|infinity|nan)", re.IGNORECASE
        )


class WithoutRemarks(io.RawIOBase):
    """
    A text without the lines that begin with a mark.

    Parameters
    ----------
    file : binary file
        The text.
    mark : str
        What these lines begin with.
    """

    def __init__(self, file: Any, mark: str) -> None:
        self._file = file
        self._mark = mark.encode()
        self._begun = b""  # of a line whose end is still to come
        self._ready = b""
        self._quoted = False  # whether the next line begins within quotes, where it is a part of a field

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as lines have come in, and return how far."""
        while not self._ready:
            block = self._file.read(1 << 20)
            text = self._begun + block
            end = text.rfind(b"\n") + 1 if block else len(text)
            self._begun, self._ready = text[end:], b"".join(self._kept(text[:end].splitlines(keepends=True)))
            if not block:
                break
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _kept(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            if self._quoted or not line.startswith(self._mark):
                self._quoted ^= line.count(b'"') % 2 == 1
                yield line


@dataclass(frozen=True)
class Layout:
    """What the beginning of a CSV file shows."""

    delimiter: str
    encoding: str
    skip: int  # lines before the first that is read
    names: list[str] | None  # of the columns; None where the first line that is read has them


def layout_of(beginning: bytes, dialect: Dialect, *, whole: bool) -> Layout:
    """
    Return how a CSV file is laid out.

    Parameters
    ----------
    beginning : bytes
        The first of the file; more than a line.
    dialect : Dialect
        What is known of it.
    whole : bool
        Whether that is all of the file.
    """
    encoding = dialect.encoding or next((e for mark, e in _BYTE_ORDERS.items() if beginning.startswith(mark)), "utf-8")
    text = beginning.decode(encoding, "replace").removeprefix("\ufeff")
    lines = re.split(r"\r\n|\n|\r", text)
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # the last may be cut
    skip = 0
    told = re.fullmatch(r"sep=(.)", lines[0].strip('"'), re.IGNORECASE) if lines else None
    if told is not None:  # what spreadsheets write for each other
        lines, skip = lines[1:], 1
    filled = [line for line in lines[:200] if line.strip()]
    remarks = next((i for i, line in enumerate(filled) if not line.startswith("#")), len(filled))
    body = filled[remarks:] or filled
    delimiter = dialect.delimiter or (told[1] if told is not None else _delimiter(body, dialect.decimal))
    below = next(_fields(body, delimiter), [])
    names = None
    if remarks and body is not filled:
        skip += next(i for i, line in enumerate(lines) if line == body[0])  # remarks are passed over
        header = [name.strip() for name in next(_fields([filled[remarks - 1]], delimiter), [])]
        if len(header) == len(below) and any(NUMBER.fullmatch(word.strip()) for word in below):
            names = [header[0].lstrip("# ") or "#", *header[1:]]  # numpy.savetxt writes its header as one
    if dialect.header is False:
        names = [f"column_{i + 1}" for i in range(len(below))]
    elif names is None and (any(n != n.strip() for n in below) or below.count("") > 1):
        names = [n.strip() or f"Unnamed: {i}" for i, n in enumerate(below)]
        skip += 1 + next((i for i, line in enumerate(lines[skip - (told is not None) :]) if line.strip()), 0)
    return Layout(delimiter, encoding, skip, names)


def _fields(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Cut lines into fields, up to what cannot be cut."""
    with contextlib.suppress(csv.Error):
        yield from csv.reader(lines, delimiter=delimiter)


def _delimiter(lines: Sequence[str], decimal: str) -> str:
    """Return the mark that cuts all lines into as many fields, two or more; else the most frequent one of the first line."""
    marks = [mark for mark in _MARKS if mark != decimal]
    for mark in marks:
        widths = {len(row) for row in _fields(lines, mark)}
        if len(widths) == 1 and widths != {1}:
            return mark
    words = [line.split(" ") for line in lines]
    if len({len(row) for row in words}) == 1 and all(len(row) > 1 and all(map(NUMBER.fullmatch, row)) for row in words):
        return " "
    first = lines[0] if lines else ""
    most = max(marks, key=first.count)
    return most if most in first else marks[-1]
