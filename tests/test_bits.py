"""The same bits for the same numbers, wherever they stand: for every function and dtype."""

import os
import threading

import numpy as np
import pytest
from family import (
    BFLOAT16,
    DTYPES,
    ELEMENTWISE,
    NAMES,
    ROWWISE,
    UNTEMPERED,
    WITH_OUT,
    WITHOUT_DTYPE,
    assert_same_bits,
    in_domain,
)

import sigmax

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)


def numbers(dtype, size, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size) * rng.choice([1e-3, 1, 30], size)
    x.flat[:: max(7, x.size // 9)] = 0
    return x.astype(dtype)


def layouts(x):
    """The same numbers in other places of memory."""
    yield "strided", np.repeat(x, 3, axis=-1)[..., ::3]
    yield "reversed", np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    yield "Fortran", np.asfortranarray(x)
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x
    yield "unaligned", shifted
    fixed = x.copy()
    fixed.flags.writeable = False
    yield "read-only", fixed
    if x.dtype != BFLOAT16:  # ml_dtypes has none of the other byte order
        yield "byte-swapped", x.astype(x.dtype.newbyteorder())


@dtypes
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_element_has_the_same_bits_in_every_layout(name, dtype):
    function = ELEMENTWISE[name]
    x = in_domain(name, numbers(dtype, (7, 83)))
    with np.errstate(divide="ignore"):
        wanted = function(x)
        for _, same in layouts(x):
            assert_same_bits(function(same), wanted)
        assert_same_bits([y.T for y in function(x.T)], wanted)
        flat, whole = x.ravel(), [y.ravel() for y in wanted]
        for begin in range(40):
            for length in (0, 1, 2, 15, 16, 17, 33, 300):
                got = function(flat[begin : begin + length])
                assert_same_bits(got, [y[begin : begin + length] for y in whole])
        row = function(np.broadcast_to(x[0], (5, 83)))
        assert_same_bits(row, [np.broadcast_to(y[0], (5, 83)) for y in wanted])


@dtypes
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_numbers_change_nothing_for_their_neighbours(name, dtype):
    function = ELEMENTWISE[name]
    x = in_domain(name, numbers(dtype, 333))
    smallest = np.nextafter(np.zeros(1, dtype), np.ones(1, dtype))[0]
    special = np.array([np.nan, np.inf, -np.inf, 800, -800, 0, 1, 2, smallest]).astype(dtype)
    special[-1] = smallest
    mixed = np.repeat(x, 2)
    mixed[1::2] = np.resize(special, x.size)
    with np.errstate(all="ignore"):
        wanted, found, alone = function(x), function(mixed), function(np.resize(special, x.size))
    for w, f, a in zip(wanted, found, alone, strict=True):
        assert_same_bits([f[::2], f[1::2]], [w, a])


@dtypes
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if "cross" not in n])
def test_a_ufunc_may_write_over_its_input(name, dtype):
    function = getattr(sigmax, name)
    x = in_domain(name, numbers(dtype, 600))
    with np.errstate(divide="ignore"):
        wanted = function(x)
        same = x.copy()
        assert function(same, out=same) is same
        assert_same_bits([same], [wanted])
        for shift in (1, 5, 16, 100):
            room = np.zeros(x.size + shift, dtype)
            room[: x.size] = x
            function(room[: x.size], out=room[shift:])
            assert_same_bits([room[shift:]], [wanted])


@dtypes
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("classes", [1, 2, 3, 4, 7, 13, 16, 17, 40, 41, 100, 192, 193, 300])
def test_a_row_has_the_same_bits_in_every_layout_and_batch(name, classes, dtype):
    function = ROWWISE[name]
    x = numbers(dtype, (37, classes), seed=classes)
    options = [{}] if name in UNTEMPERED else [{}, {"temperature": 0.7}]
    for option in options:
        wanted = function(x, **option)
        for _, same in layouts(x):
            assert_same_bits(function(same, **option), wanted)
        turned = function(np.ascontiguousarray(x.T), axis=0, **option)
        assert_same_bits([y.T for y in turned], wanted)
        middle = function(np.stack([x.T, x.T]), axis=1, **option)
        assert_same_bits([y[1].T for y in middle], wanted)
        for begin, end in ((0, 1), (5, 6), (36, 37), (3, 19), (1, 33), (16, 37)):
            assert_same_bits(function(x[begin:end], **option), [y[begin:end] for y in wanted])
        assert_same_bits(function(x[11], **option), [y[11] for y in wanted])


