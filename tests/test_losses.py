"""Cross-entropy of many classes and of two: special values, labels, gradients, errors."""

import math

import numpy as np
import pytest
from family import DTYPES, NAMES, assert_same_bits
from reference import FORMATS, Row, exact, ulps

import sigmax

INF, NAN = math.inf, math.nan
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
PAIR = [sigmax.cross_entropy, lambda *a, **k: sigmax.cross_entropy_and_grad(*a, **k)[0]]


@dtypes
@pytest.mark.parametrize("classes", [2, 3, 10, 300])
def test_the_loss_is_the_logarithm_of_the_labels_probability(classes, dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(33, classes)) * 4).astype(dtype)
    y = rng.integers(0, classes, 33)
    loss, gradient = sigmax.cross_entropy_and_grad(x, y)
    assert loss.dtype == gradient.dtype == dtype
    np.testing.assert_array_equal(loss, sigmax.cross_entropy(x, y))
    log_probability = sigmax.log_softmax(x)[np.arange(33), y]
    if dtype.itemsize >= 4:  # the one is rounded from more digits, the other worked out in its own type
        np.testing.assert_array_max_ulp(loss, -log_probability, maxulp=1)
    else:
        np.testing.assert_array_equal(loss, -log_probability)
    p, q = sigmax.softmax(x, dtype=np.float64), sigmax.softmax(x, complement=True, dtype=np.float64)
    wanted = p.copy()
    wanted[np.arange(33), y] = -q[np.arange(33), y]
    np.testing.assert_allclose(
        gradient.astype(float),
        wanted,
        rtol=(0.7 if dtype == np.float32 else 0.51) * 2.0 ** -FORMATS[dtype.name][0] + 1e-14,  # in floats, rounded once
        atol=0.51 * 2.0 ** (FORMATS[dtype.name][1] - FORMATS[dtype.name][0]),  # of the smallest number
    )


def test_labels_as_probabilities_mean_the_same_as_classes():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 7)) * 5
    y = rng.integers(0, 7, 20)
    hard = sigmax.cross_entropy_and_grad(x, y)
    soft = sigmax.cross_entropy_and_grad(x, np.eye(7)[y])
    for a, b in zip(hard, soft, strict=True):
        np.testing.assert_array_equal(a, b)
    hard = sigmax.cross_entropy_and_grad(x, y, label_smoothing=0.2, temperature=3.0)
    soft = sigmax.cross_entropy_and_grad(x, np.eye(7)[y], label_smoothing=0.2, temperature=3.0)
    for a, b in zip(hard, soft, strict=True):
        np.testing.assert_array_equal(a, b)


def test_smoothing_spreads_over_the_possible_classes():
    x = np.array([1.0, 2.0, -INF, 0.5])
    loss, gradient = sigmax.cross_entropy_and_grad(x, 1, label_smoothing=0.3)
    l = sigmax.log_softmax(x)
    np.testing.assert_allclose(loss, -(0.7 * l[1] + 0.1 * (l[0] + l[1] + l[3])), rtol=1e-15)
    np.testing.assert_allclose(gradient, sigmax.softmax(x) - [0.1, 0.8, 0, 0.1], rtol=1e-13)
    masked = sigmax.cross_entropy_and_grad(np.where(np.isinf(x), NAN, x), 1, where=np.isfinite(x), label_smoothing=0.3)
    assert masked[0] == loss
    np.testing.assert_array_equal(masked[1], gradient)


