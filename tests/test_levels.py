"""The CPU levels: chosen at load, equal in every bit, vectorised to their full width."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from family import DTYPES, ELEMENTWISE, ROWWISE

import sigmax
from sigmax import _native

ORDER = ["baseline", "v3", "v4"]
AVAILABLE = ORDER[: ORDER.index(sigmax.cpu_level()) + 1]
TESTS = Path(__file__).parent

# Prints a checksum for each function and dtype, over every class of input and both row kernels.
PROGRAM = """
import hashlib
import sys
import numpy as np
import sigmax
from family import BFLOAT16, DTYPES, ELEMENTWISE, ROWWISE, UNTEMPERED, bits

def inputs(dtype):
    rng = np.random.default_rng(11)
    size = dtype.itemsize
    if size == 2:
        return np.arange(65536, dtype=np.uint16).view(dtype)  # all there are
    word = f"u{size}"
    patterns = rng.integers(0, np.iinfo(word).max, 20000, dtype=word).view(dtype)  # every exponent there is
    usual = [rng.normal(size=5000) * 10, rng.random(5000), rng.uniform(-760, 760, 5000), 0.5 + rng.normal(size=5000) * 1e-9]
    usual += [-rng.random(5000), -np.log(2) + rng.normal(size=5000) * 1e-9]
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
    return np.concatenate([patterns, *usual, special]).astype(dtype)

