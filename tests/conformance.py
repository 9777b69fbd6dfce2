"""
The contract as a table of cases, and the libraries that must pass it.

A new library is one entry in `BACKENDS`; a new case one in `CASES`. `tests/test_conformance.py` runs every cell;
``python -m benchmarks conformance`` runs them too and writes the table in docs/conformance.md.
"""

import functools
import importlib
import math
import re
import warnings
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np
import pytest

import sigmax
from sigmax.family import entry_of, names_of

RNG = np.random.default_rng(7)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = {np.dtype(np.float16), BFLOAT16}
LINKS, PER_CLASS = names_of("elementwise"), names_of("per class")
INF, NAN = math.inf, math.nan


@dataclass(frozen=True, eq=False)
class Case:
    """A call: what the function is, its scores, its labels, its options; or the error it must raise."""

    name: str
    function: str
    x: Any
    y: Any = None
    options: dict = field(default_factory=dict)
    error: tuple | None = None  # the exception and what its message names

    def arguments(self):
        return [self.x] if self.y is None else [self.x, self.y]


def domain(function, x):
    if function in ("logit", "odds"):
        return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    if function == "from_odds":
        return np.abs(x)
    return -np.abs(x) if function in ("log1mexp", "logitexp") else x


def _cases():
    spread = RNG.normal(size=(5, 7)) * np.array([[0.1], [1], [5], [30], [150]])
    for dtype in (np.float64, np.float32, np.float16, BFLOAT16):
        name = np.dtype(dtype).name
        for f in LINKS:
            yield Case(f"elementwise, {name}", f, domain(f, spread).astype(dtype))
        for f in PER_CLASS:
            yield Case(f"rows, {name}", f, spread.astype(dtype))
        yield Case(f"rows, {name}", "logsumexp", spread.astype(dtype))
        yield Case(f"losses, {name}", "cross_entropy", spread.astype(dtype), np.array([0, 6, 3, 1, 2]))
        yield Case(f"losses, {name}", "cross_entropy_and_grad", spread.astype(dtype), np.array([0, 6, 3, 1, 2]))
    for dtype in (np.int8, np.int64, np.bool_, np.uint8):
        x = (
            (np.array([[-128, 127, 3], [1, 0, 1]]) % 128).astype(dtype)
            if dtype != np.int8
            else np.array([[-128, 127, 3], [1, 0, 1]], dtype)
        )
        yield Case("integers and bool", "softmax", x)
        yield Case("integers and bool", "log_sigmoid", x)
    for f in LINKS:
        for dtype in (np.float64, np.float32):
            yield Case(
                "special values, elementwise", f, np.array([-INF, -2, -1, -0.5, 0, 0.25, 0.5, 1, 2, INF, NAN], dtype)
            )
    rows = np.array(
        [
            [-INF] * 4,
            [INF, 1, INF, 2],
            [INF, 1, 2, 3],
            [NAN, 1, 2, 3],
            [-INF, 1, -INF, 2],
            [5, 5, 5, 5],
            [-INF, -INF, 3, -INF],
        ]
    )
    for f in PER_CLASS:
        yield Case("special rows", f, rows)
        if f != "logit_softmax":
            yield Case("special rows", f, rows, options=dict(complement=True))
    yield Case("special rows", "logsumexp", rows)
    yield Case("special rows", "cross_entropy_and_grad", rows, np.array([0, 0, 1, 1, 1, 2, 2]))
    cube = RNG.normal(size=(3, 4, 5)) * 4
    for axis in (0, 1, 2, -2, (0, 2), (1, 2), (2, 0)):
        for f in PER_CLASS:
            yield Case("axes", f, cube, options=dict(axis=axis))
        yield Case("axes", "logsumexp", cube, options=dict(axis=axis))
        yield Case("axes", "logsumexp", cube, options=dict(axis=axis, keepdims=True))
    yield Case("axes", "softmax", spread, options=dict(axis=0))
    yield Case("axes", "cross_entropy", cube, RNG.integers(0, 4, (3, 5)), dict(axis=1))
    mask = RNG.random((5, 7)) > 0.4
    mask[2] = False
    dirty = np.where(mask, spread, RNG.choice([NAN, INF, 1e300], (5, 7)))
    for f in PER_CLASS:
        yield Case("masks", f, dirty, options=dict(where=mask))
        yield Case("masks", f, spread, options=dict(where=mask[1]))
    yield Case("masks", "logsumexp", dirty, options=dict(where=mask))
    yield Case("masks", "cross_entropy_and_grad", dirty, np.argmax(mask, axis=1), dict(where=mask))
    for t in (0.0, 0.3, 1, 7, INF, np.array([0.5, 1, 2, 0, INF])):
        for f in PER_CLASS:
            yield Case("temperatures", f, spread, options=dict(temperature=t))
    yield Case("temperatures", "cross_entropy_and_grad", spread, np.array([0, 6, 3, 1, 2]), dict(temperature=0.3))
    for f in ("softmax", "log_softmax"):
        yield Case("complements", f, spread, options=dict(complement=True))
        yield Case("complements", f, spread.astype(np.float32), options=dict(complement=True, temperature=2.0))
    for shape in ((0,), (0, 3), (3, 0), ()):
        x = np.zeros(shape)
        for f in (*PER_CLASS, "logsumexp", "sigmoid"):
            yield Case("empty and single", f, x)
    for f in ("cross_entropy", "cross_entropy_and_grad"):
        yield Case("empty and single", f, np.zeros((0, 3)), np.zeros(0, int))
        yield Case("empty and single", f, np.zeros((0, 3)), np.zeros((0, 3)))
    yield Case("dtype=", "softmax", spread.astype(np.float32), options=dict(dtype=np.float64))
    yield Case("dtype=", "log_softmax", spread, options=dict(dtype=np.float32))
    weights = RNG.random((5, 7))
    weights[1, :3] = 0
    yield Case("weights", "logsumexp", spread, options=dict(weights=weights))
    yield Case("weights", "logsumexp", spread, options=dict(weights=weights - 0.5, return_sign=True))
    yield Case("weights", "logsumexp", dirty, options=dict(weights=weights, where=mask))
    soft = RNG.dirichlet(np.ones(7), 5)
    yield Case("soft and smoothed labels", "cross_entropy_and_grad", spread, soft)
    yield Case(
        "soft and smoothed labels", "cross_entropy", spread, np.array([0, 6, 3, 1, 2]), dict(label_smoothing=0.2)
    )
    yield Case("soft and smoothed labels", "cross_entropy_and_grad", spread, soft, dict(label_smoothing=0.2))
    yield Case("two classes", "binary_cross_entropy", spread, RNG.random((5, 7)))
    yield Case("two classes", "binary_cross_entropy_and_grad", spread, (RNG.random((5, 7)) > 0.5).astype(float))
    yield Case("errors", "softmax", cube, options=dict(axis=3), error=(np.exceptions.AxisError, "3"))
    yield Case("errors", "softmax", spread, options=dict(temperature=-1.0), error=(ValueError, "-1"))
    yield Case(
        "errors", "softmax", spread, options=dict(temperature=np.array([1.0, 2.0])), error=(ValueError, "temperature")
    )
    yield Case("errors", "softmax", spread, options=dict(where=np.ones((2, 2), bool)), error=(ValueError, "where"))
    yield Case("errors", "softmax", spread, options=dict(where=np.ones(7)), error=(TypeError, "where"))
    yield Case("errors", "cross_entropy", spread, np.array([0, 7, 0, 0, 0]), error=(ValueError, "label 7 in row 1"))
    yield Case("errors", "cross_entropy", spread, np.array([0, 1]), error=(ValueError, "labels"))
    yield Case(
        "errors",
        "cross_entropy",
        spread,
        np.zeros(5, int),
        dict(label_smoothing=1.0),
        error=(ValueError, "label_smoothing is 1"),
    )
    yield Case("errors", "logsumexp", spread, options=dict(weights=-weights), error=(ValueError, "return_sign"))
    yield Case("errors", "binary_cross_entropy", spread, np.full((5, 7), 2.0), error=(ValueError, "2.0"))


