"""Files that appear when they are complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["aside", "write_whole"]


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, which takes its place when all went well; what was there before stays otherwise."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file."""
    with aside(path) as part:
        part.write_bytes(content)
