"""The command's application, and what all commands share: groups, examples, the options of a job."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from cyclopts import Parameter

import sigmax
from sigmax.cli.overview import COMMANDS, SUMMARY
from sigmax.cli.terminal import Console
from sigmax.tables.dialect import Dialect
from sigmax.tables.job import Job

__all__ = [
    "DECIDE",
    "FOUND",
    "JUDGE",
    "LEARN",
    "SCORE",
    "UNDERSTAND",
    "Asked",
    "Several",
    "app",
    "examples",
]


app = cyclopts.App(
    name="sigmax",
    help=SUMMARY,
    version=sigmax.__version__,
    help_format="rst",
    console=Console(),
)
UNDERSTAND, LEARN, SCORE, JUDGE, DECIDE = (cyclopts.Group(name, sort_key=i) for i, name in enumerate(COMMANDS))
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
