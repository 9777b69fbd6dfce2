"""The contract, line by line: special values, dtypes, shapes, errors."""

import math

import numpy as np
import pytest
from family import DTYPES, LINKS, assert_same_bits

import sigmax

FLOATS = [np.float32, np.float64]
INF, NAN = math.inf, math.nan
ROW_FUNCTIONS = [sigmax.softmax, sigmax.log_softmax, sigmax.logsumexp]


def same(got, wanted, dtype):
    got = np.asarray(got)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.asarray(wanted, dtype), strict=True)


# ---- elementwise ----


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("sigmoid", [-INF, 0, INF, NAN], [0, 0.5, 1, NAN]),
        ("log_sigmoid", [-INF, 0, INF, NAN], [-INF, -math.log(2), 0, NAN]),
        ("softplus", [-INF, 0, INF, NAN], [0, math.log(2), INF, NAN]),
        ("logit", [0, 0.5, 1, NAN], [-INF, 0, INF, NAN]),
        ("odds", [0, 0.5, 0.75, 1, NAN], [0, 1, 3, INF, NAN]),
        ("from_odds", [0, 1, 3, INF, NAN], [0, 0.5, 0.75, 1, NAN]),
    ],
)
def test_special_values_of_the_elementwise_functions(name, x, y, dtype):
    with np.errstate(divide="ignore"):
        same(getattr(sigmax, name)(np.array(x, dtype)), y, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("name", "x"), [("logit", [-0.1, 1.1, -INF, INF]), ("odds", [-0.1, 1.1, -INF, INF]), ("from_odds", [-0.1, -INF])]
)
def test_outside_the_domain_the_result_is_nan_and_numpy_is_told(name, x, dtype):
    x = np.array(x, dtype)
    with np.errstate(invalid="ignore"):
        assert np.isnan(getattr(sigmax, name)(x)).all()
    for value in x:
        with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="invalid"):
            getattr(sigmax, name)(value)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "x"), [("logit", 0), ("logit", 1), ("odds", 1)])
def test_a_pole_raises_the_divide_flag(name, x, dtype):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide"):
        getattr(sigmax, name)(dtype(x))


@pytest.mark.parametrize("dtype", FLOATS)
def test_no_function_warns_without_a_reason(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([-INF, -800, -100, -tiny, 0, tiny, 1, 100, 800, INF, NAN], dtype)
    p = np.array([tiny, 0.1, 0.5, 0.9, NAN], dtype)
    with np.errstate(all="raise"):
        for name in ("sigmoid", "log_sigmoid", "softplus"):
            getattr(sigmax, name)(x)
        for name in ("logit", "odds", "from_odds"):
            getattr(sigmax, name)(p)
        for function in ROW_FUNCTIONS:
            function(x)
            function(np.zeros((3, 300), dtype))


def test_elementwise_functions_are_ufuncs():
    for name in ("sigmoid", "log_sigmoid", "softplus", "logit", "odds", "from_odds"):
        function = getattr(sigmax, name)
        assert isinstance(function, np.ufunc)
        assert function.__name__ == name
    x = np.array([[0.1, 0.2], [0.3, 0.4]])
    out = np.full((2, 2), -1.0)
    assert sigmax.sigmoid(x, out=out, where=[[True, False], [True, True]]) is out
    assert out[0, 1] == -1
    assert out[1, 1] == sigmax.sigmoid(0.4)
    assert sigmax.sigmoid(np.float64(1), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.bool_, *np.typecodes["AllInteger"]])
def test_integers_and_bool_are_doubles_first(dtype):
    x = np.array([0, 1], dtype)
    for name in ("sigmoid", "log_sigmoid", "softplus", "from_odds"):
        same(getattr(sigmax, name)(x), getattr(sigmax, name)(x.astype(np.float64)), np.float64)
    for function in ROW_FUNCTIONS:
        same(function(x), function(x.astype(np.float64)), np.float64)


