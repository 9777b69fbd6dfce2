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
