"""The terminal: what is printed there, errors, progress."""

from __future__ import annotations

import contextlib
import errno
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

from rich import console as rich_console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STDIN", "STDOUT", "Console", "commands_of", "fail", "plain", "progress_bar"]

LONGEST = 1000  # characters of an error
STDIN, STDOUT = "/dev/stdin", "/dev/stdout"


class Console(rich_console.Console):
    """A terminal; a colon is a colon on it, and one whose reader has gone is met where all others are."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, emoji=False)

    def on_broken_pipe(self) -> None:
        """Say so to the main program."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")


def fail(message: str, *lines: str) -> NoReturn:
    """End with an error; what a file holds cannot make more than a line of it, nor steer the terminal."""
    told = message if len(message) <= LONGEST else f"{message[:LONGEST]} ..."
    print(*(plain(line).plain for line in (f"sigmax: {told}", *lines)), sep="\n", file=sys.stderr)
    sys.exit(2)


def commands_of(error: Exception) -> list[str]:
    """Return the commands that say which reading of a file is meant."""
    readings = getattr(error, "readings", [])
    return [f"    {shlex.join(['sigmax', *sys.argv[1:], *reading.options])}" for reading in readings]


def plain(text: str) -> Text:
    """Return a user's text as it is: no markup, no emoji, and no character that steers the terminal."""
    return Text("".join(c if c.isprintable() else " " if c in "\t\n" else f"\\x{ord(c):02x}" for c in text))


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on the terminal; nothing where the errors go to a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)