def test_small_integers_do_not_wrap_around():
    x = np.array([-128, 127], np.int8)
    same(sigmax.softmax(x), sigmax.softmax([-128.0, 127.0]), np.float64)
    assert 1.7e-111 < sigmax.softmax(x)[0] < 1.9e-111


# ---- rows ----


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("classes", [3, 300])
def test_special_rows(dtype, classes):
    """Each row of three classes also stands in rows of 300, the others impossible."""

    def padded(row, fill=-INF):
        return np.array([*row, *[fill] * (classes - 3)], dtype)

    def check(row, p, l, s):
        same(sigmax.softmax(padded(row)), padded(p, NAN if math.isnan(p[0]) else 0), dtype)
        same(sigmax.log_softmax(padded(row)), padded(l, NAN if math.isnan(l[0]) else -INF), dtype)
        same(sigmax.logsumexp(padded(row)), s, dtype)

    half = -math.log(2)
    check([1, -INF, 1], [0.5, 0, 0.5], [half, -INF, half], float(dtype(1) + dtype(math.log(2))))
    check([0, INF, 5], [0, 1, 0], [-INF, 0, -INF], INF)
    check([INF, 0, INF], [0.5, 0, 0.5], [half, -INF, half], INF)
    check([-INF, -INF, -INF], [0, 0, 0], [-INF, -INF, -INF], -INF)
    check([NAN, 0, 0], [NAN] * 3, [NAN] * 3, NAN)
    check([0, INF, NAN], [NAN] * 3, [NAN] * 3, NAN)
    check([7, -INF, -INF], [1, 0, 0], [0, -INF, -INF], 7)
    check([dtype(3e38), dtype(3e38), -INF], [0.5, 0.5, 0], [half, half, -INF], float(dtype(3e38)))
    check(
        [dtype(-3e38), dtype(3e38), -INF],
        [0, 1, 0],
        [-float(dtype(6e38)) if dtype == np.float64 else -INF, 0, -INF],
        float(dtype(3e38)),
    )


def test_a_nan_changes_its_own_row_only():
    x = np.random.default_rng(0).normal(size=(40, 5))
    clean = sigmax.softmax(x)
    x[7, 2] = NAN
    p = sigmax.softmax(x)
    assert np.isnan(p[7]).all()
    np.testing.assert_array_equal(np.delete(p, 7, 0), np.delete(clean, 7, 0))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_empty_arrays(shape, dtype):
    x = np.empty(shape, dtype)
    assert sigmax.softmax(x).shape == shape
    assert sigmax.log_softmax(x).shape == shape
    same(sigmax.logsumexp(x), np.full(shape[:-1], -INF), dtype)
    assert sigmax.sigmoid(x).shape == shape


def test_a_single_number_is_a_row_of_one_class():
    assert sigmax.softmax(3.0) == 1
    assert sigmax.log_softmax(3.0) == 0
    assert sigmax.logsumexp(3.0) == 3
    assert np.ndim(sigmax.softmax(3.0)) == 0
    assert sigmax.softmax(-INF) == 0


@pytest.mark.parametrize("classes", [3, 300])
def test_temperature(classes):
    x = np.random.default_rng(1).normal(size=(20, classes)) * 3
    x[:, 1] = -INF
    x[3, 0] = x[3, 2] = 50
    for t in (0.25, 4.0):
        np.testing.assert_array_equal(sigmax.softmax(x, temperature=t), sigmax.softmax(x / t))
    hard = sigmax.softmax(x, temperature=0)
    np.testing.assert_array_equal(hard.argmax(1), x.argmax(1))
    assert hard[3, 0] == hard[3, 2] == 0.5
    assert set(hard.flat) == {0, 0.5, 1}
    flat = sigmax.softmax(x, temperature=INF)
    assert (flat[:, 1] == 0).all()
    assert (np.delete(flat, 1, 1) == 1 / (classes - 1)).all()
    np.testing.assert_array_equal(sigmax.log_softmax(x, temperature=0)[3, 0], -np.log(2))
    each = np.array([0, 0.5, 1, 2, INF] * 4)
    mixed = sigmax.softmax(x, temperature=each)
    for i, t in enumerate(each):
        np.testing.assert_array_equal(mixed[i], sigmax.softmax(x[i], temperature=t))


