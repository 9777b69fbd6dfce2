"""Text that a command writes into a page: what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

from __future__ import annotations

import re

__all__ = ["between", "put"]


def put(text: str, name: str, body: str) -> str:
    """Return `text` with `body` between the marks of `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has no marks {begin} and {end}")
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{body}\n{end}", text, flags=re.DOTALL)


def between(text: str, name: str) -> str:
    """Return what stands between the marks of `name`."""
    found = re.search(
        f"<!-- {re.escape(name)}: begin -->\n(.*?)\n<!-- {re.escape(name)}: end -->", text, flags=re.DOTALL
    )
    if found is None:
        raise ValueError(f"the page has no marks of {name}")
    return found[1]
