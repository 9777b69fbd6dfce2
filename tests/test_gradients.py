"""Gradients against exact ones, where the usual formulas cancel to 0, in PyTorch and JAX."""

import numpy as np
import pytest
from reference import FORMATS, Row, exact, ulps

import sigmax
from sigmax.host.gradients import log_softmax_pullback, softmax_pullback

RNG = np.random.default_rng(11)
# confident rows: the gradient of a framework's own softmax is 0 in all of them, as 1 - p is
CONFIDENT = [
    np.array([50.0, 0.0, -3.0]),
    np.array([0.0, 400.0]),
    np.array([38.0, 1.0, 0.5, -2.0, 0.25]),
    np.array([700.0, 3.0, 2.0, -np.inf]),
]
USUAL = [RNG.normal(size=k) * s for k in (2, 3, 10, 40) for s in (0.1, 3, 30)]


def exact_gradients(x, temperature=1.0):
    """The derivatives of softmax and log_softmax of the first class by every score, and of the cross-entropy with it as label."""
    row = Row(x, temperature)
    t = exact(temperature)
    p, q = [row.softmax(k) for k in range(len(x))], [row.softmax_complement(k) for k in range(len(x))]
    first = int(np.argmax(x))
    soft = [p[first] * (q[first] if k == first else -p[k]) / t for k in range(len(x))]
    log = [(q[first] if k == first else -p[k]) / t for k in range(len(x))]
    return first, soft, log


def worst(got, wanted, x):
    return max(
        ulps(g, w, np.float64) for g, w, score in zip(np.asarray(got), wanted, x, strict=True) if score != -np.inf
    )


