"""Work shared out among threads: the same bits, from any caller, in children of fork too."""

import ctypes
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from family import DTYPES, ELEMENTWISE, NAMES, ROWWISE, assert_same_bits, in_domain

import sigmax
from sigmax import _native

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
LARGE = 150_000  # numbers: enough for the pool


@pytest.fixture(autouse=True)
def restore():
    before = sigmax.get_num_threads()
    _native.join_team("")  # another test may have met PyTorch, whose threads do the work from then on
    yield
    sigmax.set_num_threads(before)
    if "sigmax.arrays.torch" in sys.modules:
        _native.join_team("libtorch_cpu")


def own_threads():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))


def assert_runs(program):
    """Run a program in a process of its own: it prints that it is done, and nothing else."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


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


WITH_TORCH = """
import os, threading, time
import torch, sigmax
from sigmax import _native
def threads():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("Threads:"))
x = torch.randn(4000, 1000)
sigmax.set_num_threads(1)
wanted = sigmax.softmax(x)
torch.set_num_threads(2)
x @ x.T  # PyTorch's threads are there
before = threads()
sigmax.set_num_threads(2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's threads are found on Linux")
def test_beside_pytorch_its_threads_do_the_work():
    pytest.importorskip("torch")
    program = """
for _ in range(2000):
    assert torch.equal(sigmax.softmax(x), wanted)
    if _native.pieces_of_helpers() >= 20:  # sooner where nothing else runs on this machine
        break
assert _native.pieces_of_helpers() >= 20, _native.pieces_of_helpers()
assert threads() == before, (threads(), before)
sigmax.set_num_threads(1)
done = _native.pieces_of_helpers()
sigmax.softmax(x)
assert _native.pieces_of_helpers() == done
print("done")
"""
    assert_runs(WITH_TORCH + program)


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's threads are found on Linux")
def test_other_threads_and_children_have_a_pool_of_their_own():
    pytest.importorskip("torch")
    program = """
sigmax.softmax(x)
same = []
callers = [threading.Thread(target=lambda: same.append(bool((sigmax.softmax(x).numpy() == wanted.numpy()).all()))) for _ in range(8)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
assert same == [True] * 8
for _ in range(200):
    if threads() == before + 1:  # not as many for each caller; those that have ended may be seen for a while
        break
    time.sleep(0.02)
assert threads() == before + 1, (threads(), before)
child = os.fork()
if child == 0:  # where OpenMP, and PyTorch with it, would wait for threads that are gone
    inherited = _native.pieces_of_helpers()
    same, calls = True, 0
    while same and calls < 2000 and _native.pieces_of_helpers() == inherited:
        same, calls = bool((sigmax.softmax(x).numpy() == wanted.numpy()).all()), calls + 1
    os._exit(0 if same and _native.pieces_of_helpers() > inherited else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
"""
    assert_runs(WITH_TORCH + program)


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's threads are found on Linux")
def test_a_child_that_meets_pytorch_first_does_not_wait_for_its_threads():
    pytest.importorskip("torch")
    program = """
import os, numpy as np, sigmax, torch
from sigmax import _native
torch.set_num_threads(2)
torch.ones(3000, 3000).exp().sum()
big = np.random.default_rng(0).normal(size=(30_000, 100)).astype(np.float32)  # enough to wake helpers, however long ago the call before was
wanted = sigmax.softmax(big)
child = os.fork()
if child == 0:
    sigmax.softmax(torch.zeros(3, 3))
    os._exit(0 if np.array_equal(sigmax.softmax(big), wanted) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sigmax.set_num_threads(2)
torch.set_num_threads(1)  # then our own threads do the work, and none of PyTorch's are made
sigmax.softmax(torch.zeros(3, 3))
done = _native.pieces_of_helpers()
for _ in range(2000):  # fewer where nothing else runs on this machine
    assert np.array_equal(sigmax.softmax(big), wanted)
    if _native.pieces_of_helpers() > done:
        break
assert _native.pieces_of_helpers() > done
print("done")
"""
    assert_runs(program)


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


def test_helpers_work():
    sigmax.set_num_threads(3)
    x = scores(np.float32, (400_000, 10))
    before = _native.pieces_of_helpers()
    for _ in range(500):
        sigmax.softmax(x)
        if _native.pieces_of_helpers() - before >= 20:  # sooner where nothing else runs on this machine
            break
    assert _native.pieces_of_helpers() - before >= 20
    sigmax.set_num_threads(1)
    before = _native.pieces_of_helpers()
    sigmax.softmax(x)
    assert _native.pieces_of_helpers() == before


def test_threads_come_and_go_with_their_number():
    x = scores(np.float32, (400_000, 10))
    wanted = sigmax.softmax(x)
    sigmax.set_num_threads(1)
    time.sleep(0.1)
    rest = own_threads()
    for n in [5, 2, 7, 1, 3] * 10:
        sigmax.set_num_threads(n)
        assert np.array_equal(sigmax.softmax(x), wanted)
        assert own_threads() <= rest + 7
    sigmax.set_num_threads(1)
    for _ in range(200):
        if own_threads() == rest:
            break
        time.sleep(0.01)
    assert own_threads() == rest


def test_the_work_is_done_where_threads_cannot_start():
    program = """
import resource
import numpy as np, sigmax
x = np.random.default_rng(0).normal(size=(300_000, 10))
sigmax.set_num_threads(1)
wanted = sigmax.softmax(x)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
outs = [np.empty_like(x) for _ in range(3)]
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (now + (300 << 20), hard))
sigmax.set_num_threads(400)
for out in outs:
    sigmax.softmax(x, out=out)
threads = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("Threads:"))
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
assert all(np.array_equal(out, wanted) for out in outs)
assert sigmax.get_num_threads() == 400
assert 1 < threads < 300, threads  # those that the limit lets start
print("done")
"""
    assert_runs(program)


def test_flushing_of_small_numbers_is_not_obeyed():
    """In a process of its own, as PyTorch sets it for good."""
    program = """
import numpy as np, torch, sigmax
x = np.linspace(-103, -88, 300_000, dtype=np.float32)
rows = np.stack([x, np.zeros_like(x)], axis=1)
calls = [lambda: sigmax.sigmoid(x), lambda: sigmax.softmax(rows), lambda: sigmax.sigmoid(np.int8([-100, 100]))]
calls += [lambda: sigmax.softmax(rows[:3]), lambda: sigmax.sigmoid(torch.tensor(x)).numpy()]
sigmax.set_num_threads(2)
wanted = [call() for call in calls]
assert torch.set_flush_denormal(True)
tiny = np.float32(1e-40)
assert tiny * np.float32(1) == 0
for call, right in zip(calls, wanted):
    for _ in range(5):
        assert call().tobytes() == right.tobytes()
assert tiny * np.float32(1) == 0  # and it is still set
print("done")
"""
    pytest.importorskip("torch")
    assert_runs(program)


@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00])  # down, up, towards zero: x86's
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of the modes are those of x86")
def test_other_ways_of_rounding_are_not_obeyed(mode):
    libm = ctypes.CDLL("libm.so.6")
    x = scores(np.float64, (200, 7))
    calls = [
        lambda: sigmax.softmax(x),
        lambda: sigmax.log_softmax(x),
        lambda: sigmax.sigmoid(x),
        lambda: sigmax.logit_softmax(x),
    ]
    wanted = [call() for call in calls]
    try:
        assert libm.fesetround(mode) == 0
        found = [call() for call in calls]
        left = libm.fegetround()
    finally:
        libm.fesetround(0)
    assert left == mode
    for a, b in zip(found, wanted, strict=True):
        assert_same_bits(a, b)


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's threads are found on Linux")
@pytest.mark.parametrize("first", ["torch, sigmax", "sigmax, torch"])
def test_calls_on_arrays_leave_the_threads_of_pytorch_alone(first):
    """A child of fork may have them then; after a call on tensors it may not, as after any operation of PyTorch on several."""
    pytest.importorskip("torch")
    program = f"""
import {first}
import os, numpy as np
from sigmax import _native
torch.set_num_threads(2)
sigmax.set_num_threads(2)
x = np.random.default_rng(0).normal(size=(300, 4000)).astype(np.float32)
sigmax.sigmoid(x)
wanted = sigmax.softmax(x)
child = os.fork()
if child == 0:
    y = torch.softmax(torch.from_numpy(x), -1).numpy()
    os._exit(0 if abs(y - wanted).max() < 1e-6 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (sigmax.softmax(torch.from_numpy(x)).numpy() == wanted).all()
print("done")
"""
    assert_runs(program)
