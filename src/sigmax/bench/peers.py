"""The same functions in sigmax and in the libraries that are installed, each called as its users would, at its best."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.host.dtypes import BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ELEMENTWISE", "FUNCTIONS", "Call", "calls"]

Array = Any  # an ndarray of floats

ELEMENTWISE = ["sigmoid", "log_sigmoid", "softplus", "logit"]
FUNCTIONS = [*ELEMENTWISE, "softmax", "log_softmax", "logsumexp"]
OVER_AN_AXIS = {"softmax", "log_softmax", "logsumexp"}


@dataclass(frozen=True)
class Call:
    """One library's way to compute a function of an array that is bound already."""

    library: str
    run: Callable[[], Any]
    result: Callable[[], Array]


def calls(function: str, x: Array, axis: int = -1) -> Iterator[Call]:
    """Yield a call for sigmax, and one for each installed peer that has the function for this dtype."""
    for library in (_sigmax, _numpy, _scipy, _torch, _jax):
        call = library(function, x, axis)
        if call is not None:
            yield call


def _into(library: str, run: Callable[[Array], Any], out: Array) -> Call:
    return Call(library, lambda: run(out), lambda: (run(out), out.copy())[1])


def _out(function: str, x: Array, axis: int) -> Array:
    return np.empty_like(x) if function != "logsumexp" else np.empty(np.delete(x.shape, axis), x.dtype)


def _sigmax(function: str, x: Array, axis: int) -> Call:
    f = getattr(sigmax, function)
    if function in OVER_AN_AXIS:
        return _into("sigmax", lambda out: f(x, axis=axis, out=out), _out(function, x, axis))
    return _into("sigmax", lambda out: f(x, out=out), np.empty_like(x))


def _numpy(function: str, x: Array, axis: int) -> Call | None:
    """NumPy by hand, in place; it has no bfloat16 of its own."""
    if x.dtype == BFLOAT16:
        return None

    def shifted(out: Array) -> Array:
        return np.exp(np.subtract(x, x.max(axis, keepdims=True), out=out), out=out)

    def softmax(out: Array) -> Array:
        e = shifted(out)
        return np.divide(e, e.sum(axis, keepdims=True), out=out)

    def log_softmax(out: Array) -> Array:
        s = np.log(shifted(out).sum(axis, keepdims=True))
        np.subtract(x, x.max(axis, keepdims=True), out=out)
        return np.subtract(out, s, out=out)

    scratch = np.empty_like(x)

    def logsumexp(out: Array) -> Array:
        return np.add(np.log(shifted(scratch).sum(axis)), x.max(axis), out=out)

    def sigmoid(out: Array) -> Array:
        np.add(np.exp(np.negative(x, out=out), out=out), 1, out=out)
        return np.divide(1, out, out=out)

    def softplus(out: Array) -> Array:
        return np.logaddexp(x, 0, out=out)

    def log_sigmoid(out: Array) -> Array:
        np.negative(x, out=out)
        return np.negative(np.logaddexp(out, 0, out=out), out=out)

    def logit(out: Array) -> Array:
        return np.log(np.divide(x, np.subtract(1, x, out=out), out=out), out=out)

    by_hand = dict(
        softmax=softmax,
        log_softmax=log_softmax,
        logsumexp=logsumexp,
        sigmoid=sigmoid,
        softplus=softplus,
        log_sigmoid=log_sigmoid,
        logit=logit,
    )
    return _into("numpy", by_hand[function], _out(function, x, axis))


def _scipy(function: str, x: Array, axis: int) -> Call | None:
    if importlib.util.find_spec("scipy") is None or x.dtype == BFLOAT16:
        return None
    from scipy import special

    names = dict(
        sigmoid="expit",
        log_sigmoid="log_expit",
        logit="logit",
        softmax="softmax",
        log_softmax="log_softmax",
        logsumexp="logsumexp",
    )
    if function not in names:
        return None
    f = getattr(special, names[function])
    if function in OVER_AN_AXIS:
        return Call("scipy", lambda: f(x, axis=axis), lambda: np.asarray(f(x, axis=axis)))
    return _into("scipy", lambda out: f(x, out=out), np.empty_like(x))


def _torch(function: str, x: Array, axis: int) -> Call | None:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    narrow = x.dtype == BFLOAT16  # torch and NumPy exchange its bits
    t = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if narrow else torch.from_numpy(x)
    by_name: dict[str, Callable[[], Any]] = dict(
        sigmoid=lambda: torch.sigmoid(t),
        log_sigmoid=lambda: torch.nn.functional.logsigmoid(t),
        softplus=lambda: torch.nn.functional.softplus(t),
        logit=lambda: torch.logit(t),
        softmax=lambda: torch.softmax(t, axis),
        log_softmax=lambda: torch.log_softmax(t, axis),
        logsumexp=lambda: torch.logsumexp(t, axis),
    )
    if function in ("sigmoid", "logit"):
        out = torch.empty_like(t)
        f = getattr(torch, function)
        by_name[function] = lambda: f(t, out=out)
    run = by_name[function]

    def result() -> Array:
        y = run()
        return np.asarray(y.view(torch.int16).numpy()).view(BFLOAT16) if narrow else np.asarray(y.numpy())

    return Call("torch", run, result)


def _jax(function: str, x: Array, axis: int) -> Call | None:
    if importlib.util.find_spec("jax") is None:
        return None
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    by_name: dict[str, Callable[[Any], Any]] = dict(
        sigmoid=jax.nn.sigmoid,
        log_sigmoid=jax.nn.log_sigmoid,
        softplus=jax.nn.softplus,
        logit=jax.scipy.special.logit,
        softmax=lambda a: jax.nn.softmax(a, axis),
        log_softmax=lambda a: jax.nn.log_softmax(a, axis),
        logsumexp=lambda a: jax.nn.logsumexp(a, axis),
    )
    f = jax.jit(by_name[function])
    a = jax.numpy.asarray(x)
    return Call("jax", lambda: f(a).block_until_ready(), lambda: np.asarray(f(a)))
