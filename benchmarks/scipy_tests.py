"""
SciPy's own tests, from its wheel, on sigmax.special, unchanged but for the import: ``python -m benchmarks scipy_tests``.

With NumPy's arrays alone, and with those of every library that SciPy's tests know and that is installed. Prints how many pass, by library,
and what fails with the reason; ends with status 1 if something fails for none.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["DEVIATIONS", "FILES", "main", "reason_of", "run"]

LIBRARIES = ("array_api_strict", "cupy", "dask.array", "jax.numpy", "torch", "numpy")
FILES = ("test_logsumexp", "test_logit")

# What fails there, and why that is meant. Nothing else may fail, and each of these must.
DEVIATIONS = {
    r"TestExpit::test_large$": "longdouble is refused",
    r"test_logsumexp_complex_sign": "complex numbers are refused",
    r"test_dtypes_ab?\[.*complex": "complex numbers are refused",
    r"test_gh21610": "complex numbers are refused",
    r"test_gh21709_small_imaginary": "complex numbers are refused",
    r"test_gh22601_infinite_elements\[.*(x\d|y\d|j\))": "complex numbers are refused",
    r"test_device\[.*1j": "complex numbers are refused",
    r"test_device\[array_api_strict-1.0": "one of its devices has no int64, which the place of the largest is",
}

# SciPy keeps a table of what each function supports; ours support the same.
CONFTEST = """
import scipy.special
import sigmax.special
from scipy._lib._array_api import xp_capabilities_table

for name in sigmax.special.__all__:
    known = xp_capabilities_table.get(getattr(scipy.special, name))
    if known is not None:
        xp_capabilities_table[getattr(sigmax.special, name)] = known
"""


def reason_of(test: str) -> str:
    """Return why a test may fail; '' if it may not."""
    return next((reason for pattern, reason in DEVIATIONS.items() if re.search(pattern, test)), "")


def run(name: str, folder: Path, *, libraries: bool = False, but: str = "") -> tuple[list[str], list[str]]:
    """
    Run a file of tests; return those that passed and those that failed.

    With `libraries`, on the arrays of all that are installed; without those that have `but` in their name.
    """
    import scipy.special

    text = (Path(scipy.special.__file__).parent / "tests" / f"{name}.py").read_text(encoding="utf-8")
    (line,) = re.findall(r"^from scipy\.special import .*$", text, re.MULTILINE)
    (folder / f"{name}.py").write_text(
        text.replace(line, line.replace("scipy.special", "sigmax.special")), encoding="utf-8"
    )
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "scipy.conftest",
        "-q",
        "-rfEp",
        "--tb=no",
        "-p",
        "no:xdist",
        f"{name}.py",
        *(["-k", f"not {but}"] if but else []),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"} | (
        {"SCIPY_ARRAY_API": "1"} if libraries else {}
    )
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=900, env=environment
    )
    passed, failed = (
        re.findall(rf"^{kind} {name}\.py::(.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
        for kind in ("PASSED", "(?:FAILED|ERROR)")
    )
    return passed, failed


def main() -> None:
    """Run all files with and without other libraries and print the counts."""
    unexplained = 0
    for libraries in (False, True):
        for name in FILES:
            with tempfile.TemporaryDirectory() as folder:
                passed, failed = run(name, Path(folder), libraries=libraries)
            kinds = collections.Counter(
                next((k for k in LIBRARIES if re.search(rf"[\[-]{k}\b", t)), "no array") if libraries else "numpy"
                for t in passed
            )
            reasons = collections.Counter(map(reason_of, failed))
            told = "; ".join(
                f"{count:,} fail: {reason or 'FOR NO REASON'}" for reason, count in sorted(reasons.items())
            )
            print(f"{name}: {', '.join(f'{kind} {n:,}' for kind, n in sorted(kinds.items()))} pass; {told}")
            for test in failed:
                if not reason_of(test):
                    unexplained += 1
                    print(f"    {test}")
    if unexplained:
        sys.exit(1)
