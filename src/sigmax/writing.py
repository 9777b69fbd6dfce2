"""
Files that appear when they are complete, or not at all.

What is being written is held under a lock. Whoever dies leaves his files without one, and the next who works in that folder removes them;
a lock holds between machines that share the folder too, where the system has it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sigmax.errors import InputError

try:
    import fcntl
except ModuleNotFoundError:  # Windows: nothing is locked, and nothing removed
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["aside", "onnx_model", "remove_left", "temporary_folder", "write_whole"]

PARTS = ".sigmax-*.part"
FOLDERS = "sigmax-stream-*"
HELD = "held"  # the file in a temporary folder that is locked for it


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, which takes its place when all went well; what was there before stays otherwise."""
    while True:
        part = path.with_name(PARTS.replace("*", secrets.token_hex(8)))
        with part.open("xb") as held:
            _lock(held)
            if os.fstat(held.fileno()).st_nlink == 0:  # removed before it was locked
                continue
            try:
                yield part
                part.replace(path)
            except OSError as error:  # a write that failed does not know of what, or of the part alone
                if error.filename in (None, str(part)):
                    error.filename = str(path)
                raise
            finally:
                part.unlink(missing_ok=True)
            return


def write_whole(path: Path, content: bytes) -> None:
    """Write a file."""
    remove_left(path.parent)
    with aside(path) as part:
        part.write_bytes(content)


def remove_left(folder: Path, *, below: bool = False) -> None:
    """Remove what runs that were killed have left half written in a folder, and in those below it."""
    for part in (folder.rglob if below else folder.glob)(PARTS):
        with contextlib.suppress(OSError), part.open("rb") as file:
            if _lock(file, wait=False):
                part.unlink()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards; those of runs that were killed go first."""
    for left in Path(tempfile.gettempdir()).glob(FOLDERS):
        with contextlib.suppress(OSError), (left / HELD).open("rb") as file:
            if _lock(file, wait=False):
                shutil.rmtree(left)
    folder, held = _held_folder()
    with held:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _held_folder() -> tuple[Path, BinaryIO]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDERS.removesuffix("*")))
        held = (folder / HELD).open("xb")
        _lock(held)
        if os.fstat(held.fileno()).st_nlink:
            return folder, held
        held.close()  # removed before it was locked


def _lock(file: BinaryIO, *, wait: bool = True) -> bool:
    """Lock an open file for this opening of it, and return whether that is done: not where there are no locks, or another has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def onnx_model(build: Callable[[], Any], path: str | Path | None) -> Any:
    """Build an ONNX model, and write it to a file where one is named."""
    try:
        found = build()
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"an ONNX model needs '{missing.name}'; install it with: pip install onnx", name=missing.name
        ) from missing
    if path is not None:
        if Path(path).suffix != ".onnx":
            raise InputError(f"{path}: an ONNX model is written to a file that ends in .onnx")
        write_whole(Path(path), found.SerializeToString())
    return found
