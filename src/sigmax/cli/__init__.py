"""The command ``sigmax``: scores in a file or on the command line, probabilities out."""

from __future__ import annotations

import errno
import gc
import importlib
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import sigmax
from sigmax.cli.overview import COMMANDS, print_overview
from sigmax.cli.streams import drop_output, end_on_signals, open_streams
from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["load", "main"]


def main() -> NoReturn:
    """Run the command; an error that the user can mend is one line and exit status 2."""
    open_streams()
    end_on_signals()
    try:
        _run(sys.argv[1:])
        sys.stdout.flush()
    except ModuleNotFoundError as missing:
        if missing.name not in ("rich", "cyclopts"):
            raise
        sys.exit(f"sigmax: the command needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    except InputError as error:
        from sigmax.cli.terminal import commands_of, fail

        commands = commands_of(error)
        fail(f"{error.reason}; say which columns are the scores:" if commands else str(error), *commands)  # type: ignore[attr-defined]
    except BrokenPipeError:  # whoever read has seen enough
        drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        drop_output()
        closed = error.errno == errno.EBADF and error.filename is None
        from sigmax.cli.terminal import fail

        fail(
            "standard output is closed"
            if closed
            else f"{error.filename or 'standard output'}: {error.strerror or error}"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _run(words: list[str]) -> None:
    """Run a command, with what it needs and nothing else: the overview and numbers to explain need no reader of command lines."""
    if words == ["--version"]:
        print(sigmax.__version__)
        return
    from sigmax.cli.terminal import Console

    if words in ([], ["--help"], ["-h"]):
        print_overview(Console())
    elif words[0] == "explain" and (scores := _numbers(words[1:])):
        from sigmax.cli.explaining import explain_scores

        explain_scores(Console(), scores)
    else:
        _run_through_cyclopts(words)
        return
    gc.freeze()  # at the end Python looks through all that was loaded for cycles: a sixth of so short a run


def _numbers(words: Sequence[str]) -> list[float]:
    """Return words as numbers; none if one of them is something else."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def load(*names: str) -> None:
    """Load commands, all if none is named."""
    for name in names or [name for group in COMMANDS.values() for name in group]:
        importlib.import_module(f"sigmax.cli.{name}")


def _run_through_cyclopts(words: list[str]) -> None:
    import cyclopts

    from sigmax.cli.app import app
    from sigmax.cli.terminal import fail

    known = any(words[0] in group for group in COMMANDS.values())
    load(*words[:known])
    try:
        app(_tokens(words), exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        fail(" ".join(str(error).split()))


def _tokens(arguments: list[str]) -> list[str]:
    """
    Write out what would be taken for options.

    A single - is standard output after -o, else standard input; and names of columns and classes may begin with -, as -1 does.
    """
    from sigmax.cli.terminal import STDIN, STDOUT

    found, option, values = [], "", 0
    for word in [*arguments, "--"]:
        is_option = word.startswith("--") or word == "-o"
        if option in ("--columns", "--classes"):
            if not is_option:
                found.append(f"{option}={word}")
                values += 1
                continue
            found += [] if values else [option]  # which says that it has none
        if word == "-":
            found.append(STDOUT if option in ("-o", "--output") else STDIN)
        elif word not in ("--columns", "--classes"):
            found.append(word)
        option, values = word if is_option else "", 0
    return found[:-1]