@dtypes
@pytest.mark.parametrize("classes", [3, 300])
def test_special_rows(classes, dtype):
    def row(*values):
        return np.array([*values, *[-INF] * (classes - len(values))], dtype)

    def check(x, y, loss, gradient, **options):
        for function in PAIR:
            got = np.asarray(function(x, y, **options))
            assert got.dtype == dtype
            np.testing.assert_allclose(got.astype(float), float(dtype.type(loss)), rtol=3e-16)
        got = sigmax.cross_entropy_and_grad(x, y, **options)[1]
        wanted = np.zeros(classes)
        wanted[: len(gradient)] = gradient
        np.testing.assert_array_equal(got.astype(float), wanted.astype(dtype).astype(float))

    check(row(0, 0), 0, math.log(2), [-0.5, 0.5])
    check(row(3), 0, 0, [0])  # the only possible class
    check(row(1, -INF, 1), 1, INF, [0.5, 0, 0.5])  # an impossible label
    check(row(-INF, -INF, -INF), 1, NAN, [0, 0, 0])
    check(row(INF, 0, 5), 0, 0, [0, 0, 0])
    check(row(INF, 0, INF), 1, INF, [0.5, -1, 0.5])
    check(row(4, 1, 2), 0, 0, [0, 0, 0], temperature=0.0)
    check(row(4, 1, 2), 0, math.log(3), [0, 0, 0], temperature=INF)
    for function in PAIR:
        assert np.isnan(function(row(NAN, 0, 1), 1))
    assert np.isnan(sigmax.cross_entropy_and_grad(row(NAN, 0, 1), 1)[1]).any()


def test_a_confident_row_has_its_small_loss_and_gradient():
    for dtype in (np.float32, np.float64):
        x = np.array([60.0, 0.0, -3.0], dtype)
        loss, gradient = sigmax.cross_entropy_and_grad(x, 0)
        true = Row(x)
        target = [exact(1), exact(0), exact(0)]
        assert loss > 0
        assert ulps(loss, true.cross_entropy(target), dtype) <= 0.6
        assert gradient[0] < 0
        for k in range(3):
            assert ulps(gradient[k], true.gradient(target, k), dtype) <= 0.6


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 2), (2, 0)])
def test_axis(axis):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4, 5, 6))
    axes = (axis,) if isinstance(axis, int) else axis
    rest = [a for a in range(3) if a not in axes]
    rows = x.transpose([*rest, *axes]).reshape([*(x.shape[a] for a in rest), -1])
    y = rng.integers(0, rows.shape[-1], rows.shape[:-1])
    loss, gradient = sigmax.cross_entropy_and_grad(x, y, axis=axis)
    wanted_loss, wanted = sigmax.cross_entropy_and_grad(rows, y)
    np.testing.assert_array_equal(loss, wanted_loss)
    assert gradient.shape == x.shape
    moved = gradient.transpose([*rest, *axes]).reshape(rows.shape)
    np.testing.assert_array_equal(moved, wanted)


def test_gradients_are_the_slope_of_the_loss():
    rng = np.random.default_rng(3)
    x, h = rng.normal(size=6), 1e-6
    for y, options in ((2, {}), (2, dict(label_smoothing=0.1)), (rng.dirichlet(np.ones(6)), dict(temperature=0.5))):
        gradient = sigmax.cross_entropy_and_grad(x, y, **options)[1]
        for k in range(6):
            step = np.eye(6)[k] * h
            slope = sigmax.cross_entropy(x + step, y, **options) - sigmax.cross_entropy(x - step, y, **options)
            np.testing.assert_allclose(gradient[k], slope / (2 * h), rtol=1e-6, atol=1e-9)


# ---- two classes ----


@dtypes
def test_two_classes_are_the_logarithm_of_the_sigmoid(dtype):
    x = np.array([-INF, -100, -3, 0, 2, 50, INF, NAN], dtype)
    zero, one = np.zeros(8), np.ones(8, bool)
    for y, loss, gradient in (
        (one, -sigmax.log_sigmoid(x), -sigmax.sigmoid(-x)),
        (zero, sigmax.softplus(x), sigmax.sigmoid(x)),
    ):
        assert_same_bits(sigmax.binary_cross_entropy_and_grad(x, y), [abs(loss), gradient])
        assert_same_bits([sigmax.binary_cross_entropy(x, y)], [abs(loss)])