@pytest.mark.parametrize("dtype", FLOATS)
def test_temperatures_beyond_reason_are_still_right(dtype):
    x = np.array([3.0, 1.0, 2.0], dtype)
    same(sigmax.softmax(x, temperature=1e-300), [1, 0, 0], dtype)
    np.testing.assert_allclose(sigmax.softmax(x, temperature=1e300), 1 / 3, rtol=1e-7)
    tiny = np.array([3e-30, 1e-30], dtype)
    np.testing.assert_allclose(
        sigmax.softmax(tiny, temperature=1e-30), [0.8807970779778824, 0.11920292202211755], rtol=3e-7
    )


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
@pytest.mark.parametrize("classes", [4, 300])
@pytest.mark.parametrize("dtype", FLOATS)
def test_masked_scores_are_not_looked_at(function, classes, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(33, classes)).astype(dtype)
    mask = rng.random(x.shape) < 0.6
    mask[5] = False
    wanted = function(np.where(mask, x, dtype(-INF)))
    for garbage in (NAN, INF, 1e30, -1e30):
        same(function(np.where(mask, x, dtype(garbage)), where=mask), wanted, dtype)
    row = function(x, where=mask[:1])  # a mask for all rows
    same(row, function(np.where(mask[:1], x, dtype(-INF))), dtype)
    if function is not sigmax.logsumexp:
        assert (wanted[5] == (0 if function is sigmax.softmax else -INF)).all()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 1), (2, 0), (-1, -2), (0, 1, 2)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_axis(axis, dtype):
    x = np.random.default_rng(3).normal(size=(5, 6, 7)).astype(dtype)
    axes = (axis,) if isinstance(axis, int) else axis
    last = [a % 3 for a in axes]
    rest = [a for a in range(3) if a not in last]
    rows = x.transpose(rest + last).reshape([x.shape[a] for a in rest] + [-1])
    for function in (sigmax.softmax, sigmax.log_softmax):
        wanted = function(rows).reshape([x.shape[a] for a in rest + last]).transpose(np.argsort(rest + last))
        same(function(x, axis=axis), wanted, dtype)
        out = np.empty_like(x)
        assert function(x, axis=axis, out=out) is out
        same(out, wanted, dtype)
    same(sigmax.logsumexp(x, axis=axis), sigmax.logsumexp(rows), dtype)
    kept = sigmax.logsumexp(x, axis=axis, keepdims=True)
    assert kept.shape == tuple(1 if a in last else n for a, n in enumerate(x.shape))
    out = np.empty_like(kept)
    assert sigmax.logsumexp(x, axis=axis, keepdims=True, out=out) is out
    same(out, kept, dtype)


@pytest.mark.parametrize("function", [sigmax.softmax, sigmax.log_softmax])
@pytest.mark.parametrize("classes", [5, 300])
@pytest.mark.parametrize("dtype", FLOATS)
def test_memory_layout_changes_no_bit(function, classes, dtype):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(37, classes)).astype(dtype) * 5
    wanted = function(x)
    same(function(np.asfortranarray(x)), wanted, dtype)
    same(function(x[::-1, ::-1])[::-1, ::-1], function(np.ascontiguousarray(x[:, ::-1]))[:, ::-1], dtype)
    same(function(np.repeat(x, 2, axis=1)[:, ::2]), wanted, dtype)
    same(function(x.astype(x.dtype.newbyteorder())), wanted, dtype)
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(x.shape)
    shifted[:] = x
    same(function(shifted), wanted, dtype)
    shifted.flags.writeable = False
    same(function(shifted), wanted, dtype)
    same(function(np.broadcast_to(x[:1], x.shape)), np.broadcast_to(wanted[:1], x.shape), dtype)
    for i in (0, 1, 16, 31, 32, 36):
        same(function(x[i]), wanted[i], dtype)
        same(function(x[i:]), wanted[i:], dtype)
    inplace = x.copy()
    assert function(inplace, out=inplace) is inplace
    same(inplace, wanted, dtype)
    room = np.zeros((38, classes), dtype)
    room[:-1] = x
    function(room[:-1], out=room[1:])
    same(room[1:], wanted, dtype)