CASES = list(_cases())
GROUPS = list(dict.fromkeys(case.name for case in CASES))


@dataclass(frozen=True)
class Backend:
    """
    A library's arrays.

    `there` makes one of a NumPy array, `back` a NumPy array of a result, and `kind` is the type the result must have; `ulps` is how
    many units in the last place it may be off the core's result (0: the same bits), by dtype; `without` names what it does not have.
    """

    name: str
    there: Any
    back: Any
    kind: Any
    ulps: dict = field(default_factory=dict)
    without: Any = lambda case: None
    tiny: bool = True  # whether it keeps results below the smallest normal number
    transform: Any = None  # a transformation of the function


def _in_frames(case):
    """What a table of columns cannot say: it has two axes, rows and columns."""
    if np.ndim(case.x) == 1 and case.function in LINKS and case.x.size:
        return None
    if np.ndim(case.x) != 2 or case.options.get("keepdims") or case.x.shape[1] == 0:
        return "tables have two axes"
    if case.function not in LINKS and case.options.get("axis", -1) not in (1, -1) and not case.error:
        return "classes are columns"
    if np.ndim(case.y) == 2:
        return "labels are one column"
    return None


def _no_bfloat16(case):
    return "bfloat16" if case.x.dtype == BFLOAT16 else None


