"""Text that a command writes into a page: what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SPEED", "between", "put"]

SPEED = Path(__file__).parent.parent / "docs" / "speed.md"


def put(text: str, name: str, body: str) -> str:
    """Return `text` with `body` between the marks of `name`."""
    before, _, after = _parted(text, name)
    return f"{before}\n{body}\n{after}"


def between(text: str, name: str) -> str:
    """Return what stands between the marks of `name`."""
    return _parted(text, name)[1].strip("\n")


def _parted(text: str, name: str) -> tuple[str, str, str]:
    """Return a text up to the first mark of `name`, what stands between the two, and the rest, the marks with the outer parts."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has no marks {begin} and {end}")
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside, end + after
