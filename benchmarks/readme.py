"""
Write the measured tables and charts into README.md and docs: ``python -m benchmarks readme``.

What the README shows of the command, and its tables: the text between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is replaced by what the other modules print.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sigmax
from benchmarks import charts, large, misses, speed
from benchmarks.marks import SPEED, put
from benchmarks.verify import peer_table, verify
from sigmax import bench

README = Path(__file__).parent.parent / "README.md"
SHOWN = {  # the README shows the cells that a newcomer asks about; `docs/speed.md` has all
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


def shown(command: str) -> str:
    """Return a command and what it prints, as the README shows them."""
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        cwd=README.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(["```console", f"$ {command}", *(line.rstrip() for line in done.stdout.splitlines()), "```"])


def is_shown(cell: bench.Cell) -> bool:
    """Return whether the README shows a cell."""
    return (cell.function, cell.dtype, cell.shape) in SHOWN and cell.axis == -1


def main() -> None:
    """Measure and write."""
    text = README.read_text()
    text = put(text, "explain", shown("sigmax explain 2.0 1.0 0.1"))
    text = put(text, "score", shown("sigmax score examples/digits_scores.csv --label label --rows 3"))
    cores = os.sched_getaffinity(0)
    levels = ("v3", "v4") if sigmax.cpu_level() == "v4" else (sigmax.cpu_level(),)
    page = SPEED.read_text()
    for threads, name in ((len(cores), "all"), (1, "one")):
        found = {level: speed.run(level, threads) for level in levels}
        by_level = {level: results for level, (_, results) in found.items()}
        where, table = found[levels[-1]][0].replace(f" ({levels[-1]})", ""), speed.table(by_level)
        page = put(page, name, f"{where}.\n\n{table}")
        charts.write(f"peers-{name}", charts.peers(by_level))
        print(where, table, sep="\n")
    shown_cells = {level: [r for r in results if is_shown(r.cell)] for level, results in by_level.items()}
    charts.write("peers", charts.peers(shown_cells))
    bench.use_cores(1)
    charts.write("classes", charts.over_classes(charts.time_over_classes()))
    text = put(text, "speed", f"{speed.table(shown_cells, errors=False)}\n\n{where}.")
    os.sched_setaffinity(0, cores)
    page = put(page, "large", "\n".join(large.table()))
    page = put(page, "misses", misses.table(page))
    SPEED.write_text(page)
    README.write_text(text)
    text = put(
        text, "accuracy", peer_table([r for r in verify(thin=1000, peers=True) if r.dtype in ("float32", "float64")])
    )
    README.write_text(text)
