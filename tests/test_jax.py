"""JAX: derivatives against differences, jit and vmap."""

import numpy as np
import pytest

import sigmax

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

jax.config.update("jax_enable_x64", True)

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
T = jnp.array([1.5, 0.7, 2.0])
Y = jnp.array([0, 1, 2])
TWICE = {"softmax", "log_softmax", "cross_entropy_and_grad"}
LINKS = ["sigmoid", "logit", "odds", "from_odds", "log_sigmoid", "softplus", "log1mexp", "logitexp"]
ROWS = {
    "softmax": lambda x, t: sigmax.softmax(x, temperature=t),
    "softmax complement": lambda x, t: sigmax.softmax(x, temperature=t, complement=True),
    "log_softmax": lambda x, t: sigmax.log_softmax(x, temperature=t),
    "log_softmax complement": lambda x, t: sigmax.log_softmax(x, temperature=t, complement=True),
    "logit_softmax": lambda x, t: sigmax.logit_softmax(x, temperature=t),
    "logsumexp": lambda x, t: sigmax.logsumexp(x * t[:, None]),
    "logsumexp, weights": lambda x, t: sigmax.logsumexp(x, weights=t[:, None] * jnp.ones(4), return_sign=True)[0],
    "cross_entropy": lambda x, t: sigmax.cross_entropy(x, Y, temperature=t, label_smoothing=0.1),
    "cross_entropy_and_grad": lambda x, t: sigmax.cross_entropy_and_grad(x, Y, temperature=t, label_smoothing=0.1),
    "binary_cross_entropy_and_grad": lambda x, t: sigmax.binary_cross_entropy_and_grad(
        x, jnp.abs(jnp.tanh(x * t[:, None]))
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_derivatives_over_rows(name):
    """Forward and backward, and of some the second ones."""
    check_grads(ROWS[name], (X, T), order=2 if name in TWICE else 1)
    whole = jax.jit(ROWS[name])(X, T)
    each = jax.vmap(lambda x, t, y: ROWS[name](x[None], t[None]) if "cross" not in name else None)(X, T, Y)
    if "cross" not in name:
        np.testing.assert_allclose(np.asarray(each)[:, 0], np.asarray(whole), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", LINKS)
def test_derivatives_of_the_elementwise_functions(name):
    z = jnp.linspace(0.3, 0.7, 5)
    check_grads(getattr(sigmax, name), (-z if name in ("log1mexp", "logitexp") else z,), order=1)


def test_labels_inside_jit():
    """Their values are unknown there: a wrong one cannot raise, and is NaN instead of a loss."""
    loss = jax.jit(sigmax.cross_entropy)(X, jnp.array([0, 4, 2]))
    assert np.isnan(np.asarray(loss)).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="label 4 in row 1 is not a class"):
        sigmax.cross_entropy(X, jnp.array([0, 4, 2]))
    with pytest.raises(TypeError, match="leave out= away"):
        sigmax.softmax(X, out=np.empty((3, 4)))


def test_where_jax_gives_nan():
    none = jnp.full(3, -jnp.inf)
    assert np.isnan(np.asarray(jax.grad(lambda x: jax.nn.softmax(x)[0])(none))).all()
    assert jax.grad(lambda x: sigmax.softmax(x)[0])(none).tolist() == [0, 0, 0]
    assert jax.jit(sigmax.softmax)(none).tolist() == [0, 0, 0]
    assert sigmax.softmax(jnp.array([1.0, jnp.inf])).tolist() == [0, 1]
    assert sigmax.softmax(jnp.array([-128, 127], jnp.int8))[1] == 1


def test_without_float64():
    """JAX's own default: what is double elsewhere is float there."""
    with jax.enable_x64(False):
        assert sigmax.softmax(jnp.array([1, 2, 3])).dtype == jnp.float32
        x = jnp.array([50.0, 0.0, 1.0])
        np.testing.assert_allclose(
            np.asarray(sigmax.log_softmax(x)), sigmax.log_softmax(np.asarray(x, np.float64)), rtol=4e-7
        )
        half = jnp.array([3.0, 1.0], jnp.bfloat16)
        assert jax.grad(lambda x: sigmax.softmax(x)[0])(half).dtype == jnp.bfloat16


CALLS = {
    "softmax": lambda x, y, m: sigmax.softmax(x, where=m, temperature=jnp.array([1.0, 2.0], x.dtype)),
    "log_softmax": lambda x, y, m: sigmax.log_softmax(x, complement=True),
    "logit_softmax": lambda x, y, m: sigmax.logit_softmax(x),
    "logsumexp": lambda x, y, m: sigmax.logsumexp(x, where=m),
    "cross_entropy": lambda x, y, m: sigmax.cross_entropy(x, y, label_smoothing=0.1),
    "cross_entropy_and_grad": lambda x, y, m: sigmax.cross_entropy_and_grad(x, y)[1],
    "binary_cross_entropy": lambda x, y, m: sigmax.binary_cross_entropy(x, m),
    "sigmoid": lambda x, y, m: sigmax.sigmoid(x),
    "log1mexp": lambda x, y, m: sigmax.log1mexp(-x),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("jax_debug_nans", True),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_numpy_dtype_promotion", "strict"),
        ("jax_disable_jit", True),
    ],
)
def test_strict_settings_are_met(name, option, value):
    """Finite results without a NaN on the way, ranks and types that fit without promotion, and no jit."""
    x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
    y, mask = jnp.array([0, 2]), jnp.array([[True, True, False]])
    wanted = CALLS[name](x, y, mask)
    before = getattr(jax.config, option)
    jax.config.update(option, value)
    try:
        got = CALLS[name](x, y, mask)
    finally:
        jax.config.update(option, before)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
