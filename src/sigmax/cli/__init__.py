"""The command ``sigmax``: scores in a file or on the command line, probabilities out."""

from __future__ import annotations

import errno
import signal
import sys
from typing import NoReturn

try:
    import cyclopts

    from sigmax.cli.app import STDIN, STDOUT, app, commands_of, fail
except ModuleNotFoundError as missing:
    sys.exit(f"sigmax: the command needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")

from sigmax.cli import bench, calibrate, decide, explain, explore, fit, measure, plot, report, score  # noqa: F401 - which are the commands
from sigmax.cli.streams import drop_output, end_on_signals, open_streams
from sigmax.errors import InputError

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command; an error that the user can mend is one line and exit status 2."""
    open_streams()
    end_on_signals()
    try:
        app(_tokens(sys.argv[1:]), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except cyclopts.CycloptsError as error:
        fail(" ".join(str(error).split()))
    except InputError as error:
        commands = commands_of(error)
        fail(f"{error.reason}; say which columns are the scores:" if commands else str(error), *commands)  # type: ignore[attr-defined]
    except BrokenPipeError:  # whoever read has seen enough
        drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        drop_output()
        closed = error.errno == errno.EBADF and error.filename is None
        fail(
            "standard output is closed"
            if closed
            else f"{error.filename or 'standard output'}: {error.strerror or error}"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _tokens(arguments: list[str]) -> list[str]:
    """
    Write out what would be taken for options.

    A single - is standard output after -o, else standard input; and names of columns and classes may begin with -, as -1 does.
    """
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
