"""
The cells of ``sigmax bench`` at one CPU level and on so many threads, as JSON: ``python -m benchmarks speed --level v3 --threads 1``.

``python -m benchmarks readme`` calls it once for each level and number of threads, because libraries choose their level when they are loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from sigmax import bench
from sigmax.bench.speed import LIBRARIES, short_ulps

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["error_range", "main", "run", "table"]

ByLevel = dict[str, list[bench.Result]]


def main(level: str, threads: int, rounds: int) -> None:
    """Measure, and print."""
    bench.use_level(level)
    bench.use_cores(threads)
    results = [asdict(bench.measure(cell, rounds)) for cell in bench.cells()]
    print(json.dumps({"setting": bench.setting(threads), "results": results}))


def run(level: str, threads: int, rounds: int = 15) -> tuple[str, list[bench.Result]]:
    """Measure in a process of its own; where and with what it was, and the results."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "speed",
        f"--level={level}",
        f"--threads={threads}",
        f"--rounds={rounds}",
    ]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    results = [
        bench.Result(
            bench.Cell(**(r["cell"] | {"shape": tuple(r["cell"]["shape"])})), r["ours"], r["ratios"], r["errors"]
        )
        for r in found["results"]
    ]
    return found["setting"], results


def error_range(errors: Iterable[float]) -> str:
    """Return the smallest and the largest of some errors in a few characters."""
    words = list(dict.fromkeys(map(short_ulps, (min(values := list(errors)), max(values)))))
    return " to ".join(words)


def table(by_level: ByLevel, *, errors: bool = True) -> str:
    """Return the levels side by side as a Markdown table: ns per element, and each peer's time as a multiple of it."""
    head = ["function", "dtype", "shape", *(["ulp", "peers' ulp"] if errors else [])]
    for level in by_level:
        head += [f"{level}: ns", *LIBRARIES]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for of_levels in zip(*by_level.values(), strict=True):
        first = of_levels[0]
        words = [first.cell.function, first.cell.dtype, str(first.cell).split(" ", 2)[2]]
        if errors:
            theirs = [e for r in of_levels for name, e in r.errors.items() if name != "sigmax"]
            words += [short_ulps(max(r.errors["sigmax"] for r in of_levels)), error_range(theirs)]
        for r in of_levels:
            fastest = min(r.ratios.items(), key=itemgetter(1))[0]
            words.append(f"**{r.ours:.3f}**")
            for name in LIBRARIES:
                ratio = f"{r.ratios[name]:.1f}" if name in r.ratios else ""
                words.append(f"**{r.ratios[name]:.2f}**" if name == fastest else ratio)
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)