def torch_backend():
    import torch

    importlib.import_module("sigmax.torch")  # which torch.compile cannot follow at the first call

    def there(x):
        x = np.asarray(x)
        return (
            torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
            if x.dtype == BFLOAT16
            else torch.from_numpy(x.copy())
        )

    def back(y):
        return y.view(torch.int16).numpy().view(BFLOAT16) if y.dtype == torch.bfloat16 else y.numpy()

    return torch, there, back


def _torch():
    torch, there, back = torch_backend()
    return Backend("PyTorch", there, back, torch.Tensor)


def _torch_compiled():
    torch, there, back = torch_backend()

    def compiled(function):
        torch._dynamo.reset()
        return torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=False)

    return Backend(
        "PyTorch, compiled",
        there,
        back,
        torch.Tensor,
        transform=compiled,
        # tracing takes a while; and dynamo turns what a wrong argument raises into an error of its own
        without=lambda case: (
            "one dtype, no errors"
            if case.error or case.x.dtype != np.float64 or np.ndim(case.options.get("temperature", 1))
            else None
        ),
    )


def _torch_formulas():
    """Torch's operations in our formulas: what tensors on a GPU get."""
    from array_api_compat import torch as xp

    from sigmax.arrays.foreign.delegated import Delegated, PlainKernels

    torch, there, back = torch_backend()
    library = Delegated(xp, PlainKernels(xp))
    return Backend(
        "PyTorch, other devices' formulas",
        there,
        back,
        torch.Tensor,
        ulps={np.float64: 6, np.float32: 6},
        transform=lambda function: lambda *args, **options: library.call(entry_of(function), args, options, None),
        without=lambda case: "conversion of arguments is torch's" if case.error else None,
    )


def _torch_kernels():
    """Tensors on a GPU; without one, those of the CPU as if they were, by Triton's interpreter, which a process has or has not."""
    torch, there, back = torch_backend()
    adapter = importlib.import_module("sigmax.arrays.torch")
    memory = importlib.import_module("sigmax.arrays.torch.memory")
    on_gpu = torch.cuda.is_available()

    def as_there(function):
        def call(*args, **options):
            with (
                mock.patch.object(memory, "on_kernels", lambda x: memory.kernels() if x.numel() else None),
                mock.patch.object(memory, "is_native", return_value=False),
            ):
                return adapter.call(entry_of(function), args, options, None)

        return call

    return Backend(
        f"PyTorch, CUDA ({'device' if on_gpu else 'interpreter'})",
        (lambda x: there(x).cuda()) if on_gpu else there,
        lambda y: back(y.cpu()),
        torch.Tensor,
        ulps={np.float64: 6, np.float32: 6},
        tiny=False,
        transform=None if on_gpu else as_there,
        without=lambda case: (
            "a kernel makes wrong labels NaN"
            if case.error and ("label 7" in case.error[1] or case.error[1] == "2.0")
            else None
        ),
    )