def test_binary_labels_broadcast_and_may_be_of_any_kind():
    x = np.linspace(-3, 3, 6, dtype=np.float32).reshape(2, 3)
    for y in ([0, 1, 1], np.array([0, 1, 1], bool), np.array([0, 1, 1], DTYPES[1]), np.array([[0.0], [1.0]])):
        got = sigmax.binary_cross_entropy(x, y)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, sigmax.binary_cross_entropy(x, np.broadcast_to(y, (2, 3)).astype(float)))
    assert sigmax.binary_cross_entropy(3, 1) == -sigmax.log_sigmoid(3.0)


# ---- errors ----


@pytest.mark.parametrize("function", PAIR)
def test_wrong_labels_are_refused(function):
    x = np.zeros((3, 4))
    cases = [
        ([0, 1, 4], {}, ValueError, r"label 4 in row 2 is not a class; it must be in 0 \.\.\. 3"),
        ([0, -1, 4], {}, ValueError, "label -1 in row 1"),
        ([0, 1], {}, ValueError, r"labels have shape \(2,\); the rows have \(3,\)"),
        (np.zeros((3, 4), int), {}, ValueError, "pass probabilities as floats"),
        ([0.0, 1.0, 2.0], {}, TypeError, "dtype float64 are not integers"),
        ([0.0, NAN, 2.0], {}, ValueError, "the label in row 1 is NaN, as a missing one is; leave such rows out"),
        ([True, False, True], {}, TypeError, "bool"),
        (["a", "b", "c"], {}, TypeError, "<U1"),
        (np.full((3, 4), 1.5), {}, ValueError, r"label 1\.5 at \(0, 0\)"),
        (np.full((3, 4), NAN), {}, ValueError, "nan"),
        (np.zeros((2, 4)), {}, ValueError, r"\(2, 4\)"),
        ([0, 1, 2], dict(label_smoothing=1), ValueError, "label_smoothing is 1"),
        ([0, 1, 2], dict(label_smoothing=-0.1), ValueError, r"-0\.1"),
        ([0, 1, 2], dict(label_smoothing=NAN), ValueError, "nan"),
        ([0, 1, 2], dict(temperature=-1), ValueError, r"-1\.0"),
        ([0, 1, 2], dict(axis=5), np.exceptions.AxisError, "5"),
        ([0, 1, 2], dict(where=np.ones((3, 4))), TypeError, "float64"),
    ]
    for y, options, error, text in cases:
        with pytest.raises(error, match=text):
            function(x, y, **options)
    with pytest.raises(TypeError, match="complex128"):
        function(x.astype(complex), [0, 1, 2])


@pytest.mark.parametrize("function", [sigmax.binary_cross_entropy, sigmax.binary_cross_entropy_and_grad])
def test_wrong_binary_labels_are_refused(function):
    for x, y, error, text in [
        ([1.0, 2.0], [0, 2], ValueError, r"label 2\.0 at \(1,\) is not a probability"),
        ([1.0], NAN, ValueError, "nan"),
        (np.zeros(3), np.zeros(2), ValueError, r"\(2,\)"),
        (np.zeros(2, complex), 1, TypeError, "logits of dtype complex128"),
        (np.zeros(1), "x", TypeError, "labels of dtype <U1"),
    ]:
        with pytest.raises(error, match=text):
            function(x, y)


def test_labels_are_whole():
    x = np.zeros((3, 4))
    good = np.full((3, 4), 0.248)  # 0.992, as rounded ones may sum to
    assert sigmax.cross_entropy(x, good) == pytest.approx(0.992 * np.log(4))
    for odd, said in ((np.full((3, 4), 0.75), "row 0 sum to 3"), (np.diag([1, 1, 0, 0])[:3] * 1.0, "row 2 sum to 0")):
        with pytest.raises(ValueError, match=said):
            sigmax.cross_entropy(x, odd)
        with pytest.raises(ValueError, match=said):
            sigmax.cross_entropy_and_grad(x.T, odd.T, axis=0)
    halves = np.full(4096, 1 / 4096).astype(np.float16)
    assert np.isfinite(sigmax.cross_entropy(np.zeros(4096, np.float16), halves))


