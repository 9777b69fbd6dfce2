"""
Write the measured tables into README.md: ``python -m benchmarks readme``.

The text between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is replaced by what the other modules print.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import accuracy, speed

README = Path(__file__).parent.parent / "README.md"
SHOWN = {  # the README shows the cells that a newcomer asks about; `python -m benchmarks speed` prints all
    ("softmax", "float32", (100_000, 2)),
    ("softmax", "float32", (100_000, 3)),
    ("softmax", "float32", (100_000, 10)),
    ("softmax", "float32", (20_000, 100)),
    ("softmax", "float32", (1000, 1000)),
    ("softmax", "float64", (100_000, 10)),
    ("log_softmax", "float32", (100_000, 10)),
    ("sigmoid", "float32", (20_000,)),
    ("sigmoid", "float64", (20_000,)),
}


def put(text: str, name: str, body: str) -> str:
    """Return `text` with `body` between the marks of `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{README} has no marks {begin} and {end}")
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{body}\n{end}", text, flags=re.DOTALL)


def main() -> None:
    """Measure and write."""
    where, results = speed.run(threads=1, only=None)
    print(where, speed.table(results), sep="\n")
    shown = [r for r in results if (r.cell.function, r.cell.dtype, r.cell.shape) in SHOWN and r.cell.axis == -1]
    text = README.read_text()
    text = put(text, "speed", f"{speed.table(shown)}\n\n{where}.")
    text = put(text, "accuracy", accuracy.table())
    README.write_text(text)