@pytest.mark.parametrize("temperature", [1.0, 0.7, 3.0])
def test_pullbacks_of_the_core_are_exact_to_the_last_digits(temperature):
    for x in CONFIDENT + USUAL:
        first, soft, log = exact_gradients(x, temperature)
        g = (np.arange(len(x)) == first).astype(float)
        assert worst(softmax_pullback(x, g, temperature=temperature), soft, x) <= 1.5
        assert worst(log_softmax_pullback(x, g, temperature=temperature), log, x) <= 1.5
        assert softmax_pullback(x, g, temperature=temperature)[x == -np.inf].tolist() == [0.0] * int(
            (x == -np.inf).sum()
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pullbacks_of_any_gradient(dtype):
    """Also where terms of both signs cancel, and for rows of all shapes."""
    bound = 2 if dtype == "float64" else 0.51
    for k in (1, 2, 5, 17, 200, 300):
        x = (RNG.normal(size=k) * 5).astype(dtype)
        g = RNG.normal(size=k).astype(dtype)
        row = Row(x)
        cotangent = [exact(v) for v in g]
        true_soft, true_log = row.softmax_pullback(cotangent), row.log_softmax_pullback(cotangent)
        soft, log = softmax_pullback(x, g), log_softmax_pullback(x, g)
        assert soft.dtype == log.dtype == np.dtype(dtype)
        for i in range(k):
            if k == 1:
                assert soft[0] == log[0] == 0
                continue
            assert ulps(soft[i], true_soft[i], dtype) <= bound
            assert ulps(log[i], true_log[i], dtype) <= bound


def test_pullbacks_do_not_depend_on_layout_and_masks_are_not_read():
    x, g = RNG.normal(size=(40, 30)) * 4, RNG.normal(size=(40, 30))
    for pull in (softmax_pullback, log_softmax_pullback):
        whole = pull(x, g)
        np.testing.assert_array_equal(pull(np.asfortranarray(x), g), whole)
        np.testing.assert_array_equal(pull(x.T, g.T, axis=0), whole.T)
        np.testing.assert_array_equal(pull(x[7], g[7]), whole[7])
        mask = RNG.random(x.shape) > 0.3
        mask[3] = False
        clean = pull(np.where(mask, x, -np.inf), g)
        dirty = pull(np.where(mask, x, np.nan), np.where(mask, g, np.nan), where=mask)
        np.testing.assert_array_equal(dirty, clean)
        assert (clean[~mask] == 0).all()
        assert np.isfinite(clean).all()
    assert np.isnan(softmax_pullback([np.nan, 1.0], np.ones(2))).all()
    assert softmax_pullback([np.inf, 1.0, 2.0], np.array([1.0, 2.0, 4.0])).tolist() == [0, 0, 0]


def _torch_gradients(x):
    import torch

    def of(function):
        scores = torch.tensor(x, requires_grad=True)
        function(scores).backward()
        return scores.grad.numpy()

    return of


def _jax_gradients(x):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    return lambda function: np.asarray(jax.jit(jax.grad(function))(jnp.asarray(x)))


@pytest.mark.parametrize("gradients", [_torch_gradients, _jax_gradients], ids=["PyTorch", "JAX"])
def test_gradients_of_confident_rows(gradients):
    """Within 3 units in the last place, where torch and JAX themselves give 0."""
    for x in CONFIDENT:
        first, soft, log = exact_gradients(x)
        of = gradients(x)
        assert worst(of(lambda s, k=first: sigmax.softmax(s)[k]), soft, x) <= 3
        assert worst(of(lambda s, k=first: sigmax.log_softmax(s)[k]), log, x) <= 3
        assert worst(of(lambda s, k=first: sigmax.cross_entropy(s, k)), [-v for v in log], x) <= 3
        assert worst(of(lambda s, k=first: sigmax.softmax(s, complement=True)[k]), [-v for v in soft], x) <= 3
        row = Row(x)
        p = [row.softmax(k) for k in range(len(x))]
        assert worst(of(sigmax.logsumexp), p, x) <= 3


@pytest.mark.parametrize("gradients", [_torch_gradients, _jax_gradients], ids=["PyTorch", "JAX"])
def test_gradients_of_one_logit(gradients):
    for z in (-700.0, -40.0, -1.5, 0.0, 0.3, 40.0, 400.0):
        e = (-exact(abs(z))).exp()
        wanted = {
            "sigmoid": e / (1 + e) ** 2,
            "log_sigmoid": e / (1 + e) if z > 0 else 1 / (1 + e),
            "softplus": 1 / (1 + e) if z > 0 else e / (1 + e),
        }
        of = gradients(np.array([z]))
        for name, value in wanted.items():
            assert ulps(of(lambda s, name=name: getattr(sigmax, name)(s)[0])[0], value, np.float64) <= 3, (name, z)
        loss = of(lambda s: sigmax.binary_cross_entropy(s, 1.0)[0])[0]
        assert ulps(loss, -(e / (1 + e) if z > 0 else 1 / (1 + e)), np.float64) <= 3, z


@pytest.mark.parametrize("gradients", [_torch_gradients, _jax_gradients], ids=["PyTorch", "JAX"])
def test_gradients_are_finite_at_infinity_and_under_masks(gradients):
    none = np.full(3, -np.inf)
    for function in (sigmax.softmax, sigmax.log_softmax):
        assert gradients(none)(lambda s, f=function: f(s)[0] * 0 + f(s)[1]).tolist() in ([0, 0, 0], [0.0, 0.0, 0.0])
    assert gradients(none)(sigmax.logsumexp).tolist() == [0, 0, 0]
    some = np.array([1.0, np.nan, -np.inf, 2.0])
    where = np.array([True, False, True, True])
    for function in (sigmax.softmax, sigmax.log_softmax):
        got = gradients(some)(lambda s, f=function: f(s, where=where)[0])
        assert np.isfinite(got).all()
        assert got[1] == got[2] == 0
        assert got[0] > 0 > got[3]


def test_the_formats_are_those_of_the_reference():
    assert set(FORMATS) >= {"float32", "float64"}


def units_off(narrow, wide):
    """How far results of float32 are from those of float64, in units in their last place."""
    unit = np.spacing(np.maximum(np.abs(wide).astype(np.float32), np.float32(1e-45))).astype(np.float64)
    return np.abs(narrow - wide) / unit


@pytest.mark.parametrize("classes", [3, 100, 1000])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_gradients_keep_their_digits_where_labels_are_the_probabilities(classes, temperature):
    """All that is left is what the labels were rounded by."""
    x = (np.random.default_rng(classes).normal(size=(30_000 // classes, classes)) * 8).astype(np.float32)
    q = sigmax.softmax(x, temperature=temperature)
    found, wanted = (
        (
            sigmax.cross_entropy_and_grad(of, q.astype(of.dtype), temperature=temperature)[1],
            log_softmax_pullback(of, q.astype(of.dtype), temperature=temperature),
        )
        for of in (x, x.astype(np.float64))
    )
    for narrow, wide in zip(found, wanted, strict=True):
        assert units_off(narrow, wide).max() <= 0.51


@pytest.mark.parametrize("classes", [3, 100, 1000])
def test_confident_labels_keep_the_digits_of_what_they_lack(classes):
    rng = np.random.default_rng(classes)
    x = (rng.normal(size=(2000, classes)) * 2).astype(np.float32)
    q = np.zeros_like(x)
    q[:, 1] = np.exp2(-rng.integers(18, 25, len(x)))
    q[:, 0] = 1 - q[:, 1]
    x[:, 0] += 15
    for smoothing in (0.0, 1e-6, 0.1):
        loss, slope = sigmax.cross_entropy_and_grad(x, q, label_smoothing=smoothing)
        wide_loss, wide_slope = sigmax.cross_entropy_and_grad(
            x.astype(float), q.astype(float), label_smoothing=smoothing
        )
        assert units_off(loss, wide_loss).max() <= 0.51
        assert units_off(slope, wide_slope).max() <= 0.51
        np.testing.assert_array_equal(sigmax.cross_entropy(x, q, label_smoothing=smoothing), loss)
