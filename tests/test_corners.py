"""Scores near the largest number, extreme temperatures, and rows beside others: where arithmetic in between would overflow or mix."""

from fractions import Fraction

import numpy as np
import pytest
from reference import Row, exact, ulps

import sigmax
from sigmax.host.gradients import log_softmax_pullback, softmax_pullback

FLOATS = [np.float32, np.float64]
# The bars of BARS.md; a temperature beyond all sense costs nothing more.
BARS = {
    "softmax": (1.5, 2),
    "log_softmax": (1.5, 2),
    "softmax_complement": (2, 3),
    "log_softmax_complement": (2, 3),
    "logit_softmax": (2, 3),
    "cross_entropy": (2, 3),
}


def results(x, temperature):
    label = np.zeros(len(x), dtype=np.int64)
    return {
        "softmax": sigmax.softmax(x, temperature=temperature),
        "log_softmax": sigmax.log_softmax(x, temperature=temperature),
        "softmax_complement": sigmax.softmax(x, temperature=temperature, complement=True),
        "log_softmax_complement": sigmax.log_softmax(x, temperature=temperature, complement=True),
        "logit_softmax": sigmax.logit_softmax(x, temperature=temperature),
        "cross_entropy": sigmax.cross_entropy(x, label, temperature=temperature)[:, None],
    }


def test_differences_beyond_the_largest_number_are_infinite_not_nan():
    x = np.array([-1e308, 1e308])
    np.testing.assert_array_equal(sigmax.logit_softmax(x), [-np.inf, np.inf])
    np.testing.assert_array_equal(sigmax.log_softmax(x, complement=True), [0, -np.inf])
    np.testing.assert_array_equal(sigmax.log_softmax(x), [-np.inf, 0])
    x = np.array([0, 1e307])
    np.testing.assert_array_equal(sigmax.logit_softmax(x, temperature=0.01), [-np.inf, np.inf])
    np.testing.assert_array_equal(sigmax.log_softmax(x, temperature=0.01, complement=True), [0, -np.inf])


@pytest.mark.parametrize("classes", [2, 5, 300])
def test_finite_results_of_large_scores_are_not_lost(classes):
    for dtype, size in ((np.float32, 3e38), (np.float64, 1.7e308)):
        x = np.full((3, classes), -size, dtype)
        x[:, 1] = size
        gap = -2.0 * float(x[0, 1] / 100)
        np.testing.assert_allclose(
            sigmax.log_softmax(x, temperature=100)[:, 0], gap, rtol=1e-6 if dtype == np.float32 else 1e-15
        )
        np.testing.assert_allclose(
            sigmax.logit_softmax(x, temperature=100)[:, 0], gap, rtol=1e-6 if dtype == np.float32 else 1e-15
        )
        loss = sigmax.cross_entropy(x, np.zeros(3, np.int64), temperature=100)
        np.testing.assert_allclose(loss, -gap, rtol=1e-6 if dtype == np.float32 else 1e-15)
    p = sigmax.softmax([-1.7e308, 1.7e308], temperature=1e308)
    np.testing.assert_allclose(p, sigmax.softmax([-1.7, 1.7]), rtol=4e-16)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-19, 1e-6, 1e10, 1e19, 1e280, 1e308])