@dtypes
@pytest.mark.parametrize("name", WITH_OUT)
@pytest.mark.parametrize("classes", [3, 40, 300])
def test_a_row_function_may_write_over_its_input(name, classes, dtype):
    function = ROWWISE[name]
    x = numbers(dtype, (33, classes))
    wanted = function(x)
    same = x.copy()
    assert function(same, out=same)[0] is same
    assert_same_bits([same], wanted)
    room = np.zeros((34, classes), dtype)
    room[:-1] = x
    function(room[:-1], out=room[1:])
    assert_same_bits([room[1:]], wanted)


@dtypes
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("classes", [2, 3, 5, 16, 40, 300])
def test_special_rows_change_nothing_for_their_neighbours(name, classes, dtype):
    """Whole tiles go another way than those that hold such a row."""
    function = ROWWISE[name]
    x = numbers(dtype, (133, classes))
    for i, special in ((0, -np.inf), (20, np.inf), (37, 3e4), (38, -3e4), (90, np.nan), (132, -np.inf)):
        x[i] = x[i] + dtype.type(special) if np.isfinite(special) else special
    x[50, 0], x[51, -1] = np.inf, -np.inf
    wanted = [np.stack(rows) for rows in zip(*(function(row) for row in x), strict=True)]
    assert_same_bits(function(x), wanted)
    assert_same_bits([np.moveaxis(y, -1, 0) if y.ndim > 1 else y for y in function(x.T.copy(), axis=0)], wanted)
    if name in WITH_OUT:
        assert_same_bits(function(x, out=x.copy()), wanted)
        same = x.copy()
        assert_same_bits(function(same, out=same), wanted)


@dtypes
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("classes", [1, 4, 30, 300])
def test_what_is_under_a_mask_changes_no_bit(name, classes, dtype):
    function = ROWWISE[name]
    rng = np.random.default_rng(1)
    x = numbers(dtype, (35, classes))
    mask = rng.random(x.shape) < 0.6
    mask[5] = False
    wanted = function(np.where(mask, x, dtype.type(0)), where=mask)
    for garbage in (np.nan, np.inf, -np.inf, 60000.0, -60000.0):
        assert_same_bits(function(np.where(mask, x, dtype.type(garbage)), where=mask), wanted)
    if "soft" not in name:  # a label's probabilities are not masked
        impossible = np.where(mask, x, dtype.type(-np.inf))
        assert_same_bits(function(impossible), wanted)


def test_garbage_weights_under_a_mask_change_no_bit():
    for classes in (4, 300):
        x = numbers(np.float64, (20, classes))
        mask = np.random.default_rng(2).random(x.shape) < 0.5
        weights = np.full(x.shape, 2.0)
        wanted = sigmax.logsumexp(x, weights=weights, where=mask)
        for garbage in (np.nan, np.inf, -1.0):
            got = sigmax.logsumexp(x, weights=np.where(mask, weights, garbage), where=mask)
            assert_same_bits([got], [wanted])


@dtypes
def test_a_result_in_another_dtype_is_rounded_once(dtype):
    """A narrow result is the wide one rounded; a wide result of narrow scores is that of the same scores made wide."""
    for classes in (3, 40, 300):
        x = numbers(dtype, (19, classes))
        for name, function in ROWWISE.items():
            if name in WITHOUT_DTYPE:
                continue
            wide = function(x.astype(np.float64))
            assert_same_bits(function(x, dtype=np.float64), wide)
            for narrow in DTYPES[:2]:
                got = function(x.astype(np.float64), dtype=narrow)
                digits, smallest, limit = (10, -14, 65520) if narrow == np.float16 else (7, -126, np.inf)
                for a, b in zip(got, wide, strict=True):
                    exponent = np.maximum(np.frexp(np.where(b == 0, 1, b))[1] - 1, smallest)
                    true = np.where(np.abs(b) >= limit, np.copysign(np.inf, b), b)
                    finite = np.isfinite(true)
                    off = np.abs(a.astype(np.float64) - true)[finite] / np.exp2(exponent - digits)[finite]
                    assert (off <= 0.5).all(), name
                    np.testing.assert_array_equal(a.astype(np.float64)[~finite], true[~finite])


def everything(dtype):
    x, rows = numbers(dtype, 1000), numbers(dtype, (50, 10))
    wide = numbers(dtype, (2, 300))
    with np.errstate(divide="ignore"):
        return [
            *(y for name, f in ELEMENTWISE.items() for y in f(in_domain(name, x))),
            *(y for f in ROWWISE.values() for y in (*f(rows), *f(wide))),
        ]


@dtypes
def test_many_threads_at_once_give_the_same_bits(dtype):
    wanted = everything(dtype)
    failures = []

    def work():
        for _ in range(5):
            try:
                assert_same_bits(everything(dtype), wanted)
            except AssertionError as error:  # a thread's own failure would go unseen
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_a_forked_process_gives_the_same_bits():
    wanted = everything(np.dtype(np.float32))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert_same_bits(everything(np.dtype(np.float32)), wanted)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
