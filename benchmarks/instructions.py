"""
Count the instructions of the kernels: ``python -m benchmarks instructions [--record]``.

Time is too noisy on a shared machine to notice a kernel that has become 5 % slower; the number of instructions that valgrind's
callgrind counts on fixed inputs is not. Compares it with benchmarks/instructions.json, and ends with status 1 if a kernel needs 5 %
more; ``--record`` writes that file. Counted at CPU level v3, the highest that valgrind knows, with the compiler named in the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sigmax import _native

__all__ = ["main"]

RECORD = Path(__file__).with_suffix(".json")
LIMIT = 1.05
LEVEL = "v3"
DTYPES = ["float16", "float32", "float64"]
LOOP = re.compile(rf"^ *([\d,]+) .*sigmax::{LEVEL}::((?:row|link|quick_row)_loop<.*>)\(sigmax::")

# Every kernel: elementwise, and rows in a tile, with a tail, flat, with a mask and a temperature, across memory.
PROGRAM = """
import sys
import numpy as np
import sigmax
from sigmax.host.gradients import log_softmax_pullback, softmax_pullback
sigmax.set_num_threads(1)
x = (np.random.default_rng(0).normal(size=20_000) * 3).astype(sys.argv[1])
p = sigmax.sigmoid(x) * x.dtype.type(0.5)
for f in (sigmax.sigmoid, sigmax.log_sigmoid, sigmax.softplus, lambda x: sigmax.binary_cross_entropy_and_grad(x, 0.25)):
    f(x)
for f in (sigmax.logit, sigmax.odds, sigmax.from_odds, lambda p: sigmax.log1mexp(-p), lambda p: sigmax.logitexp(-p)):
    f(p)
for classes in (3, 10, 100, 1000):
    rows = x[: len(x) // classes * classes].reshape(-1, classes)
    for f in (sigmax.softmax, sigmax.log_softmax):
        f(rows)
        f(rows, temperature=2.0, where=rows < 6)
        f(rows.T, axis=0)
    sigmax.logsumexp(rows + x.dtype.type(20))
rows = x[:2000].reshape(-1, 10)
sigmax.logit_softmax(rows)
sigmax.softmax(rows, complement=True)
sigmax.log_softmax(rows, complement=True)
sigmax.cross_entropy_and_grad(rows, np.zeros(len(rows), int))
sigmax.cross_entropy_and_grad(x.reshape(-1, 1000), np.zeros(20, int), label_smoothing=0.1)
sigmax.cross_entropy_and_grad(x.reshape(-1, 1000), np.zeros(20, int))
softmax_pullback(rows, rows[::-1])
log_softmax_pullback(rows, rows[::-1])
"""


def compiler() -> str:
    """Return the compiler that made the module, as it says in the module itself."""
    found = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(_native.__file__).read_bytes())
    return found[0].decode() if found else "unknown"


def count(dtype: str, folder: str) -> dict[str, int]:
    """Return the instructions of each loop, all that it calls included."""
    out = Path(folder) / dtype
    environment = {**os.environ, "SIGMAX_CPU_LEVEL": LEVEL, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-c", PROGRAM, dtype]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"valgrind: {done.stderr[-2000:]}")
    listing = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for line in listing.stdout.splitlines():
        loop = LOOP.match(line)
        if loop:
            found[f"{dtype} {loop[2].replace(f'sigmax::{LEVEL}::', '')}"] = int(loop[1].replace(",", ""))
    return found


def main(record: bool) -> None:
    """Count, and compare or record."""
    if shutil.which("valgrind") is None:
        sys.exit("counting instructions needs valgrind: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        counts = {name: n for dtype in DTYPES for name, n in sorted(count(dtype, folder).items())}
    if record:
        RECORD.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=1) + "\n")
        print(f"recorded {len(counts)} kernels")
        return
    recorded = json.loads(RECORD.read_text())
    if recorded["compiler"] != compiler():
        print(f"recorded with {recorded['compiler']}, built with {compiler()}: instructions are not compared")
        return
    before = recorded["instructions"]
    if set(before) != set(counts):
        sys.exit(f"kernels came or went, record anew: {', '.join(sorted(set(before) ^ set(counts)))}")
    slower = [name for name, n in counts.items() if n > LIMIT * before[name]]
    for name in slower:
        print(f"{name}: {counts[name]:,} instructions, {before[name]:,} before ({counts[name] / before[name]:.2f})")
    most = max(counts, key=lambda name: counts[name] / before[name])
    print(f"{len(counts)} kernels, at most {counts[most] / before[most]:.3f} of the instructions recorded ({most})")
    sys.exit(1 if slower else 0)
