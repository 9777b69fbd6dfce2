"""Rows too long for a copy: of another type than they are worked on in, strided, masked or written over. The same bits as of a row that is
worked on where it lies, and no memory beside it."""

import subprocess
import sys

import numpy as np
import pytest
from family import DTYPES, NAMES, assert_same_bits

import sigmax

FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy_and_grad")
# around a copy of half a MiB in float32, whole windows, and one more
SIZES = (131_072, 131_073, 147_455, 147_456, 147_457, 200_000)


def answers(name, x, **options):
    if name != "cross_entropy_and_grad":
        return (getattr(sigmax, name)(x, **options),)
    axis = options.get("axis", -1)
    labels = np.full(x.shape[0] if axis == -1 else x.shape[1], 140_000 % x.shape[axis])
    return sigmax.cross_entropy_and_grad(x, labels, **options)


def rows(size, dtype):
    """Usual scores, a confident row, and rows that the limits are asked about."""
    x = np.random.default_rng(size).normal(size=(7, size)) * 3
    x[1, size // 3] = 40
    x[2] = -np.inf
    x[2, [5, size - 1]] = 1, 2
    x[3, size - 2] = np.inf
    x[4] = -np.inf
    x[5, size - 3] = np.nan
    x[6] = x[6] / 1000 - np.log(size)  # whose sum is about 1
    return x.astype(dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=NAMES[:2])
def test_a_half_precision_row_has_the_bits_of_a_wider_one(dtype, name, size):
    x = rows(size, dtype)
    got = answers(name, x)
    as_they_lie = answers(name, x.astype(np.float32))
    assert_same_bits(got, [wide.astype(narrow.dtype) for wide, narrow in zip(as_they_lie, got, strict=True)])


@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_row_may_lie_in_any_way(name, dtype):
    size = 150_001
    x = rows(size, dtype)
    wanted = answers(name, x)
    turned = answers(name, np.asfortranarray(x))
    assert_same_bits(turned, wanted)
    across = answers(name, np.ascontiguousarray(x.T), axis=0)
    assert_same_bits([y.T for y in across], wanted)
    one_by_one = [answers(name, x[i : i + 1]) for i in range(len(x))]
    assert_same_bits([np.concatenate([each[k] for each in one_by_one]) for k in range(len(wanted))], wanted)
    mask = np.random.default_rng(1).random(x.shape) < 0.7
    if "entropy" in name:
        mask[:, 140_000] = True
    masked = answers(name, x, where=mask)
    assert_same_bits(masked, answers(name, np.where(mask, x, dtype.type(-np.inf))))


@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
@pytest.mark.parametrize("temperature", [1, 0.7, 0, 1e-30])
@pytest.mark.parametrize("name", FUNCTIONS[:2])
def test_a_row_may_be_written_over(name, temperature, dtype):
    x = rows(150_001, dtype)
    function = getattr(sigmax, name)
    wanted = function(x, temperature=temperature)
    over = x.copy()
    assert function(over, temperature=temperature, out=over) is over
    assert_same_bits([over], [wanted])
    if dtype == np.float32:
        narrow = function(x, temperature=temperature, dtype=np.float16)
        with np.errstate(over="ignore"):
            assert_same_bits([narrow], [wanted.astype(np.float16)])


def test_a_label_beyond_the_numbers_that_a_float_counts():
    x = np.zeros((1, (1 << 24) + 6), np.float16)
    x[0, (1 << 24) + 1] = 3
    for label, score in (((1 << 24) + 1, 3), ((1 << 24) + 2, 0), ((1 << 24) + 5, 0)):
        loss, slope = sigmax.cross_entropy_and_grad(x, [label])
        np.testing.assert_allclose(loss, np.log(x.size - 1 + np.exp(3)) - score, rtol=1e-3)
        assert list(np.flatnonzero(slope[0] < -0.5)) == [label]
        np.testing.assert_array_equal(sigmax.cross_entropy(x, [label]), loss)


@pytest.mark.parametrize(
    "call",
    [
        "softmax(x)",
        "softmax(x, out=x)",
        "log_softmax(x)",
        "logsumexp(x)",
        "softmax(x, where=x < 3)",
        "cross_entropy(x, 7)",
    ],
)
@pytest.mark.parametrize("dtype", NAMES[:3])
def test_no_memory_beside_scores_and_results(call, dtype):
    """By the most that the process has held; of a mask, x < 3 makes a byte a class."""
    code = f"""
import resource, ml_dtypes, numpy as np, sigmax
from sigmax import *
n = (1 << 24) + 100
x = np.zeros(n, ml_dtypes.bfloat16 if {dtype!r} == "bfloat16" else {dtype!r})
small = x[:1000].copy()
x, whole = small, x
y = {call}
x = whole
x += 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
y = {call}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = 1024 * int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    size = (1 << 24) + 100
    result = size * (4 if dtype == "float32" else 2) if "softmax" in call and "out" not in call else 0
    mask = size if "where" in call else 0
    assert grown < result + mask + (3 << 20)