def _jax(jit):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def transform(function):
        def call(x, *y, **options):
            return jax.jit(lambda x, *y: function(x, *y, **options))(x, *y)

        return call

    return Backend(
        "JAX, jit" if jit else "JAX",
        jnp.asarray,
        np.asarray,
        jax.Array,
        transform=transform if jit else None,
        without=lambda case: (
            "values are unknown inside jit"
            if jit and case.error and (case.error[1] in ("return_sign", "2.0") or "label 7" in case.error[1])
            else None
        ),
    )


def _strict():
    import array_api_strict as xp

    return Backend(
        "array API (strict)",
        xp.asarray,
        lambda y: np.asarray(y._array),
        type(xp.zeros(1)),
        ulps={np.float64: 6, np.float32: 6},
        without=lambda case: "halves" if case.x.dtype in HALVES else None,
    )


def _dask(name, chunks):
    import dask.array as da

    return Backend(
        name,
        lambda x: da.from_array(x, chunks=chunks(x)) if np.ndim(x) else da.from_array(np.asarray(x)),
        lambda y: np.asarray(y.compute(scheduler="synchronous")),
        da.Array,
        without=lambda case: (
            "values are unknown before compute"
            if case.error and ("label" in case.error[1] or case.error[1] in ("return_sign", "2.0"))
            else None
        ),
    )


def _xarray():
    import xarray as xr

    def there(x):
        return xr.DataArray(x, dims=[f"d{i}" for i in range(np.ndim(x))]) if np.ndim(x) else xr.DataArray(x)

    def transform(function):
        def named(x, *labels, **options):
            """Labels of rows have the names of their dimensions, by which they go."""
            if x.ndim:
                axes = np.atleast_1d(options.get("axis", -1)) % x.ndim
                rows = [d for i, d in enumerate(x.dims) if i not in axes]
                labels = [y.rename(dict(zip(y.dims, rows, strict=True))) if y.ndim == len(rows) else y for y in labels]
            return function(x, *labels, **options)

        return named

    return Backend("xarray", there, lambda y: y.data, xr.DataArray, transform=transform)


def _pandas():
    import pandas as pd

    def there(x):
        return pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])]) if np.ndim(x) == 2 else pd.Series(x)

    return Backend(
        "pandas",
        there,
        lambda y: y.to_numpy(),
        (pd.DataFrame, pd.Series),
        without=lambda case: _no_bfloat16(case) or _in_frames(case),
    )


def _pandas_nullable():
    import pandas as pd

    def there(x):
        if x.dtype.kind != "f":
            return pd.Series(x, dtype="Int64") if np.ndim(x) == 1 else pd.DataFrame(x).astype("Int64")
        make = functools.partial(pd.arrays.FloatingArray, mask=np.zeros(len(x), bool))
        if np.ndim(x) == 1:
            return pd.Series(make(x.copy()))
        return pd.DataFrame({f"c{i}": make(x[:, i].copy()) for i in range(x.shape[1])})

    return Backend(
        "pandas, nullable",
        there,
        lambda y: np.stack([y[c].array._data for c in y], axis=1) if isinstance(y, pd.DataFrame) else y.array._data,
        (pd.DataFrame, pd.Series),
        without=lambda case: "halves" if case.x.dtype in HALVES or case.x.dtype == bool else _in_frames(case),
    )


def _polars():
    import polars as pl

    def there(x):
        return pl.DataFrame({f"c{i}": x[:, i] for i in range(x.shape[1])}) if np.ndim(x) == 2 else pl.Series(x)

    return Backend(
        "Polars",
        there,
        lambda y: y.to_numpy(),
        (pl.DataFrame, pl.Series),
        without=lambda case: "halves" if case.x.dtype in HALVES else _in_frames(case),
    )


