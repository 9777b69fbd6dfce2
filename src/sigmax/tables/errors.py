"""What can be wrong with a file or an option."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sigmax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AmbiguousError", "Reading", "TableError", "WrongTypeError"]


class TableError(InputError):
    """A file or an option that cannot be used; the message says what would be right."""


class WrongTypeError(TableError):
    """A CSV column turned out to hold something else than its first rows showed."""

    def __init__(self, column: str, kind: pa.DataType, reason: str) -> None:
        super().__init__(f"column '{column}' is read as {kind}: {reason}")
        self.column = column
        self.kind = kind
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:  # it may come from another process
        return WrongTypeError, (self.column, self.kind, self.reason)


@dataclass(frozen=True)
class Reading:
    """
    One way to understand a file.

    Attributes
    ----------
    columns : tuple of str
        Names or globs of the score columns.
    label : str or None
        The column of the true class, where one was found and none was named.
    """

    columns: tuple[str, ...]
    label: str | None = None

    @property
    def options(self) -> list[str]:
        """What to add to a command."""
        return [*(["--label", self.label] if self.label is not None else []), "--columns", *self.columns]


class AmbiguousError(TableError):
    """
    A file whose scores can be understood in several ways, or in one that would be a guess.

    Attributes
    ----------
    reason : str
        What stands in the way.
    readings : list of Reading
        The ways.
    """

    def __init__(self, reason: str, readings: list[Reading]) -> None:
        ways = ", or ".join(shlex.join(r.options) for r in readings)
        super().__init__(f"{reason}: say which columns are the scores" + (f", as in {ways}" if ways else ""))
        self.reason = reason
        self.readings = readings

    def __reduce__(self) -> tuple[Any, ...]:
        return AmbiguousError, (self.reason, self.readings)
