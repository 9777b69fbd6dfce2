"""``sigmax explore``: a page to play with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sigmax.cli.app import FOUND, UNDERSTAND, Asked, app, examples
from sigmax.cli.terminal import fail
from sigmax.errors import InputError

__all__ = ["explore"]


@app.command(
    group=UNDERSTAND,
    help_epilogue=examples(
        "sigmax explore",
        "sigmax explore scores.csv --label label --costs costs.csv",
        "sigmax explore valid.csv --label y --model model.json",
    ),
)
def explore(
    file: Path | None = None,
    /,
    *,
    costs: Path | None = None,
    job: Asked = FOUND,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    edit: bool = False,
) -> None:
    """
    Open a page to play with: odds, logits, sigmoid, softmax, number formats, and your own scores.

    Serves until it is interrupted. Nothing is fetched from other hosts, and no file leaves this machine: the page opens with a random
    token alone, and answers no other site.

    Parameters
    ----------
    file : Path
        A score file to look at: .csv, .parquet, .arrow, .feather, .npy, .npz or .safetensors.
    costs : Path
        What decisions cost, to begin with: a table as ``sigmax decide`` takes it.
    host : str
        The address to serve at. Whoever opens the page needs the token that the printed address carries, from this machine too.
    port : int
        The port to serve at. Default: a free one.
    browser : bool
        Open a browser.
    edit : bool
        Show how each number is made: a copy of the page with its code, which you may change.
    """
    import importlib.util
    import shutil
    import socket
    import tempfile

    if importlib.util.find_spec("marimo") is None or importlib.util.find_spec("altair") is None:
        fail("the page needs 'marimo'; install it with: pip install 'sigmax[explore]'")
    from sigmax.tables.model import Model
    from sigmax.tables.rules import read_costs

    if port is not None and not 0 < port < 65536:
        raise InputError(f"the port is {port}; it must be from 1 to 65535")
    if file is not None:
        from sigmax.tables.files import format_of

        format_of(file)
        with file.open("rb"):  # a wrong name is told here, not in the page
            pass
    for known, path, read in (("model", job.model, Model.load), ("costs", costs, read_costs)):
        if path is not None and file is None:
            raise InputError(
                f"--{known} is for a file of yours: name it, as in: sigmax explore valid.csv --{known} {path}"
            )
        if path is not None:  # what is wrong with it is told here, not in the page
            read(path)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise InputError(f"cannot serve at {host}:{port or 'any port'}: {error.strerror or error}") from None
        port = probe.getsockname()[1]
    page = Path(__file__).parent.parent / "explore" / "page.py"
    if edit:
        page = Path(shutil.copy(page, tempfile.mkdtemp(prefix="sigmax-explore-")))
    told = ["--job", job.to_json()]
    for name, path in (("file", file), ("costs", costs)):
        told += [f"--{name}", str(path.resolve())] if path else []
    mode, opened = "edit" if edit else "run", "browser" if browser else "none"
    sys.stdout.flush()
    # in place of this process, so that who ends it ends the page
    os.execv(  # noqa: S606
        sys.executable, [sys.executable, "-m", "sigmax.explore.door", mode, str(page), host, str(port), opened, *told]
    )