def test_extreme_temperatures_cost_no_digits(dtype, temperature):
    """Scores of the size of the temperature, where that is a number: beyond the inverses that kernels hold, rows are done by hand."""
    rng = np.random.default_rng(4)
    largest, smallest = float(np.finfo(dtype).max), float(np.finfo(dtype).smallest_subnormal)
    size = min(max(temperature, 100 * smallest), largest / 800)
    for classes in (2, 3, 7):
        x = (rng.normal(size=(12, classes)) * size * rng.choice([0.1, 3, 60], (12, 1))).astype(dtype)
        found = results(x, temperature)
        for i, row in enumerate(x):
            true = Row(row, temperature)
            for name, bar in BARS.items():
                for k in range(1 if name == "cross_entropy" else classes):
                    value = (
                        true.cross_entropy([1.0] + [0.0] * (classes - 1))
                        if name == "cross_entropy"
                        else getattr(true, name)(k)
                    )
                    if abs(float(value)) > largest:
                        assert found[name][i, k] == np.copysign(np.inf, float(value))
                        continue
                    error = ulps(found[name][i, k], value, dtype)
                    assert error <= bar[dtype == np.float64], (
                        f"{name} of {row} at T = {temperature}: {found[name][i, k]}"
                    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("classes", [3, 10, 40, 200])
def test_the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(classes, dtype):
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(40, classes)) * 4).astype(dtype)
    temperature = np.where(rng.random(40) < 0.5, 1.0, rng.uniform(0.2, 5, 40))
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax):
        together = function(x, temperature=temperature)
        for i in range(40):
            alone = function(x[i], temperature=temperature[i])
            assert together[i].tobytes() == alone.tobytes(), f"{function.__name__} of row {i} at T = {temperature[i]}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("classes", [2, 12, 60])