@pytest.mark.parametrize("function", [sigmax.softmax, sigmax.log_softmax])
@pytest.mark.parametrize("classes", [3, 300])
@pytest.mark.parametrize("temperature", [1.0, 0.0, INF, 1e-300])
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_rows_in_place(function, classes, temperature, dtype):
    """The limits are taken from the scores, not from results that have been written over them."""
    x = np.full((40, classes), -1, dtype)
    x[:, 1] = INF
    x[3], x[5] = -INF, 2
    x[7, 2] = NAN
    mask = np.ones(x.shape, bool)
    mask[9, 1] = mask[11] = False
    for where in (None, mask):
        wanted = function(x, temperature=temperature, where=where)
        for order in "CF":
            inplace = np.array(x, order=order)
            function(inplace, temperature=temperature, where=where, out=inplace)
            same(inplace, wanted, dtype)


@pytest.mark.parametrize("shape", [(2, 5, 1), (1, 5, 3), (1, 1, 1), (5,), (2, 1, 5)])
def test_logsumexp_into_a_strided_out(shape):
    x = np.random.default_rng(6).normal(size=shape)
    for axis in range(x.ndim):
        for keepdims in (False, True):
            wanted = np.asarray(sigmax.logsumexp(x, axis=axis, keepdims=keepdims))
            room = np.zeros([2 * n for n in wanted.shape])
            out = room[tuple(slice(None, None, 2) for _ in wanted.shape)] if wanted.ndim else room
            assert sigmax.logsumexp(x, axis=axis, keepdims=keepdims, out=out) is out
            same(out, wanted, np.float64)


def test_dtype_argument():
    x = np.random.default_rng(5).normal(size=(4, 6)) * 3
    same(sigmax.softmax(x, dtype=np.float32), sigmax.softmax(x).astype(np.float32), np.float32)
    narrow = x.astype(np.float32)
    same(sigmax.softmax(narrow, dtype=np.float64), sigmax.softmax(narrow.astype(np.float64)), np.float64)
    same(sigmax.softmax(narrow, dtype=">f4"), sigmax.softmax(narrow), np.float32)
    half = x.astype(np.float16)
    same(sigmax.softmax(half), sigmax.softmax(half.astype(np.float64)).astype(np.float16), np.float16)
    out = np.empty((4, 6), np.float32)
    assert sigmax.softmax(x, dtype=np.float32, out=out) is out
    same(out, sigmax.softmax(x).astype(np.float32), np.float32)


# ---- errors, before any work is done ----


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_wrong_arguments_are_refused_and_out_is_left_alone(function):
    x = np.zeros((2, 3))
    out = np.full((2,) if function is sigmax.logsumexp else (2, 3), 7.0)
    tempered = function is not sigmax.logsumexp
    cases = [
        (dict(axis=2), np.exceptions.AxisError, "2"),
        (dict(axis=(0, 0)), ValueError, "repeated"),
        (dict(where=np.ones((2, 3))), TypeError, "float64"),
        (dict(where=np.ones((5, 3), bool)), ValueError, r"\(5, 3\)"),
        (dict(dtype=np.int32), TypeError, "int32"),
        (dict(dtype=np.complex128), TypeError, "complex128"),
    ]
    if tempered:
        cases += [
            (dict(temperature=-1), ValueError, r"-1\.0"),
            (dict(temperature=NAN), ValueError, "nan"),
            (dict(temperature=[1.0, -2.0]), ValueError, r"-2\.0"),
            (dict(temperature=[1.0, 1.0, 1.0]), ValueError, r"\(3,\)"),
            (dict(temperature="hot"), TypeError, "<U3"),
        ]
    for arguments, error, text in cases:
        with pytest.raises(error, match=text):
            function(x, out=out, **arguments)
    assert (out == 7).all()
    with pytest.raises(ValueError, match=r"\(4,\)"):
        function(x, out=np.empty(4))
    with pytest.raises(TypeError, match="float32"):
        function(x, out=np.empty(out.shape, np.float32))
    with pytest.raises(TypeError, match="list"):
        function(x, out=[1.0])
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        function(x, out=out)


