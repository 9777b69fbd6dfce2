"""The kernels for GPUs, by Triton's interpreter: in a process of its own, because it is chosen when Triton is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path


def test_they_agree_with_the_core():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTEST_ADDOPTS": ""}
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-W",
        "ignore",
        str(Path(__file__).parent / "interpreted.py"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    passed = re.search(r"(\d+) passed, 2 skipped", done.stdout)  # the calls of a GPU's tensors
    assert passed, done.stdout[-300:]
    assert int(passed[1]) >= 60


def test_they_compile_for_gpus_with_the_registers_that_are_recorded():
    root = Path(__file__).parent.parent
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    words = [sys.executable, "-W", "ignore", "-m", "benchmarks", "ptx", "--only", "fp32 10"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    assert "18 kernels" in done.stdout.splitlines()[-1]
