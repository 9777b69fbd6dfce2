"""
The cells that miss a bar, out of the tables of docs/speed.md, each with its reason: ``python -m benchmarks misses`` writes them there.

A cell is one line of a table at one CPU level. The reasons stand in the page, under the names that are given here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.marks import SPEED, between, put
from sigmax.bench.peers import OVER_AN_AXIS
from sigmax.bench.speed import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Line", "main", "misses", "reason", "table"]

FEW, WIDE = 10, 1000  # classes


@dataclass(frozen=True)
class Line:
    """One line of a table at one level: how many times as long as ours each peer takes."""

    function: str
    dtype: str
    shape: str
    cores: str
    level: str
    ratios: dict[str, float]

    @property
    def classes(self) -> int:
        """The length of the axis of the classes; 0 where there is none."""
        if self.function not in OVER_AN_AXIS:
            return 0
        lengths = [int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", self.shape.partition(", axis")[0])]
        axis = re.search(r"axis (\d)", self.shape)
        return lengths[int(axis[1]) if axis else -1]

    def bars(self) -> dict[str, float]:
        """Return the bar beside each peer."""
        if self.classes == 0:
            bar = 1.3 if self.dtype == "float64" else 1.0
        elif "axis" in self.shape or self.shape == "10":
            bar = 1.0
        elif self.classes <= FEW:
            return {peer: 2.0 if peer == "jax" else 5.0 for peer in LIBRARIES}
        else:
            bar = 1.2 if self.classes >= WIDE else 1.3
        return dict.fromkeys(LIBRARIES, bar)


def lines(page: str) -> Iterator[Line]:
    """Return what the tables of the page hold."""
    for mark, cores in (("one", "1"), ("all", "all")):
        rows = [line.strip("| ").split(" | ") for line in between(page, mark).splitlines() if line.startswith("| ")]
        head, *rest = [[cell.strip() for cell in row] for row in rows]
        starts = {name.partition(":")[0]: i for i, name in enumerate(head) if name.endswith(": ns")}
        for cells_of_row in rest:
            row = cells_of_row + [""] * (len(head) - len(cells_of_row))
            for level, start in starts.items():
                cells = dict(zip(head[start + 1 : start + 1 + len(LIBRARIES)], row[start + 1 :], strict=False))
                ratios = {peer: float(cell.strip("*| ")) for peer, cell in cells.items() if cell.strip("*| ")}
                yield Line(row[0], row[1], row[2], cores, level, ratios)


def reason(line: Line) -> str:
    """Return the name of the reason."""
    if line.shape == "10":
        return "ten numbers"
    if "axis 0" in line.shape:
        return "axis 0"
    if "axis 1" in line.shape:
        return "a middle axis"
    if line.classes == 0:
        return f"{line.function} of {line.dtype}" if line.dtype == "float32" else f"elementwise {line.dtype}"
    if line.dtype in ("float16", "bfloat16"):
        return "half precision"
    if line.classes <= FEW:
        return "few classes"
    if line.function != "softmax":
        return "the logarithm of many classes"
    return "wide rows" if line.classes >= WIDE else "16 to 100 classes"


def misses(page: str) -> list[tuple[Line, str, float, float, str]]:
    """Return each miss: the line, the peer, its ratio, the bar, and the reason."""
    found = []
    for line in lines(page):
        bars = line.bars()
        missed = [(ratio, peer) for peer, ratio in line.ratios.items() if ratio < bars[peer]]
        found += [(line, peer, ratio, bars[peer], reason(line)) for ratio, peer in sorted(missed)[:1]]
    return found


def table(page: str) -> str:
    """Return the misses as a Markdown table, the reasons together."""
    found = sorted(misses(page), key=lambda miss: miss[4])
    rows = [
        "| reason | function | dtype | shape | cores | level | fastest | ratio | bar |",
        "|---|---|---|---|---|---|---|---:|---:|",
    ]
    for line, peer, ratio, bar, why in found:
        cells = (why, line.function, line.dtype, line.shape, line.cores, line.level, peer, f"{ratio:.2f}", f"{bar:g}")
        rows.append("| " + " | ".join(cells) + " |")
    total = sum(1 for _ in lines(page))
    below = sum(ratio < 1 for _, _, ratio, _, _ in found)
    return f"{len(found)} of {total} cells miss their bar; in {below} of them a peer is faster.\n\n" + "\n".join(rows)


def main() -> None:
    """Write the table into the page."""
    page = SPEED.read_text()
    SPEED.write_text(put(page, "misses", table(page)))
    print(table(page))