def _pyarrow():
    import pyarrow as pa

    def there(x):
        return (
            pa.table({f"c{i}": np.ascontiguousarray(x[:, i]) for i in range(x.shape[1])})
            if np.ndim(x) == 2
            else pa.array(x)
        )

    def back(y):
        if isinstance(y, pa.Table):
            return np.stack([c.to_numpy() for c in y.columns], axis=1)
        return y.to_numpy(zero_copy_only=False)

    return Backend(
        "pyarrow", there, back, (pa.Table, pa.Array), without=lambda case: _no_bfloat16(case) or _in_frames(case)
    )


def _duckdb(create):
    import duckdb
    import pyarrow as pa

    from sigmax import sql

    connection = duckdb.connect()
    getattr(sql, create)(connection)
    macros = create == "create_macros"

    class Numbers:
        def __init__(self, x):
            self.x = np.asarray(x)

    def transform(function):
        name = function.__name__

        def call(scores):
            if name in LINKS:
                connection.register("t", pa.table({"i": np.arange(scores.x.size), "x": scores.x.ravel()}))
                got = connection.execute(f"SELECT {name}(x) AS y FROM t ORDER BY i").fetchall()
                return Numbers(np.array([v[0] for v in got], np.float64).reshape(scores.x.shape))
            rows = scores.x.reshape(-1, scores.x.shape[-1])
            got = [connection.execute(f"SELECT {name}(?::DOUBLE[])", [row.tolist()]).fetchall()[0][0] for row in rows]
            return Numbers(
                np.array(got, np.float64).reshape(scores.x.shape if name != "logsumexp" else scores.x.shape[:-1])
            )

        return call

    def without(case):
        there = [*LINKS, "softmax", "log_softmax", "logsumexp", "logit_softmax"]
        if case.function not in there or case.options or case.error:
            return "functions of one argument"
        if case.x.dtype != np.float64 or np.ndim(case.x) == 0 or case.x.shape[-1] == 0:
            return "DOUBLE"
        return None

    return Backend(
        "DuckDB, macros" if macros else "DuckDB, functions",
        Numbers,
        lambda y: y.x,
        Numbers,
        ulps={np.float64: 8} if macros else {},
        transform=transform,
        without=without,
    )


BACKENDS = {
    "numpy": lambda: Backend("NumPy", np.asarray, np.asarray, (np.ndarray, np.generic)),
    "masked": lambda: Backend("NumPy, masked", np.ma.asarray, np.ma.getdata, (np.ma.MaskedArray, np.generic)),
    "torch": _torch,
    "torch-compiled": _torch_compiled,
    "torch-formulas": _torch_formulas,
    "torch-kernels": _torch_kernels,
    "jax": lambda: _jax(jit=False),
    "jax-jit": lambda: _jax(jit=True),
    "array-api": _strict,
    "dask": lambda: _dask("Dask", lambda x: (2,) + (-1,) * (np.ndim(x) - 1)),
    "dask-classes": lambda: _dask("Dask, classes in chunks", lambda x: (-1,) * (np.ndim(x) - 1) + (2,)),
    "xarray": _xarray,
    "pandas": _pandas,
    "pandas-nullable": _pandas_nullable,
    "polars": _polars,
    "pyarrow": _pyarrow,
    "duckdb": lambda: _duckdb("create_functions"),
    "duckdb-macros": lambda: _duckdb("create_macros"),
}


@functools.cache
def backend(key):
    return BACKENDS[key]()


# logits near 0 are differences of numbers near 1: without more digits to work in, only their absolute error is bounded
DIFFERENCES = {"logit_softmax", "logsumexp", "logitexp"}


