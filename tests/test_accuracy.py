"""The accuracy bars, over stratified and adversarial inputs, against exact values."""

import numpy as np
import pytest
from family import BFLOAT16
from reference import FORMATS, LINKS, Row, exact, signed_logsumexp, ulps

import sigmax

BARS = {np.float16: 0.5, BFLOAT16.type: 0.5, np.float32: 0.5, np.float64: 1.0}  # 0.5: correctly rounded
FLOATS = [np.float32, np.float64]


def link_inputs(name, dtype, rng, n=2000):
    digits, smallest = FORMATS[np.dtype(dtype).name]
    tiny = 0.69 * (digits - smallest)
    if name in ("logit", "odds"):
        p = [
            rng.random(n),
            0.5 + rng.normal(size=n) * 10.0 ** -rng.integers(1, 17, n),
            np.exp(-rng.random(n) * tiny),
            1 - np.exp(-rng.random(n) * 36),
        ]
        p = np.concatenate(p).astype(dtype)
        return p[(p > 0) & (p < 1)]
    if name == "from_odds":
        return (
            np.exp(rng.uniform(-tiny, min(tiny * 0.85, 700), 3 * n))
            .clip(max=np.inf if smallest < -14 else 6e4)
            .astype(dtype)
        )
    if name in ("log1mexp", "logitexp"):
        near = np.log(2) + rng.normal(size=n) * 10.0 ** -rng.integers(1, 17, n)
        x = np.concatenate([rng.random(n) * 3, near, np.exp(rng.uniform(-tiny, np.log(tiny), n))])
        x = -x.astype(dtype)
        return x[x < 0]
    x = [
        rng.normal(size=n) * 5,
        rng.uniform(-tiny - 3, tiny + 3, n),
        rng.normal(size=n) * 10.0 ** -rng.integers(1, 20, n),
    ]
    return np.concatenate(x).astype(dtype)


