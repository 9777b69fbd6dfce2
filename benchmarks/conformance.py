"""Run every case of the contract on every library, and write what passes where into docs/conformance.md."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.marks import put

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [
    "numpy", "torch", "jax", "array-api-strict", "dask", "xarray", "pandas", "polars", "pyarrow", "duckdb"
]  # fmt: skip


def cell(suite: Any, key: str, group: str, missing: dict[str, set[str]]) -> str:
    """Return what the table shows: how many cases passed, and their largest error; a dash where there are none."""
    cases = [case for case in suite.CASES if case.name == group]
    reasons = {case: suite.backend(key).without(case) for case in cases}
    missing.setdefault(suite.backend(key).name, set()).update(r for r in reasons.values() if r)
    run = [case for case in cases if not reasons[case]]
    if not run:
        return "–"
    worst = max(suite.run(key, case) for case in run)
    return f"{len(run)}" + (f"&nbsp;·&nbsp;{worst:.1f}" if worst else "")


INTERPRETED = "torch-kernels"


def column(suite: Any, key: str, missing: dict[str, set[str]]) -> list[str]:
    """Return the cells of a library; those of Triton's interpreter come from a process that has it."""
    if key != INTERPRETED or os.environ.get("TRITON_INTERPRET") == "1":
        return [cell(suite, key, group, missing) for group in suite.GROUPS]
    words = [sys.executable, "-m", "benchmarks", "conformance", "--column", key]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    cells, reasons = json.loads(done.stdout)
    missing[suite.backend(key).name] = set(reasons)
    found: list[str] = cells
    return found


def main(only: str = "") -> None:
    """Write the table, or print one column of it as JSON; any case that fails ends the run."""
    sys.path.insert(0, str(ROOT / "tests"))
    suite: Any = importlib.import_module("conformance")
    warnings.simplefilter("ignore")
    missing: dict[str, set[str]] = {}
    if only:
        cells = column(suite, only, missing)
        print(json.dumps([cells, sorted(missing[suite.backend(only).name])]))
        return
    columns = {key: column(suite, key, missing) for key in suite.BACKENDS}  # one library after another
    lines = ["| | " + " | ".join(suite.backend(key).name for key in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {group} | " + " | ".join(cells[i] for cells in columns.values()) + " |"
        for i, group in enumerate(suite.GROUPS)
    ]
    lines += ["", "Left out, because the library has no way to say it:", ""]
    lines += [f"- {name}: {'; '.join(sorted(reasons))}" for name, reasons in missing.items() if reasons]
    lines += ["", "With " + ", ".join(f"{d} {version(d)}" for d in DISTRIBUTIONS) + "."]
    page = ROOT / "docs" / "conformance.md"
    page.write_text(put(page.read_text(encoding="utf-8"), "conformance", "\n".join(lines)), encoding="utf-8")
    print(
        f"{sum(c != '–' for cells in columns.values() for c in cells)} cells of {len(columns)} libraries pass; wrote {page}"
    )