def run(key, case):
    """Run a case; return its largest error in units in the last place, or fail."""
    b = backend(key)
    function = getattr(sigmax, case.function)
    there = b.transform(function) if b.transform else function
    options = {k: np.asarray(v) if isinstance(v, np.ndarray) else v for k, v in case.options.items()}
    arguments = [b.there(v) for v in case.arguments()]
    if case.error:
        kind, word = case.error
        with pytest.raises(kind, match=re.escape(word)):
            there(*arguments, **options)
        return 0.0
    with np.errstate(all="ignore"):
        wanted = function(*case.arguments(), **options)
    got = there(*arguments, **options)
    pairs = list(zip(got, wanted, strict=True)) if isinstance(wanted, tuple) else [(got, wanted)]
    return max(_error(b, case, g, w) for g, w in pairs)


def _error(b, case, got, wanted):
    wanted = np.asarray(wanted)
    scalars = (float, np.floating) if wanted.ndim == 0 else ()
    assert isinstance(got, (b.kind if isinstance(b.kind, tuple) else (b.kind,)) + scalars), (
        f"the result is a {type(got).__name__}"
    )
    y = np.asarray(got if isinstance(got, float) else b.back(got))
    assert y.shape == wanted.shape, f"shape {y.shape}, not {wanted.shape}"
    assert y.dtype == wanted.dtype, f"dtype {y.dtype}, not {wanted.dtype}"
    if wanted.size == 0:
        return 0.0
    if not b.ulps:
        same = (y == wanted) | (np.isnan(y) & np.isnan(wanted))
        assert same.all(), f"not the same bits: {y[~same][:3]} for {wanted[~same][:3]}"
        return 0.0
    y, wanted = np.atleast_1d(y).astype(np.float64), np.atleast_1d(wanted)
    kind = wanted.dtype
    info = ml_dtypes.finfo(kind)
    wide = wanted.astype(np.float64)
    odd = ~np.isfinite(wide)
    assert np.array_equal(y[odd], wide[odd], equal_nan=True), f"{y[odd]} for {wide[odd]}"
    assert np.isfinite(y[~odd]).all(), f"{y[~odd]} for {wide[~odd]}"
    tiny = np.abs(wide) < float(info.tiny)
    if not b.tiny:
        assert (np.abs(y[tiny]) <= np.abs(wide[tiny])).all()
        y = np.where(tiny, wide, y)
    with np.errstate(all="ignore"):
        floor = float(info.smallest_subnormal) if np.dtype(kind) in HALVES or kind == np.float32 else 5e-324
        unit = np.maximum(2.0 ** np.floor(np.log2(np.maximum(np.abs(wide), floor))) * float(info.eps), floor)
        if case.function in DIFFERENCES or case.name.startswith("soft"):
            unit = np.maximum(unit, float(info.eps) / 4)
        errors = np.where(odd, 0, np.abs(y - np.where(odd, 0, wide)) / np.where(odd, 1, unit))
    worst = float(errors.max())
    bound = b.ulps.get(kind.type, b.ulps.get(np.float32, 6) if kind not in HALVES else 1)
    bound = 1 if kind in HALVES else bound
    assert worst <= bound, f"{worst:.3g} units in the last place, at {wide.flat[int(errors.argmax())]!r}"
    return worst


def conforms(key, group):
    """Run the cases of a group, or fail with all that did not pass."""
    cases = [case for case in CASES if case.name == group]
    applicable = [case for case in cases if not backend(key).without(case)]
    if key == "jax":  # the same code as under jit, which runs all; `python -m benchmarks conformance` runs all of both
        applicable = applicable[:: max(1, len(applicable) // 4)]
    failed = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ignored in (RuntimeWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", ignored)
        for case in applicable:
            try:
                run(key, case)
            except (Exception, pytest.fail.Exception) as error:
                options = ", ".join(f"{k}={'array' if hasattr(v, 'shape') else v}" for k, v in case.options.items())
                call = f"{case.function}({case.x.dtype} {case.x.shape}{', ' * bool(options)}{options})"
                failed.append(f"{call}: {type(error).__name__}: {str(error).splitlines()[0]}")
    assert not failed, f"{len(failed)} of {len(applicable)} cases\n" + "\n".join(failed[:12])
