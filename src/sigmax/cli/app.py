"""The command's application, and what all commands share: the terminal, errors, the options of a job."""

from __future__ import annotations

import contextlib
import errno
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import cyclopts
from cyclopts import Parameter
from rich import console as rich_console
from rich.text import Text

import sigmax
from sigmax.tables.dialect import Dialect
from sigmax.tables.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "DECIDE",
    "FOUND",
    "JUDGE",
    "LEARN",
    "SCORE",
    "STDIN",
    "STDOUT",
    "UNDERSTAND",
    "Asked",
    "Console",
    "Several",
    "app",
    "commands_of",
    "examples",
    "fail",
    "plain",
    "progress_bar",
]


class Console(rich_console.Console):
    """A terminal; one whose reader has gone is met where all others are."""

    def on_broken_pipe(self) -> None:
        """Say so to the main program."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")


app = cyclopts.App(
    name="sigmax",
    help="From scores to probabilities: sigmoid, softmax, odds and log-odds.",
    version=sigmax.__version__,
    help_format="rst",
    console=Console(),
)
UNDERSTAND, LEARN, SCORE, JUDGE, DECIDE = (
    cyclopts.Group(name, sort_key=i) for i, name in enumerate(("Understand", "Learn", "Score", "Judge", "Decide"))
)
LONGEST = 1000  # characters of an error
STDIN, STDOUT = "/dev/stdin", "/dev/stdout"
Several = Parameter(consume_multiple=True, negative_iterable=())

# A job's options are those of the command, with its documentation for their help; how CSV files are written stands among them.
Parameter(name="*")(Dialect)
Asked = Annotated[
    Job,
    Parameter(
        name="*",
        consume_multiple=True,
        negative_iterable=(),
        show_default=lambda value: None if value in (None, ()) else str(value),
    ),
]
FOUND = Job()


def examples(*lines: str) -> str:
    """Return what stands below a command's help."""
    return "Examples:\n\n" + "".join(f"| {line}\n" for line in lines).replace("*", r"\*")


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