def test_rows_of_temperature_1_beside_others_have_the_bits_of_an_array_without_one(classes, dtype):
    """Many rows: where a temperature of 1 is divided by, one result in thousands is rounded differently."""
    rng = np.random.default_rng(6)
    x = (rng.normal(size=(240_000 // classes, classes)) * rng.choice([0.3, 3, 20], (240_000 // classes, 1))).astype(
        dtype
    )
    temperature = np.where(rng.random(len(x)) < 0.5, 1.0, 2.0)
    for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax):
        together, alone = function(x, temperature=temperature), function(x)
        np.testing.assert_array_equal(together[temperature == 1], alone[temperature == 1])


def pulled(x, g, temperature):
    """The three gradients of one row, with its first class as label, and what they are exactly."""
    label = np.zeros(1, np.int64)
    found = {
        "cross_entropy": sigmax.cross_entropy_and_grad(x[None], label, temperature=temperature)[1][0],
        "softmax": softmax_pullback(x, g, temperature=temperature),
        "log_softmax": log_softmax_pullback(x, g, temperature=temperature),
    }
    row, cotangent = Row(x, temperature), [exact(v) for v in g]
    target = [exact(float(k == 0)) for k in range(len(x))]
    true = {
        "cross_entropy": [row.gradient(target, k) for k in range(len(x))],
        "softmax": row.softmax_pullback(cotangent),
        "log_softmax": row.log_softmax_pullback(cotangent),
    }
    return found, true


@pytest.mark.parametrize("temperature", [5e-324, 1e-305, 1e-270, 1e-250, 1e-200, 1e-155, 1e-100, 1e-10, 1e200, 1e300])
def test_gradients_at_extreme_temperatures_are_numbers_with_all_their_digits(temperature):
    """They were NaN from 1e-154 down: what a kernel keeps times 2^512 was divided by the temperature first."""
    rng = np.random.default_rng(7)
    unit = max(temperature, 5e-323)
    for classes in (2, 5, 230):
        for spread in (1, 8):
            x = rng.normal(size=classes) * spread * unit
            found, true = pulled(x, rng.normal(size=classes), temperature)
            for name, values in found.items():
                worst = max(ulps(a, b, np.float64) for a, b in zip(values, true[name], strict=True))
                assert worst <= 3, f"{name} of {classes} classes"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_gradients_of_narrow_types_at_tiny_temperatures_are_0_where_the_probability_is(dtype):
    """e^-200, which stands for all that is smaller, is a number once it is divided by 1e-100."""
    x = np.array([-30000, 30000], dtype)
    for function in (softmax_pullback, log_softmax_pullback):
        assert function(x, np.array([0, 1], dtype), temperature=1e-100).tolist() == [0, 0]
    loss, gradient = sigmax.cross_entropy_and_grad(x[None], np.array([1]), temperature=1e-100)
    assert (loss.tolist(), gradient.tolist()) == ([0], [[0, 0]])
    g = softmax_pullback(x, np.array([1, 0], dtype), temperature=1e-100)
    assert g.tolist() == [0, 0]


def test_a_tiny_gradient_of_the_largest_class_has_all_its_digits():
    """It is the sum of what the others give, below the smallest number until it is divided by the temperature."""
    x, g = np.array([0.0, -744.0]) * 1e-10, np.array([1.0, -0.7])
    found, true = pulled(x, g, 1e-10)
    assert max(ulps(a, b, np.float64) for a, b in zip(found["softmax"], true["softmax"], strict=True)) <= 1
    assert 1e-314 < found["softmax"][0] < 1e-312


def test_sums_of_gradients_beyond_every_kernel_keep_their_digits():
    """Scores so large that no power of two brings the temperature into reach."""
    x, g = np.array([-1.7e308, 1.7e308]), np.array([-3.9e-2, 2.3e5])
    assert log_softmax_pullback(x, g, temperature=1e-300).tolist() == [-3.9e-2 / 1e-300, 3.9e-2 / 1e-300]


def test_terms_that_cancel_exactly_leave_the_others():
    """However far below them those are: e^-2000 is nothing beside 1, and all there is beside 1 - 1."""
    for x, w, value, sign in [
        ([1, 1, -2000], [1, -1, 1], -2000, 1),
        ([3, 3, 2, 2, -5000], [1, -1, -2, 2, -1], -5000, -1),
        ([1, 1], [1, -1], -np.inf, 0),
    ]:
        for more in (0, 300):  # upright, and flat
            scores, weights = np.array([*x, *[-1e5] * more], float), np.array([*w, *[0] * more], float)
            found = sigmax.logsumexp(scores, weights=weights, return_sign=True)
            assert [float(v) for v in found] == [value, sign]


def test_a_tiny_logit_of_a_class_as_likely_as_the_others_has_all_its_digits():
    """Where the gap to the second is itself tiny: 100 bits beside 1 are not 100 bits of it."""
    x = np.array([0.0016034105896205275, -0.19068741251460783, 0.0016034105450635563])
    assert ulps(sigmax.logit_softmax(x, temperature=0.01)[0], Row(x, 0.01).logit_softmax(0), np.float64) <= 3


@pytest.mark.parametrize("gap", [37.0, 40.0, 45.0, 50.0, 60.0, 97.0, 300.0, 690.0])
@pytest.mark.parametrize("classes", [2, 3, 12, 300])
def test_log_probabilities_of_a_confident_row_sum_to_0_but_for_what_they_are_rounded_by(gap, classes):
    """Below 2^-53 beside 1, where the logarithm of the sum is all in its second term."""
    row = sigmax.log_softmax(np.array([gap] + [-900.0] * (classes - 2) + [0.0]))
    true = Row(row).logsumexp
    for x in (row, np.tile(row, (40, 1))):
        for got in np.atleast_1d(sigmax.logsumexp(x)):
            assert ulps(float(got), true, np.float64) <= 1


def test_log_probabilities_that_cancel_far_below_all_places_of_a_double_keep_their_digits():
    """One row for each size of what is left, down to the smallest numbers there are."""
    rng = np.random.default_rng(4)
    for gap in (40.0, 59.0, 80.0, 200.0, 500.0, 650.0):
        row = sigmax.log_softmax(np.concatenate([[gap], rng.normal(size=5)]))
        assert ulps(float(sigmax.logsumexp(row)), Row(row).logsumexp, np.float64) <= 1


@pytest.mark.parametrize("classes", [40, 300, 5000])
def test_a_float32_class_ahead_of_many_keeps_its_logarithm_down_to_the_smallest_number(classes):
    for gap in (95.0, 101.0, 105.0, 108.0, 111.0):
        row = np.array([gap] + [0.0] * (classes - 1), np.float32)
        true = Row(row).log_softmax(0)
        for x in (row, np.tile(row, (40, 1))):
            for got in np.atleast_2d(sigmax.log_softmax(x))[:, 0]:
                assert ulps(float(got), true, np.float32) <= 0.51


def test_a_small_part_of_a_distance_beyond_the_doubles_is_a_finite_loss():
    # 65504 and the like: the label's part is taken before the exponent is out of range
    cases = [
        ([9e307, -9e307], [0.5, 0.5], 1.0, 0.0),
        ([9e307, -9e307], [1 - 1e-10, 1e-10], 1.0, 0.0),
        ([9e307, -9e307, 3e307], [0.25, 0.5, 0.25], 1.0, 0.25),
        ([1.0, -1.0], [1 - 1e-8, 1e-8], 1e-308, 0.0),
        ([1.0, 0.57, -1e300], [1.0, 0.0, 1e-300], 1e-290, 0.0),
        ([1e300, 0.57, -1e300], [1.0, 5e-300, 1e-300], 1e-290, 0.0),
    ]
    for x, y, t, smoothing in cases:
        q = [Fraction(1 - smoothing) * Fraction(v) + Fraction(smoothing) / len(x) for v in y]
        wanted = sum(p * (Fraction(max(x)) - Fraction(v)) for p, v in zip(q, x, strict=True)) / Fraction(t)
        got = sigmax.cross_entropy(x, y, temperature=t, label_smoothing=smoothing)
        assert abs(Fraction(float(got)) - wanted) <= Fraction(np.spacing(float(wanted))), (x, y, t)
        assert sigmax.cross_entropy([x, [0.0] * len(x)], [y, y], temperature=t, label_smoothing=smoothing)[0] == got
    assert sigmax.cross_entropy([9e307, -9e307], 1) == np.inf
    assert sigmax.cross_entropy([9e307, -np.inf], [0.5, 0.5]) == np.inf


def test_a_far_class_changes_nothing_at_tiny_temperatures():
    for far in (-1e300, -np.finfo(np.float64).max):
        for function in (sigmax.logit_softmax, sigmax.log_softmax, sigmax.softmax):
            for complement in (False, True) if function is not sigmax.logit_softmax else (False,):
                options = dict(temperature=1e-290) | (dict(complement=True) if complement else {})
                got = function([1.0, 0.57, far], **options)
                np.testing.assert_array_equal(got, function([1.0, 0.57, -np.inf], **options))
        g = np.array([1.1, 3.3, 2.2, 0.0])
        pulled = softmax_pullback([0, 0, 0, far], g, temperature=1e-300)
        np.testing.assert_array_equal(pulled, softmax_pullback([0, 0, 0, -np.inf], g, temperature=1e-300))
        np.testing.assert_allclose(pulled[:3], (g[:3] - 2.2) / 3 / 1e-300, rtol=0, atol=1e285)
    assert sigmax.logit_softmax([1.0, 0.57, -1e300], temperature=1e-290)[0] == pytest.approx(0.43 / 1e-290, rel=1e-15)


def test_unit_weights_and_equal_shares_keep_every_digit():
    for x in (1e-56, 1e-50, -1e-310, 1e-100, 0.0, 3.0):
        assert sigmax.logsumexp([x], weights=[1.0]) == x
        assert sigmax.logsumexp([x, x], weights=[0.5, 0.5]) == x
        assert sigmax.logsumexp([x] * 300, weights=[1 / 4096] * 300) == pytest.approx(x + np.log(300 / 4096), rel=1e-15)


def test_the_slope_of_two_classes_keeps_its_digits_below_the_smallest_normal_number():
    for x, wanted in ((4e-323, 1e-323), (1e-320, 2.5e-321), (-1e-320, -2.5e-321), (1e-30, 2.5e-31), (1e-9, 2.5e-10)):
        assert sigmax.binary_cross_entropy_and_grad(x, 0.5)[1] == pytest.approx(wanted, rel=1e-15, abs=0)
