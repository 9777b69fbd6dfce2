"""JAX: derivatives against differences, jit and vmap."""

import ctypes
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from family import LINKS

import sigmax
from sigmax.family import names_of

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax import export  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

from sigmax.arrays.foreign import xla  # noqa: E402
from sigmax.host.table import xla_handler  # noqa: E402

jax.config.update("jax_enable_x64", True)

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
T = jnp.array([1.5, 0.7, 2.0])
Y = jnp.array([0, 1, 2])
TWICE = {"log_softmax"}  # of the others, test_higher_derivatives_where_scores_tie
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


def test_an_option_that_there_is_not_is_told_by_the_function():
    with pytest.raises(TypeError, match=r"^logsumexp\(\) got an unexpected keyword argument 'b'"):
        sigmax.logsumexp(X, b=1)


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


@pytest.mark.parametrize("x", [[1.0, 2.0, 3.0], [50.0, 0.0, 1.0], [1000.0, 0.0, -jnp.inf], [0.0, 0.0, 0.0]])
@pytest.mark.parametrize(
    "name",
    [
        "softmax",
        "softmax, masked",
        "log_softmax",
        "logit_softmax",
        "log complement",
        "logsumexp",
        "loss",
        "soft",
        "slope",
    ],
)
def test_gradients_meet_no_nan_on_the_way(name, x):
    mask, soft = jnp.array([True, True, False]), jnp.array([0.5, 0.5, 0.0])
    function = {
        "softmax": sigmax.softmax,
        "softmax, masked": lambda v: sigmax.softmax(v, where=mask, temperature=2.0),
        "log_softmax": lambda v: sigmax.log_softmax(v)[:2],
        "logit_softmax": lambda v: sigmax.logit_softmax(v)[:2],
        "log complement": lambda v: sigmax.log_softmax(v, complement=True),
        "logsumexp": lambda v: sigmax.logsumexp(v, where=mask),
        "loss": lambda v: sigmax.cross_entropy(v, 0),
        "soft": lambda v: sigmax.cross_entropy(v, soft),
        "slope": lambda v: sigmax.cross_entropy_and_grad(v, 1)[1],
    }[name]
    wanted = jax.grad(lambda v: function(v).sum())(jnp.array(x))
    jax.config.update("jax_debug_nans", True)
    try:
        for grad in (jax.grad(lambda v: function(v).sum()), jax.jit(jax.grad(lambda v: function(v).sum()))):
            np.testing.assert_allclose(grad(jnp.array(x)), wanted, rtol=1e-12, atol=1e-300)
    finally:
        jax.config.update("jax_debug_nans", False)
    assert np.isfinite(np.asarray(wanted)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("top", [0.0, 5.0, 40.0, 200.0, 800.0])
def test_a_confident_class_keeps_the_gradients_of_its_log_odds(top, dtype):
    x = jnp.array([top, 0.0, 1.0, -2.0], dtype)
    others = np.exp([0.0, 1.0, -2.0]) / np.exp([0.0, 1.0, -2.0]).sum()
    share = 1 / (1 + np.exp([0.0, 1.0, -2.0] - np.float64(top)).sum())
    logit, complement = (
        jax.jacobian(f)(x)[0] for f in (sigmax.logit_softmax, lambda v: sigmax.log_softmax(v, complement=True))
    )
    eps = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(logit, [1, *-others], rtol=eps)
    np.testing.assert_allclose(complement, share * np.array([-1, *others]), rtol=eps)
    alone = jnp.array([1.0, -jnp.inf], dtype)
    assert jax.jacobian(sigmax.logit_softmax)(alone).tolist() == [[0, 0], [0, 0]]


def test_scores_over_several_devices():
    """In a process of its own, which has four."""
    code = """
import jax, jax.numpy as jnp, numpy as np, sigmax
from jax.sharding import NamedSharding, PartitionSpec
mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
plain = np.arange(24.0, dtype=np.float32).reshape(8, 3) % 5
y, t, mask = np.arange(8) % 3, np.linspace(0.5, 2, 8).astype(np.float32), np.arange(24).reshape(8, 3) % 4 > 0
x = jax.device_put(plain, NamedSharding(mesh, PartitionSpec("d")))
calls = [
    lambda v: sigmax.softmax(v, temperature=t),
    lambda v: sigmax.log_softmax(v, where=mask),
    lambda v: sigmax.cross_entropy(v, y, temperature=t),
    lambda v: sigmax.cross_entropy_and_grad(v, y)[1],
    lambda v: jax.grad(lambda u: sigmax.cross_entropy(u, y).mean())(v),
]
calls.append(lambda v: sigmax.sigmoid(v))
for call in calls:
    for run in (call, jax.jit(call)):
        got = run(x)
        assert len(got.sharding.device_set) == 4, got.sharding
        np.testing.assert_array_equal(np.asarray(got), np.asarray(run(jnp.asarray(plain))))
    assert "all-gather" not in jax.jit(call).lower(x).compile().as_text()
across = jax.device_put(plain[:, :2].repeat(2, 1), NamedSharding(mesh, PartitionSpec(None, "d")))
np.testing.assert_array_equal(np.asarray(jax.jit(sigmax.softmax)(across)), sigmax.softmax(plain[:, :2].repeat(2, 1)))
got = jax.pmap(lambda v: sigmax.softmax(v, temperature=2.0))(plain.reshape(4, 2, 3))
np.testing.assert_allclose(got.reshape(8, 3), sigmax.softmax(plain, temperature=2.0), rtol=1e-6)
spec = PartitionSpec("d")
loss = jax.shard_map(lambda v: sigmax.cross_entropy(v, jnp.zeros(2, int)), mesh=mesh, in_specs=spec, out_specs=spec)(x)
np.testing.assert_array_equal(loss, sigmax.cross_entropy(plain, np.zeros(8, int)))
mesh = jax.make_mesh((4,), ("d",))  # an explicit one
wide, soft = plain[:, :2].repeat(2, 1), jnp.full((8, 4), 0.25)
functions = [
    lambda v: sigmax.softmax(v) ** 2, sigmax.logit_softmax, lambda v: sigmax.softmax(v, axis=(1, 0)) ** 2,
    lambda v: sigmax.log_softmax(v, axis=0), lambda v: sigmax.cross_entropy(v, soft), sigmax.logsumexp,
]
with jax.set_mesh(mesh):
    for spec in (PartitionSpec("d"), PartitionSpec(None, "d")):
        spread = jax.device_put(wide, NamedSharding(mesh, spec))
        for function in functions:
            got, wanted = (jax.jit(jax.grad(lambda v: function(v).sum()))(v) for v in (spread, jnp.asarray(wide)))
            np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-5, atol=1e-6)
    try:
        sigmax.cross_entropy(jax.device_put(wide, NamedSharding(mesh, PartitionSpec("d"))), jnp.full(8, 99))
    except ValueError as error:
        assert "label 99 in row 0 is not a class" in str(error)
    else:
        raise AssertionError
"""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


def test_shapes_may_be_symbols():
    (rows,) = export.symbolic_shape("rows")
    scores, mask, labels = (
        jax.ShapeDtypeStruct(s, d) for s, d in (((rows, 3), "float32"), ((rows, 3), bool), ((rows,), "int32"))
    )
    made = export.export(jax.jit(lambda x, m: sigmax.softmax(x, where=m)))(scores, mask)
    x, m = np.array([[1, 2, 3], [4, 4, 0]], np.float32), np.array([[True, True, False]] * 2)
    np.testing.assert_allclose(made.call(x, m), sigmax.softmax(x, where=m), rtol=1e-6)
    made = export.export(jax.jit(lambda x, m: sigmax.logsumexp(x, where=m)))(scores, jax.ShapeDtypeStruct((3,), bool))
    np.testing.assert_allclose(made.call(x, m[0]), sigmax.logsumexp(x, where=m[0]), rtol=1e-6)
    made = export.export(jax.jit(sigmax.cross_entropy))(scores, labels)
    np.testing.assert_allclose(made.call(x, np.array([0, 1], np.int32)), sigmax.cross_entropy(x, [0, 1]), rtol=1e-6)


def test_narrower_floats_are_refused():
    for kind in (jnp.float8_e4m3fn, jnp.float8_e5m2):
        with pytest.raises(TypeError, match="float8.* are not supported; pass bool, integers, float16"):
            sigmax.softmax(jnp.zeros(3, kind))
        with pytest.raises(TypeError, match="cannot hold probabilities"):
            sigmax.softmax(jnp.zeros(3), dtype=kind)


def test_a_ufunc_is_jitted_by_a_function_around_it():
    def sigmoid(v):
        return sigmax.sigmoid(v)

    x = jnp.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(jax.jit(sigmoid)(x), sigmax.sigmoid(np.asarray(x)), rtol=1e-12)


@pytest.mark.parametrize("x", [[0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]])
def test_higher_derivatives_where_scores_tie(x):
    """Against the textbook's formulas, which have no largest score to take apart."""
    x, y = jnp.array(x), 0

    def log_p(v):
        return v - jnp.log(jnp.exp(v).sum())

    pairs = [
        (sigmax.logsumexp, lambda v: jnp.log(jnp.exp(v).sum())),
        (lambda v: sigmax.softmax(v)[1], lambda v: jnp.exp(log_p(v))[1]),
        (lambda v: sigmax.log_softmax(v)[1], lambda v: log_p(v)[1]),
        (lambda v: sigmax.log_softmax(v, complement=True)[1], lambda v: jnp.log1p(-jnp.exp(log_p(v)))[1]),
        (lambda v: sigmax.logit_softmax(v)[1], lambda v: (log_p(v) - jnp.log1p(-jnp.exp(log_p(v))))[1]),
        (lambda v: sigmax.cross_entropy(v, y), lambda v: -log_p(v)[y]),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(
            jax.jit(jax.hessian(ours))(x), jax.jit(jax.hessian(theirs))(x), rtol=1e-9, atol=1e-12
        )
    third, wanted = (jax.jit(jax.jacfwd(jax.hessian(f)))(x) for f in pairs[-1])
    np.testing.assert_allclose(third, wanted, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logit_softmax"])
def test_at_temperature_0_results_are_steps(name):
    function = getattr(sigmax, name)
    assert jax.grad(lambda v: function(v, temperature=0.0)[2])(jnp.array([1.0, 2.0, 3.0])).tolist() == [0, 0, 0]


def test_labels_of_any_integer_type_and_classes_that_are_symbols():
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    try:
        for kind in (jnp.uint8, jnp.int8, jnp.uint32, jnp.int64):
            got = sigmax.cross_entropy(jnp.ones((2, 4)), jnp.array([0, 3], kind))
            np.testing.assert_allclose(got, np.log(4), rtol=1e-15)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "standard")
    rows, classes = export.symbolic_shape("rows, classes")
    made = export.export(jax.jit(sigmax.cross_entropy))(
        jax.ShapeDtypeStruct((rows, classes), "float32"), jax.ShapeDtypeStruct((rows,), "int32")
    )
    x = np.array([[1, 2, 3], [4, 4, 0]], np.float32)
    np.testing.assert_allclose(made.call(x, np.array([0, 1], np.int32)), sigmax.cross_entropy(x, [0, 1]), rtol=1e-6)


SPREAD = np.random.default_rng(3).normal(size=(6, 7)) * np.array([[0.01], [1], [10], [40], [120], [1e4]])
MASK = np.arange(42).reshape(6, 7) % 5 > 0
SOFT = np.exp(SPREAD / 100) / np.exp(SPREAD / 100).sum(axis=1, keepdims=True)
LABELS = np.arange(6) % 7
# Functions of an array library's `asarray`, of scores x: what they give must be NumPy's bits.
BITS = {
    **{f"{f}, temperature": lambda a, x, f=f: getattr(sigmax, f)(x, temperature=0.7) for f in names_of("per class")},
    **{f"{f}, masked": lambda a, x, f=f: getattr(sigmax, f)(x, where=a(MASK), axis=0) for f in names_of("per class")},
    "temperatures": lambda a, x: sigmax.softmax(x, temperature=a(np.array([0, 0.3, 1, 2, 50, np.inf], np.float32))),
    "temperatures of NumPy": lambda a, x: sigmax.log_softmax(x, temperature=np.linspace(0.3, 3, 6)),
    "complements": lambda a, x: sigmax.softmax(x, complement=True),
    "logarithms of complements": lambda a, x: sigmax.log_softmax(x, complement=True),
    "two axes": lambda a, x: sigmax.softmax(x.reshape(3, 2, 7), axis=(0, 2)),
    "another type": lambda a, x: sigmax.softmax(x, dtype="bfloat16" if x.dtype == "float32" else "float32"),
    "logsumexp": lambda a, x: sigmax.logsumexp(x, keepdims=True),
    "logsumexp, signed": lambda a, x: sigmax.logsumexp(x, weights=a(SOFT - 0.1).astype(x.dtype), return_sign=True),
    "cross_entropy": lambda a, x: sigmax.cross_entropy(x, a(LABELS), temperature=1.3, label_smoothing=0.1),
    "cross_entropy of soft labels": lambda a, x: sigmax.cross_entropy(x, a(SOFT.astype(np.float32))),
    "cross_entropy_and_grad": lambda a, x: sigmax.cross_entropy_and_grad(x, a(LABELS.astype(np.uint8)), where=a(MASK)),
    "binary_cross_entropy": lambda a, x: sigmax.binary_cross_entropy(x, a(SOFT.astype(np.float32))),
    "binary_cross_entropy_and_grad": lambda a, x: sigmax.binary_cross_entropy_and_grad(x, a(MASK)),
    **{f: lambda a, x, f=f: getattr(sigmax, f)(domain(f, x)) for f in LINKS},
}


def domain(name, x):
    """Return numbers that the function takes; by operations that are exact in any library."""
    signs = {"from_odds": 1, "log1mexp": -1, "logitexp": -1, "logit": 2**-15, "odds": 2**-15}
    return x if name not in signs else abs(x) * np.asarray(signs[name], x.dtype)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_compiled_code_has_the_bits_of_numpy(dtype, compiled):
    """Those of results below the smallest normal number, which XLA makes 0, among them."""
    x = SPREAD.astype(dtype)

    def all_of_them(v):
        return {name: call(jnp.asarray, v) for name, call in BITS.items()}

    with jax.enable_x64(dtype == "float64"):
        found = (jax.jit(all_of_them) if compiled else all_of_them)(jnp.asarray(x))
    for name, call in BITS.items():
        for a, b in zip(jax.tree.leaves(found[name]), jax.tree.leaves(call(np.asarray, x)), strict=True):
            assert a.dtype == b.dtype, name
            bits = f"u{b.itemsize}"
            np.testing.assert_array_equal(np.asarray(a).view(bits), b.view(bits), err_msg=name)


def test_every_way_of_running_has_these_bits():
    x = jnp.asarray(SPREAD, jnp.float32)
    wanted = sigmax.log_softmax(np.asarray(x), temperature=0.7)

    def call(v):
        return sigmax.log_softmax(v, temperature=0.7)

    ways = {
        "vmap": jax.vmap(call)(x),
        "vmap over the last axis": jax.vmap(call, in_axes=1, out_axes=1)(x.T.reshape(7, 6)).T,
        "scan": jax.lax.scan(lambda c, row: (c, call(row)), 0, x)[1],
        "checkpoint": jax.jit(jax.checkpoint(call))(x),
        "jvp": jax.jvp(call, (x,), (x,))[0],
        "ahead of time": jax.jit(call).lower(x).compile()(x),
    }
    with jax.disable_jit():
        ways["no jit"] = call(x)
    for way, got in ways.items():
        np.testing.assert_array_equal(np.asarray(got), wanted, err_msg=way)
    values = jax.vmap(sigmax.cross_entropy)(x, jnp.asarray(LABELS))
    np.testing.assert_array_equal(np.asarray(values), sigmax.cross_entropy(np.asarray(x), LABELS))
    values = jax.vmap(lambda row: sigmax.softmax(row, where=jnp.asarray(MASK[1])))(x)
    np.testing.assert_array_equal(np.asarray(values), sigmax.softmax(np.asarray(x), where=MASK[1]))


def test_code_that_is_exported_has_the_formulas():
    """It may run where nobody has imported sigmax."""
    x = jnp.asarray(SPREAD, jnp.float32)
    calls = {name: call for name, call in BITS.items() if name not in {*LINKS, "another type"}}
    made = export.export(jax.jit(lambda v: {name: call(jnp.asarray, v) for name, call in calls.items()}))(x)
    assert "custom_call" not in made.mlir_module()
    for name, found in made.call(x).items():
        wanted = calls[name](np.asarray, np.asarray(x))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=2e-5, atol=1e-37, err_msg=name)


def test_a_jax_that_does_not_take_the_core_has_the_formulas(monkeypatch):
    monkeypatch.setattr(xla, "_there", False)
    jax.clear_caches()
    x = jnp.asarray(SPREAD[:5], jnp.float32)
    assert "custom_call" not in jax.jit(sigmax.softmax).lower(x).as_text()
    np.testing.assert_allclose(sigmax.softmax(x), sigmax.softmax(np.asarray(x)), rtol=1e-6, atol=1e-37)
    jax.clear_caches()


@pytest.mark.parametrize("there", [True, False])
def test_what_cannot_be_refused_inside_jit_is_nan(there, monkeypatch):
    monkeypatch.setattr(xla, "_there", there)
    jax.clear_caches()
    x = jnp.array([1.0, 2.0, 3.0])
    for t in (-1.0, math.nan):
        for function in (sigmax.softmax, sigmax.log_softmax, sigmax.logit_softmax):
            assert np.isnan(jax.jit(lambda t, f=function: f(x, temperature=t))(t)).all()
        both = jax.jit(lambda t: sigmax.cross_entropy_and_grad(x, 1, temperature=t))(t)
        assert all(np.isnan(part).all() for part in both)
    for weight in (jnp.inf, -0.5):
        assert np.isnan(jax.jit(lambda w: sigmax.logsumexp(x, weights=w))(jnp.array([1.0, weight, 0.0])))
    signed = jax.jit(lambda w: sigmax.logsumexp(x, weights=w, return_sign=True)[0])(jnp.array([1.0, -0.5, 0.0]))
    assert np.isfinite(signed)
    wrong = jnp.array([5.0, -1.0, 0.5])
    assert np.isnan(jax.jit(lambda y: sigmax.cross_entropy(x, y))(wrong))
    assert np.isnan(jax.jit(lambda y: sigmax.binary_cross_entropy(x, y))(wrong)).tolist() == [True, True, False]
    jax.clear_caches()


def test_the_handler_tells_its_version_without_an_interface_to_ask():
    """As versions of JAX before 0.8 want to know it."""

    class About(ctypes.Structure):
        _fields_ = [
            ("sizes", ctypes.c_size_t * 3),
            ("major", ctypes.c_int),
            ("minor", ctypes.c_int),
            ("rest", ctypes.c_size_t * 2),
        ]

    class Asked(ctypes.Structure):
        _fields_ = [
            ("size", ctypes.c_size_t),
            ("kind", ctypes.c_int),
            ("next", ctypes.c_void_p),
            ("about", ctypes.c_void_p),
        ]

    about = About()
    about.minor = 77
    asked = Asked(ctypes.sizeof(Asked), 1, None, ctypes.addressof(about))
    call = (ctypes.c_void_p * 24)()
    call[1] = ctypes.addressof(asked)
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(pointer(xla_handler(), None))
    assert handler(ctypes.addressof(call)) is None
    assert (about.major, about.minor) == (0, 1)


def test_scores_of_numpy_beside_options_that_are_traced():
    """A temperature that is learned on scores that are known, a mask or weights that are worked out."""
    x, y = np.random.default_rng(5).normal(size=(40, 3)).astype(np.float32), np.arange(40) % 3

    def loss(t):
        return sigmax.cross_entropy(x, y, temperature=t).mean()

    value, slope = jax.value_and_grad(loss)(2.0)
    assert isinstance(value, jax.Array)
    above, below = (float(sigmax.cross_entropy(x.astype(float), y, temperature=t).mean()) for t in (2.001, 1.999))
    assert float(slope) == pytest.approx((above - below) / 0.002, rel=1e-4)
    masked = jax.jit(lambda w: sigmax.softmax(x, where=w))(x > 0)
    np.testing.assert_array_equal(masked, sigmax.softmax(x, where=x > 0))
    summed = jax.jit(lambda w: sigmax.logsumexp(x, weights=w))(abs(x))
    np.testing.assert_array_equal(summed, sigmax.logsumexp(x, weights=abs(x)))
    listed = jax.jit(lambda t: sigmax.softmax([1.0, 2.0], temperature=t))(2.0)
    np.testing.assert_array_equal(listed, sigmax.softmax([1.0, 2.0], temperature=2.0))
    assert type(sigmax.softmax(x, temperature=jnp.float32(2))) is np.ndarray  # whose value is known