@pytest.mark.parametrize("dtype", BARS, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("name", LINKS)
def test_elementwise_functions_meet_their_bar(name, dtype):
    x = link_inputs(name, dtype, np.random.default_rng(1))
    y = getattr(sigmax, name)(x)
    errors = [ulps(b, LINKS[name](exact(a)), dtype) for a, b in zip(x, y, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= BARS[dtype], f"{name}({x[worst]!r}) = {y[worst]!r} is {errors[worst]:.4f} ulp off"


def rows_of(kind, rng, n, classes, scale, dtype):
    x = rng.normal(size=(n, classes)) * scale
    if kind == "confident":
        x[:, classes // 2] += 6 * scale + rng.uniform(5, 40)
    elif kind == "ties":
        x = np.round(x)
    return x.astype(dtype)


@pytest.mark.parametrize("temperature", [1.0, 0.37, 25.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_row_functions_meet_their_bars(dtype, temperature):
    bars = (
        {"softmax": 1.1, "log_softmax": 0.8, "logsumexp": 0.51}
        if dtype == np.float32
        else {"softmax": 1.42, "log_softmax": 1.2, "logsumexp": 1}
    )
    rng = np.random.default_rng(2)
    worst = dict.fromkeys(bars, (0.0, ""))
    for classes, n in ((1, 2), (2, 120), (3, 80), (10, 40), (33, 6), (128, 2), (256, 1), (257, 2), (1000, 1)):
        for scale in (0.1, 3, 30, 200):
            for kind in ("spread", "confident", "ties"):
                x = rows_of(kind, rng, n, classes, scale, dtype)
                p, l, s = (
                    sigmax.softmax(x, temperature=temperature),
                    sigmax.log_softmax(x, temperature=temperature),
                    sigmax.logsumexp(x),
                )
                for i, row in enumerate(x):
                    true = Row(row, temperature)
                    picked = range(classes) if classes < 40 else rng.integers(0, classes, 25)
                    found = [("softmax", p[i, k], true.softmax(k)) for k in picked]
                    found += [("log_softmax", l[i, k], true.log_softmax(k)) for k in picked]
                    if temperature == 1:
                        found.append(("logsumexp", s[i], true.logsumexp))
                    for name, got, value in found:
                        error = ulps(got, value, dtype)
                        if error > worst[name][0]:
                            worst[name] = (error, f"{got!r} in {kind} row {row[:6]} of {classes}")
    for name, bar in bars.items():
        assert worst[name][0] <= bar, f"{name}: {worst[name]}"


@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_entries_of_two_and_three_classes_stay_in_the_bar_over_many_rows(dtype):
    """Two float32 classes against float64 arithmetic that is right to 2^-45; doubles against the exact value, fewer."""
    rng = np.random.default_rng(3)
    if dtype == np.float32:
        for classes in (2, 3, 10):
            x = (
                rng.normal(size=(300_000 // classes, classes)) * rng.choice([0.5, 3, 20], (300_000 // classes, 1))
            ).astype(np.float32)
            wide = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True).astype(np.float64))
            true = wide / wide.sum(axis=1, keepdims=True)
            error = np.abs(sigmax.softmax(x).astype(np.float64) - true) / np.spacing(true.astype(np.float32)).astype(
                np.float64
            )
            # spacing() takes the binade of the rounded value, half an ulp off only at a power of two
            assert error.max() <= 1.42, (
                f"{classes} classes: {error.max():.3f} ulp in row {x[error.max(axis=1).argmax()]}"
            )
    else:
        x = rng.normal(size=(2000, 2)) * 4
        p = sigmax.softmax(x)
        error = max(ulps(p[i, k], Row(x[i]).softmax(k), dtype) for i in range(len(x)) for k in (0, 1))
        assert error <= 1.42


def test_log_softmax_of_a_confident_row_is_not_zero():
    for dtype in FLOATS:
        x = np.array([80.0, 0.0, -3.0], dtype)
        got = sigmax.log_softmax(x)
        assert got[0] < 0
        assert ulps(got[0], Row(x).log_softmax(0), dtype) <= 1


def test_small_terms_beside_a_large_one_are_not_lost():
    """Nine classes of 4e-8 each change the largest one's float32 probability by six ulp."""
    x = np.array([0.0] + [-17.0] * 9, np.float32)
    p = sigmax.softmax(x)
    true = Row(x)
    assert all(ulps(p[k], true.softmax(k), np.float32) <= 1.5 for k in range(10))
    assert p[0] < 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_results_below_the_smallest_normal_number_are_kept(dtype):
    low = -100.0 if dtype == np.float32 else -740.0
    assert 0 < sigmax.sigmoid(dtype(low)) < np.finfo(dtype).tiny
    assert 0 < sigmax.softplus(dtype(low)) < np.finfo(dtype).tiny
    assert 0 < sigmax.softmax(np.array([0, low], dtype))[1] < np.finfo(dtype).tiny
    assert -np.finfo(dtype).tiny < sigmax.log_softmax(np.array([0, low], dtype))[0] < 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_sum_of_probabilities_is_one_to_the_last_digit_of_its_logarithm(dtype):
    """The logsumexp of log-probabilities is what their roundings leave: far below where two-term arithmetic ends."""
    rng = np.random.default_rng(4)
    for classes in (2, 10, 300):
        l = sigmax.log_softmax((rng.normal(size=(20, classes)) * 3).astype(dtype))
        for row, got in zip(l, sigmax.logsumexp(l), strict=True):
            assert ulps(got, Row(row).logsumexp, dtype) <= 0.51
        twice, sign = sigmax.logsumexp(l, weights=np.full(classes, -1.0), return_sign=True)
        np.testing.assert_array_equal(twice, sigmax.logsumexp(l))
        assert (sign == -1).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_logit_of_a_class_as_likely_as_all_others(dtype):
    rng = np.random.default_rng(5)
    for classes in (2, 3, 10, 300):
        for temperature in (1.0, 0.37):
            x = rng.normal(size=(20, classes)).astype(dtype)
            x[:, 0] = temperature * sigmax.logsumexp(x[:, 1:] / dtype(temperature))
            got = sigmax.logit_softmax(x, temperature=temperature)
            for i, row in enumerate(x):
                true = Row(row, temperature)
                assert ulps(got[i, true.first], true.logit_softmax(true.first), dtype) <= 0.6


def test_weights_that_cancel():
    rng = np.random.default_rng(6)
    for scale in (1, 1e-6, 1e-12):
        x = np.array([0.0, scale])
        for w in ([1, -1], [1, -1 + 1e-9], [3, -2], [1.5, -0.5]):
            value, sign = sigmax.logsumexp(x, weights=w, return_sign=True)
            true, true_sign = signed_logsumexp(x, w)
            assert ulps(value, true, np.float64) <= 1
            assert sign == true_sign
    for _ in range(200):
        x, w = rng.normal(size=5) * 3, rng.normal(size=5)
        value, sign = sigmax.logsumexp(x, weights=w, return_sign=True)
        true, true_sign = signed_logsumexp(x, w)
        assert ulps(value, true, np.float64) <= 0.6
        assert sign == true_sign
    zero, sign = sigmax.logsumexp([3.0, 3.0], weights=[2, -2], return_sign=True)
    assert zero == -np.inf
    assert sign == 0
