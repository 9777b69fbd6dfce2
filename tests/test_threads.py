"""Work shared out among threads: the same bits, from any caller, in children of fork too."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from family import DTYPES, ELEMENTWISE, NAMES, ROWWISE, assert_same_bits, in_domain

import sigmax

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
LARGE = 150_000  # numbers: enough for the pool


@pytest.fixture(autouse=True)
def restore():
    before = sigmax.get_num_threads()
    yield
    sigmax.set_num_threads(before)


def own_threads():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))


def scores(dtype, shape):
    return (np.random.default_rng(0).normal(size=shape) * 4).astype(dtype)


@dtypes
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elements_have_the_same_bits_on_any_number_of_threads(name, dtype):
    x = in_domain(name, scores(dtype, LARGE))
    found = []
    with np.errstate(divide="ignore"):
        for n in (1, 2, 3):
            sigmax.set_num_threads(n)
            found.append((*ELEMENTWISE[name](x), *ELEMENTWISE[name](np.repeat(x, 2)[::2])))
    for got in found[1:]:
        assert_same_bits(got, found[0])


@dtypes
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("classes", [2, 10, 300, 20_000])
def test_rows_have_the_same_bits_on_any_number_of_threads(name, classes, dtype):
    x = scores(dtype, (LARGE // classes + 1, classes))
    x[3] = -np.inf
    found = []
    for n in (1, 2, 3):
        sigmax.set_num_threads(n)
        found.append((*ROWWISE[name](x), *(np.moveaxis(y, -1, 0) for y in ROWWISE[name](x.T.copy(), axis=0))))
    for got in found[1:]:
        assert_same_bits(got, found[0])


def test_warnings_come_from_every_thread():
    p = np.full(LARGE, 0.5, np.float32)
    p[-1] = 2.0
    sigmax.set_num_threads(4)
    with pytest.warns(RuntimeWarning, match="invalid"):
        sigmax.logit(p)


def test_the_pool_serves_one_caller_at_a_time_and_all_get_their_results():
    sigmax.set_num_threads(3)
    x = scores(np.float32, (20_000, 10))
    wanted = sigmax.softmax(x)
    failures = []

    def work():
        failures.extend(i for i in range(20) if not np.array_equal(sigmax.softmax(x), wanted))

    callers = [threading.Thread(target=work) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_a_child_of_fork_makes_a_pool_of_its_own():
    sigmax.set_num_threads(3)
    x = scores(np.float32, (20_000, 10))
    wanted = sigmax.softmax(x)
    assert own_threads() >= 3
    child = os.fork()
    if child == 0:
        status = 1
        try:
            alone = own_threads() == 1
            same = np.array_equal(sigmax.softmax(x), wanted)
            status = 0 if alone and same and own_threads() == 3 and sigmax.get_num_threads() == 3 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_are_made_when_they_are_needed():
    program = """
import numpy as np, sigmax
def threads():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("Threads:"))
before = threads()
sigmax.set_num_threads(4)
sigmax.softmax(np.zeros((100, 10)))
small = threads()
sigmax.softmax(np.zeros((100_000, 10)))
print(small - before, threads() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "3"]


def run(value, program="import sigmax; print(sigmax.get_num_threads())"):
    environment = {**os.environ, "SIGMAX_NUM_THREADS": value}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


def test_the_environment_sets_the_number():
    assert run("3").stdout.strip() == "3"
    assert int(run("").stdout) == len(os.sched_getaffinity(0))
    for wrong in ("0", "-1", "two", "2x"):
        done = run(wrong)
        assert done.returncode == 1
        assert f"SIGMAX_NUM_THREADS is '{wrong}'; it must be a whole number from 1 on" in done.stderr


def test_a_wrong_number_is_refused():
    for wrong in (0, -3, 5000):
        with pytest.raises(ValueError, match=f"the number of threads is {wrong}; pass 1 to 4096"):
            sigmax.set_num_threads(wrong)
    with pytest.raises(TypeError):
        sigmax.set_num_threads("2")