@pytest.mark.parametrize(
    "x",
    [np.zeros(2, complex), np.zeros(2, np.longdouble), np.array(["a", "b"]), np.array([None, 1]), np.zeros(2, "M8[s]")],
)
def test_what_is_not_a_real_number_is_refused(x):
    for function in ROW_FUNCTIONS:
        with pytest.raises(TypeError, match=str(x.dtype).replace("[", r"\[")):
            function(x)
    for name in ("sigmoid", "logit"):
        with pytest.raises(TypeError):
            getattr(sigmax, name)(x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3, 5, 17, 60])
def test_a_nan_spoils_its_row_wherever_it_stands(classes, dtype):
    x = np.linspace(-3, 3, classes).astype(dtype)
    for place in (0, classes // 2, classes - 1):
        row = x.copy()
        row[place] = np.nan
        table = np.stack([x, row, x])
        for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax):
            got = function(table)
            assert np.isnan(got[1]).all(), function.__name__
            np.testing.assert_array_equal(got[[0, 2]], function(table[[0, 2]]))
        for function in (sigmax.softmax, sigmax.log_softmax):
            assert np.isnan(function(table, complement=True)[1]).all()
        loss, gradient = sigmax.cross_entropy_and_grad(table, [0, 0, 0])
        assert np.isnan(loss[1])
        assert np.isnan(gradient[1]).all()
        assert np.isnan(sigmax.logsumexp(row))


@pytest.mark.parametrize("name", LINKS)
def test_a_small_result_into_an_array_is_that_of_a_call_without(name):
    """An array takes a way of its own; one that lies over the input, is of another type or not to be written takes NumPy's."""
    function, sign = getattr(sigmax, name), -1 if name in ("log1mexp", "logitexp") else 1
    for dtype in DTYPES:
        x = (sign * np.linspace(0.1, 0.9, 12)).astype(dtype)
        wanted = function(x)
        room = np.zeros(40, dtype)
        for out in (np.empty_like(x), room[3:15], room[::3][:12], room.reshape(4, 10)[:, 2][:0]):
            if out.size:
                assert function(x, out=out) is out
                assert_same_bits(out, wanted)
            else:
                with pytest.raises(ValueError, match="broadcast"):
                    function(x, out=out)
        assert_same_bits(function(x, out=np.empty((2, 12), dtype)), np.stack([wanted, wanted]))
        assert_same_bits(function(x, out=(np.empty_like(x),)), wanted)
        if dtype == np.float32:
            np.testing.assert_array_equal(function(x, out=np.empty(12)), wanted.astype(float), strict=True)
        itself = x.copy()
        assert_same_bits(function(itself, out=itself), wanted)
        both = np.concatenate([x, x])
        assert_same_bits(function(both[:12], out=both[1:13]), wanted)
        fixed = np.zeros_like(x)
        fixed.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            function(x, out=fixed)


def test_what_is_wrong_with_a_number_is_reported_into_an_array_too():
    x, out = np.float32([0.5, 2.0]), np.empty(2, np.float32)
    with np.errstate(all="raise"):
        assert sigmax.sigmoid(x, out=out) is out
        with pytest.raises(FloatingPointError, match="invalid value encountered in logit"):
            sigmax.logit(x, out=out)
        with pytest.raises(FloatingPointError, match="divide by zero encountered in logit"):
            sigmax.logit(np.float32([1.0]), out=out[:1])
        with pytest.raises(FloatingPointError, match="invalid value encountered in logit"):
            sigmax.logit(x, out=x)