@pytest.mark.parametrize("axis", [None, "class", 1.5, (0, None)])
def test_an_axis_is_a_number(axis):
    for function in (sigmax.softmax, sigmax.logsumexp):
        with pytest.raises(TypeError, match="pass the number of the axis of the classes"):
            function(np.zeros((2, 3)), axis=axis)
    assert sigmax.logsumexp(np.zeros((2, 3)), axis=np.int64(0)).shape == (3,)


@pytest.mark.parametrize("classes", [10, 203])
def test_a_row_has_its_bits_whatever_temperature_or_label_is_beside_it(classes):
    """Rows of floats at temperature 1 go another way than others."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, classes)).astype(np.float32) * 3, rng.integers(0, classes, 40)
    temperature = np.where(np.arange(40) % 3 == 0, 1.0, 0.5 + np.arange(40) / 20)
    for options in ({}, {"label_smoothing": 0.1}):
        loss, gradient = sigmax.cross_entropy_and_grad(x, y, temperature=temperature, **options)
        for i in range(40):
            alone = sigmax.cross_entropy_and_grad(x[i], y[i], temperature=temperature[i], **options)
            np.testing.assert_array_equal(loss[i], alone[0])
            np.testing.assert_array_equal(gradient[i], alone[1])
            np.testing.assert_array_equal(
                loss[i], sigmax.cross_entropy(x[i], y[i], temperature=temperature[i], **options)
            )


@pytest.mark.parametrize("classes", [1, 2, 10, 193, 203, 256])
def test_floats_have_the_loss_and_gradient_of_every_label(classes):
    """The last class of a row, in a tile and alone; the largest one, one of several largest, and one that is impossible."""
    rng = np.random.default_rng(3)
    row = rng.normal(size=classes).astype(np.float32) * 4
    ties, spread = np.round(row / 8), row * 8
    for x in (row, ties, spread, np.where(np.arange(classes) % 3 == 1, -np.inf, row).astype(np.float32)):
        loss, gradient = sigmax.cross_entropy_and_grad(np.tile(x, (classes, 1)), np.arange(classes))
        wanted = sigmax.cross_entropy_and_grad(np.tile(x.astype(np.float64), (classes, 1)), np.arange(classes))
        for got, want in zip((loss, gradient), wanted, strict=True):
            # rounded once, where the smallest number is a step
            np.testing.assert_allclose(got, want, rtol=1.01 * 2.0**-24 * 1.4, atol=1.4e-45)
        for k in range(classes):
            alone = sigmax.cross_entropy_and_grad(x, k)
            np.testing.assert_array_equal(alone[0], loss[k])
            np.testing.assert_array_equal(alone[1], gradient[k])


def test_of_a_row_with_a_nan_all_is_nan_but_the_gradient_of_an_impossible_class():
    for x in ([NAN, -INF, 1.0], [NAN, -INF, INF]):
        for dtype in (np.float32, np.float64):
            for y in (0, 1, [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]):
                loss, gradient = sigmax.cross_entropy_and_grad(np.array(x, dtype), y)
                assert np.isnan(loss)
                np.testing.assert_array_equal(gradient, [NAN, 0, NAN])


@pytest.mark.parametrize("classes", [5, 192, 193, 300])
@pytest.mark.parametrize("dtype", DTYPES, ids=NAMES)
def test_a_soft_label_pays_for_an_impossible_class_wherever_it_stands(classes, dtype):
    x = np.random.default_rng(classes).normal(size=(classes, classes)).astype(dtype)
    np.fill_diagonal(x, -np.inf)
    q = np.full(x.shape, 1 / classes).astype(dtype)
    loss, slope = sigmax.cross_entropy_and_grad(x, q)
    assert (loss == np.inf).all()
    assert (sigmax.cross_entropy(x, q) == np.inf).all()
    assert (np.diag(slope) == 0).all()
    assert np.isfinite(slope.astype(float)).all()
    np.fill_diagonal(q, 0)  # nothing is asked of it
    q = (q / q.astype(float).sum(axis=1, keepdims=True)).astype(dtype)
    assert np.isfinite(sigmax.cross_entropy(x, q).astype(float)).all()
