"""
What building costs: ``python -m benchmarks build``.

Installs a clean clone as a user would, from source into a folder of its own, and prints the seconds of the build and of all cores
together. The bar is 60 seconds and 120 CPU seconds on two cores; it ends with status 1 beyond. What is being built, NumPy among it,
is fetched before the clock starts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
WALL, CPU, CORES = 60.0, 120.0, 2


def main() -> None:
    """Build, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), f"{folder}/clone"], check=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        needs = ["scikit-build-core", "numpy", "cmake", "ninja"]
        subprocess.run([*pip, "install", "--target", f"{folder}/needs", *needs], check=True)
        environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}/needs",
            "PATH": f"{folder}/needs/bin:{os.environ['PATH']}",
        }
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, f"{folder}/clone"],
            env=environment,
            check=True,
        )
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = sum(path.stat().st_size for path in Path(folder).glob("*.whl"))
    cores = len(os.sched_getaffinity(0))
    print(f"build: {wall:.0f} s, {cpu:.0f} CPU seconds on {cores} cores; a wheel of {size / 1e6:.1f} MB")
    if cpu > CPU or (wall > WALL and cores >= CORES):
        sys.exit(f"the bar is {WALL:.0f} s and {CPU:.0f} CPU seconds")
