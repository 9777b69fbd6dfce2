"""Many threads of a program at once, a pool that changes its size, a fork in the middle: .ci/sanitize runs this under the thread sanitizer too."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import sigmax
from sigmax import _native


@pytest.fixture
def four_threads():
    before = sigmax.get_num_threads()
    sigmax.set_num_threads(4)
    yield
    sigmax.set_num_threads(before)


def test_many_callers_get_their_own_results_while_the_pool_changes_its_size(four_threads):
    x = np.random.default_rng(0).normal(size=(220_000, 10)).astype(np.float32)  # as a whole worth waking helpers for
    true = {k: sigmax.softmax(x[:, :k]) for k in (3, 5, 7, 10)}
    helped = _native.pieces_of_helpers()

    def work(number):
        k = (3, 5, 7, 10)[number]
        for i in range(10):
            np.testing.assert_array_equal(sigmax.softmax(x[:, :k]), true[k])
            if i % 5 == number:
                sigmax.set_num_threads(1 + (number + i) % 4)

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(work, range(4)))
    sigmax.set_num_threads(4)
    until = time.monotonic() + 60  # where all cores are busy, callers may be done before a helper is awake
    while _native.pieces_of_helpers() == helped and time.monotonic() < until:
        sigmax.softmax(x)
    assert _native.pieces_of_helpers() > helped


FORKING = """
import os
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import sigmax
sigmax.set_num_threads(4)
x = np.random.default_rng(1).normal(size=(60_000, 10))
true = sigmax.softmax(x)
codes = []

def work(number):
    for _ in range(6):
        if number == 0:
            child = os.fork()
            if child == 0:
                os._exit(0 if np.array_equal(sigmax.softmax(x), true) else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        else:
            codes.append(0 if np.array_equal(sigmax.softmax(x), true) else 1)

with ThreadPoolExecutor(3) as callers:
    list(callers.map(work, range(3)))
print(codes)
"""


def test_a_fork_while_others_work_leaves_both_sides_able_to():
    """In a process of its own: other libraries that tests have loaded forbid a fork."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout) == (0, f"{[0] * 18}\n"), done.stderr