def rows(dtype):
    rng = np.random.default_rng(12)
    for classes in (1, 2, 3, 5, 10, 17, 65, 256, 300, 4099):
        for scale in (0.1, 3, 40, 1e306):
            x = (rng.normal(size=(max(1, 600 // classes), classes)) * scale).astype(dtype)
            yield x  # whole, and with special values in it
            x = x.copy()
            x[rng.random(x.shape) < 0.01] = -np.inf
            x[rng.random(x.shape) < 0.001] = np.nan
            x[rng.random(x.shape) < 0.001] = np.inf
            yield x
        yield sigmax.log_softmax(x)  # whose logsumexp cancels

def checksum(results):
    digest = hashlib.sha256()
    for result in results:
        for array in result:
            digest.update(bits(array).tobytes())
    return digest.hexdigest()[:16]

np.seterr(all="ignore")
print(sigmax.cpu_level())
for dtype in DTYPES:
    for name, function in ELEMENTWISE.items():
        print(name, dtype.name, checksum([function(inputs(dtype))]))
    for name, function in ROWWISE.items():
        options = [{}] if name in UNTEMPERED else [{}, {"temperature": 0.3}]
        print(name, dtype.name, checksum(function(x, **o) for x in rows(dtype) for o in options))
"""


def run(level, program):
    environment = {**os.environ, "SIGMAX_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def checksums():
    found = {}
    for level in AVAILABLE:
        done = run(level, PROGRAM)
        assert done.returncode == 0, done.stderr
        first, *lines = done.stdout.splitlines()
        assert first == level
        found[level] = lines
    return found


def test_all_levels_return_the_same_bits(checksums):
    assert len(checksums["baseline"]) == len(DTYPES) * (len(ELEMENTWISE) + len(ROWWISE))
    for level in AVAILABLE[1:]:
        assert checksums[level] == checksums["baseline"]


def test_an_unknown_level_is_refused():
    done = run("v9", "import sigmax")
    assert done.returncode == 1
    assert f"SIGMAX_CPU_LEVEL is 'v9'; this CPU has {', '.join(AVAILABLE)}" in done.stderr


@pytest.mark.parametrize("level", AVAILABLE)
def test_sums_of_features_are_right_at_every_level(level):
    done = run(level, "import feature_sums, sigmax; print(sigmax.cpu_level(), feature_sums.compare())")
    assert done.returncode == 0, done.stderr
    found, worst = done.stdout.split()
    assert found == level
    assert float(worst) < 1e-13


def test_every_level_is_right_by_itself():
    """The bits agree with each other; here they agree with NumPy too, at the level in use."""
    x = np.linspace(-30, 30, 1001)
    np.testing.assert_allclose(sigmax.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14)


# ---- the instructions of the compiled kernels ----

ARITHMETIC = re.compile(r"\bv?(?:f?n?m(?:add|sub)\d*|add|sub|mul|div|max|min)([ps])([sd])\s+(.*)$")
REGISTER = {"baseline": "xmm", "v3": "ymm", "v4": "zmm"}


# What the symbols of each function's kernel have in their names.
KERNELS = [
    "<{}::" + link
    for link in ("Sigmoid", "Logit", "Odds", "FromOdds", "LogSigmoid", "Softplus", "Log1mexp", "Logitexp")
]
KERNELS += [
    "BinaryCrossEntropy>",
    "BinaryCrossEntropyAndGrad>",
    "::Softmax(,|::run)",
    "::LogSoftmax(,|::run)",
    "::LogSumExp(,|::run)",
]
KERNELS += [
    "weighted_logsumexp_below",
    "::contest<60",
    "parts_of<60",
    "::softmax_complement_kernel",
    "log_softmax_complement_kernel",
]
KERNELS += [
    "logit_softmax_kernel",
    "cross_entropy_kernel<true, true>",
    "cross_entropy_kernel<false, false>",
    "pulled<true, 60>",
]
# One number at a time.
SCALAR = ("load_temperatures", "limit_", "_of_one", "part_of_distance")


@pytest.fixture(scope="module")
def kernels():
    """Per level and symbol: how many arithmetic instructions it has, and how many of them are on whole registers."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", _native.__file__]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {level: {} for level in ORDER}
    counts = None
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if head:
            level = re.search(r"sigmax::(baseline|v3|v4)::", head[1])
            counts = found[level[1]].setdefault(head[1], [0, 0]) if level else None
        elif counts is not None and (instruction := ARITHMETIC.search(line)):
            counts[0] += 1
            counts[1] += instruction[1] == "p" and REGISTER[level[1]] in instruction[3]
    return found


@pytest.mark.parametrize("level", ORDER)
def test_no_kernel_has_lost_its_vector_width(kernels, level):
    for kernel in (k.format(f"sigmax::{level}") for k in KERNELS):
        mine = [n for name, n in kernels[level].items() if re.search(kernel, name)]
        assert sum(whole for _, whole in mine) >= 1, f"there is no {kernel}"
    for name, (instructions, whole) in kernels[level].items():
        if instructions < 20 or any(word in name for word in SCALAR):
            continue
        assert whole >= 0.95 * instructions, f"{name}: {whole} of {instructions} on whole registers"


# Soft labels that are probabilities go straight to the loss; one number that is none, wherever it stands, or a sum that misses 1 does not.
LABELS = """
import math
import numpy as np
from sigmax import _native, set_num_threads

set_num_threads(2)
cases = 0
for dtype in (np.float32, np.float64):
    for rows, classes in ((1, 1), (5, 2), (70, 7), (33, 16), (9, 70), (3, 1000), (300, 333), (2, 9001)):
        rng = np.random.default_rng(classes)
        x = rng.normal(size=(rows, classes)).astype(dtype)
        q = rng.random((rows, classes)) ** 4
        q = (q / q.sum(-1, keepdims=True)).astype(dtype)
        slopes = np.empty_like(x)

        def straight(q):
            return _native.mean_cross_entropy(x, q, 0.0, slopes)

        assert abs(straight(q) - (-(q.astype(float) * (x - np.logaddexp.reduce(x.astype(float), -1, keepdims=True))).sum() / rows)) < 1e-5
        for leeway in (0.995, 1.005):
            assert straight((q * leeway).clip(0, 1)) is not None
        for sum in (0.98, 1.02):
            wrong = q.copy()
            wrong[rows // 2] *= sum
            assert straight(wrong) is None, (dtype, rows, classes, sum)
        for at in {0, classes // 2, classes - 1, *rng.integers(0, classes, 20)}:
            for value in (-1e-30, 1.25, math.nan, math.inf, -math.inf):
                row, other = rng.integers(rows), (at + 1) % classes
                wrong = q.copy()
                wrong[row, at], wrong[row, other] = value, (1 - value if classes > 1 else value)
                assert straight(wrong) is None, (dtype, rows, classes, row, at, value)
                cases += 1
            wrong = q.copy()
            wrong[0], wrong[0, at] = 0, 1.005  # above 1, though the sum would do
            assert straight(wrong) is None, (dtype, rows, classes, at)
print(cases)
"""


@pytest.mark.parametrize("level", AVAILABLE)
def test_labels_that_are_no_probabilities_do_not_go_straight(level):
    done = run(level, LABELS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000
