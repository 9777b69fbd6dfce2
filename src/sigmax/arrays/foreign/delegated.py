"""
What the adapters share that leave the work to another library's operations: arguments checked, axes put in order, results put back.

The work itself is a library's `Kernels`, on scores with the classes in the last axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from sigmax.arrays.foreign.formulas import Formulas, Row
from sigmax.host.contract import Contract, axes_of, check_smoothing
from sigmax.host.table import check_temperature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sigmax.family import Function

__all__ = ["Delegated", "Kernels", "PlainKernels"]

Array = Any


class Kernels(Protocol):
    """The functions on arrays (rows, classes); a temperature (rows, 1) and a mask may be None; results a row have length 1 there."""

    def link(self, name: str, x: Array) -> Array:
        """Return an elementwise function."""

    def row(self, name: str, x: Array, temperature: Array | None, where: Array | None, dtype: Any) -> Array:
        """Return one number for each score."""

    def logsumexp(self, x: Array, where: Array | None, dtype: Any) -> Array:
        """Return one number a row."""

    def weighted(self, x: Array, weights: Array, where: Array | None, dtype: Any) -> tuple[Array, Array]:
        """Return the logarithm of a weighted sum, and its sign."""

    def cross_entropy(
        self, x: Array, y: Array, temperature: Array | None, where: Array | None, smoothing: float
    ) -> Array:
        """Return the loss of each row against class numbers, (rows, 1), or a probability for each class."""

    def cross_entropy_and_grad(
        self, x: Array, y: Array, temperature: Array | None, where: Array | None, smoothing: float
    ) -> tuple[Array, Array]:
        """Return it with its derivative by the scores."""

    def binary_cross_entropy(self, x: Array, y: Array) -> Array:
        """Return the loss of logits against labels."""

    def binary_cross_entropy_and_grad(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return it with its derivative by the logits."""


class PlainKernels:
    """The formulas as they are, for a library that only computes."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._f = Formulas(xp)

    def wide(self, x: Array, dtype: Any = None) -> Array:
        """Return `x` in the type that is worked in: float32 at least, and no narrower than the result's."""
        xp = self._xp
        bits = max(xp.finfo(x.dtype).bits, 32, 32 if dtype is None else xp.finfo(dtype).bits)
        return x if xp.finfo(x.dtype).bits == bits else xp.astype(x, xp.float32 if bits == 32 else xp.float64)

    def link(self, name: str, x: Array) -> Array:
        return self._xp.astype(getattr(self._f, name)(self.wide(x)), x.dtype)

    def row(self, name: str, x: Array, temperature: Array | None, where: Array | None, dtype: Any) -> Array:
        return self._xp.astype(getattr(self._f, name)(self._f.row(self.wide(x, dtype), temperature, where)), dtype)

    def logsumexp(self, x: Array, where: Array | None, dtype: Any) -> Array:
        return self._xp.astype(self._f.logsumexp(self._f.row(self.wide(x, dtype), None, where)), dtype)

    def weighted(self, x: Array, weights: Array, where: Array | None, dtype: Any) -> tuple[Array, Array]:
        x = self.wide(x, dtype)
        value, sign = self._f.weighted_logsumexp(x, self._xp.astype(weights, x.dtype), where)
        return self._xp.astype(value, dtype), self._xp.astype(sign, dtype)

    def cross_entropy(
        self, x: Array, y: Array, temperature: Array | None, where: Array | None, smoothing: float
    ) -> Array:
        r, q = self._labelled(x, y, temperature, where, smoothing)
        return self._xp.astype(self._f.cross_entropy(r, q), x.dtype)

    def cross_entropy_and_grad(
        self, x: Array, y: Array, temperature: Array | None, where: Array | None, smoothing: float
    ) -> tuple[Array, Array]:
        r, q = self._labelled(x, y, temperature, where, smoothing)
        loss, slope = self._f.cross_entropy(r, q), self._f.cross_entropy_slope(r, q, temperature)
        return self._xp.astype(loss, x.dtype), self._xp.astype(slope, x.dtype)

    def _labelled(
        self, x: Array, y: Array, temperature: Array | None, where: Array | None, smoothing: float
    ) -> tuple[Row, Array]:
        r = self._f.row(self.wide(x), temperature, where)
        q = self._f.one_hot(y, r.t) if self._xp.isdtype(y.dtype, "integral") else self._xp.astype(y, r.t.dtype)
        return r, self._f.target(r, q, smoothing)

    def binary_cross_entropy(self, x: Array, y: Array) -> Array:
        wide = self.wide(x)
        return self._xp.astype(self._f.binary_cross_entropy(wide, self._xp.astype(y, wide.dtype)), x.dtype)

    def binary_cross_entropy_and_grad(self, x: Array, y: Array) -> tuple[Array, Array]:
        wide = self.wide(x)
        slope = self._f.binary_cross_entropy_slope(wide, self._xp.astype(y, wide.dtype))
        return self.binary_cross_entropy(x, y), self._xp.astype(slope, x.dtype)


class Delegated:
    """
    The public functions on the arrays of one library.

    Parameters
    ----------
    xp : namespace
        The library's functions under the names of the array API standard.
    kernels : Kernels
        What does the work.
    is_known : callable
        Whether the values of an array can be looked at.
    widest : callable
        Returns the dtype that integers become.
    device_of : callable
        Returns where what belongs to an array has to be; None where the library sees to it.
    as_a_whole : callable, optional
        Returns an array with some of its axes not spread out over devices.
    terms : callable, optional
        Returns float64 temperatures of NumPy's as an array of this library with a last axis of terms to be added up.
    """

    def __init__(
        self,
        xp: Any,
        kernels: Kernels,
        is_known: Callable[[Any], bool] = lambda _x: True,
        widest: Callable[[], Any] | None = None,
        device_of: Callable[[Any], Any] = lambda like: getattr(like, "device", None),
        as_a_whole: Callable[[Any, Sequence[int]], Any] = lambda x, _axes: x,
        terms: Callable[[Any], Any] | None = None,
    ) -> None:
        self.xp = xp
        self.kernels = kernels
        self.is_known = is_known
        self.device_of = device_of
        self.widest = widest or (lambda: xp.float64)
        self.as_a_whole = as_a_whole
        self.terms = terms
        self.contract = Contract(self)

    def call(self, entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
        """Call a function on arrays of this library."""
        if entry.kind == "elementwise":
            return self.link(entry.name, *args, **options)
        if entry.kind == "per class":
            return self.per_class(entry.name, *args, **options)
        return getattr(self, entry.name)(*args, **options)

    def link(self, name: str, x: Any, *, out: Any = None, dtype: Any = None, **more: Any) -> Array:
        _no_out(out)
        for option in more:
            raise TypeError(f"{option}= of {name} is for NumPy arrays; pass dtype, and choose among results with where")
        x = self.floats(x)
        return self.kernels.link(name, x if dtype is None else self.xp.astype(x, self.contract.result_dtype(x, dtype)))

    def per_class(
        self,
        name: str,
        x: Any,
        *,
        axis: Any = -1,
        temperature: Any = 1.0,
        where: Any = None,
        complement: bool = False,
        dtype: Any = None,
        out: Any = None,
    ) -> Array:
        _no_out(out)
        a = _Arguments(self, x, axis, temperature, where, dtype)
        if math.prod(a.shape) == 0:
            return self.xp.astype(a.back(a.x), a.dtype)  # which holds no number, and is where it should be
        return a.back(
            self.kernels.row(f"{name}_complement" if complement else name, a.x, a.temperature, a.where, a.dtype)
        )

    def logsumexp(
        self,
        x: Any,
        *,
        axis: Any = -1,
        weights: Any = None,
        where: Any = None,
        keepdims: bool = False,
        return_sign: bool = False,
        dtype: Any = None,
        out: Any = None,
    ) -> Any:
        _no_out(out)
        xp = self.xp
        a = _Arguments(self, x, axis, 1.0, where, dtype)
        if a.classes == 0 or math.prod(a.rows) == 0:
            where_it_is = {} if (device := self.device_of(a.x)) is None else {"device": device}
            value = xp.full((*a.rows, 1), -math.inf, dtype=a.dtype, **where_it_is)
            sign = xp.zeros((*a.rows, 1), dtype=a.dtype, **where_it_is)
        elif weights is None:
            value = self.kernels.logsumexp(a.x, a.where, a.dtype)
            one = xp.ones_like(value)
            sign = xp.where(value == -math.inf, xp.zeros_like(value), xp.where(xp.isnan(value), value, one))
        else:
            w = a.flat(a.broadcast(self.floats(weights, "weights"), "weights"))
            self.contract.weights(w, a.where, return_sign)
            w = self._unless(lambda w: self.contract.no_weights(w, a.where, return_sign), w)
            value, sign = self.kernels.weighted(a.x, w, a.where, a.dtype)
        value, sign = (a.kept(v) if keepdims else v[..., 0] for v in (value, sign))
        return (value, sign) if return_sign else value

    def cross_entropy(self, x: Any, y: Any, *, label_smoothing: float = 0.0, **options: Any) -> Array:
        a, y = self._labelled(x, y, **options)
        return self.kernels.cross_entropy(a.x, y, a.temperature, a.where, check_smoothing(label_smoothing))[..., 0]

    def cross_entropy_and_grad(
        self, x: Any, y: Any, *, label_smoothing: float = 0.0, **options: Any
    ) -> tuple[Array, Array]:
        a, y = self._labelled(x, y, **options)
        loss, slope = self.kernels.cross_entropy_and_grad(
            a.x, y, a.temperature, a.where, check_smoothing(label_smoothing)
        )
        return loss[..., 0], a.back(slope)

    def binary_cross_entropy(self, x: Any, y: Any) -> Array:
        return self.kernels.binary_cross_entropy(*self._binary(x, y))

    def binary_cross_entropy_and_grad(self, x: Any, y: Any) -> tuple[Array, Array]:
        return self.kernels.binary_cross_entropy_and_grad(*self._binary(x, y))

    # ---- arguments ----

    def array(self, x: Any, like: Array | None = None) -> Array:
        """Return `x` as an array of this library, on the device of `like`."""
        if _is_array(x):
            return x
        x = np.asarray(x)
        device = self.device_of(like)
        return self.xp.asarray(x) if device is None else self.xp.asarray(x, device=device)

    def floats(self, x: Any, what: str = "scores", like: Array | None = None) -> Array:
        """Return floats as they are, integers and bool as the widest float, as an array of this library; refuse anything else."""
        return self.contract.floats(self.array(x, like), what)

    # ---- what the contract asks ----

    def kind(self, x: Array) -> Literal["float", "integer", "bool", "other"]:
        if self._is_one_of_four(x.dtype):
            return "float"
        if self.xp.isdtype(x.dtype, "bool"):
            return "bool"
        return "integer" if self.xp.isdtype(x.dtype, "integral") else "other"

    def _is_one_of_four(self, dtype: Any) -> bool:
        return bool(self.xp.isdtype(dtype, "real floating")) and 16 <= self.xp.finfo(dtype).bits <= 64

    def as_float(self, x: Array) -> Array:
        return self.xp.astype(x, self.widest())

    def dtype(self, asked: Any) -> Any:
        try:
            asked = getattr(self.xp, np.dtype(asked).name, asked)
        except TypeError:  # it is a dtype of this library, not of NumPy
            return asked if self._is_one_of_four(asked) else None
        return asked if self._is_one_of_four(asked) else None

    def spread(self, x: Array, shape: Sequence[int]) -> Array:
        # dimensions may be symbols
        pairs = zip(reversed(tuple(x.shape)), reversed(tuple(shape)), strict=False)
        if len(x.shape) > len(shape) or not all(n in (1, m) for n, m in pairs):
            raise ValueError
        return self.xp.broadcast_to(x, tuple(shape))

    def first(self, bad: Array) -> int | None:
        if not self.is_known(bad) or not bool(self.xp.any(bad)):
            return None
        return int(
            self.xp.argmax(self.xp.astype(self.xp.reshape(self.as_a_whole(bad, range(bad.ndim)), (-1,)), self.xp.int8))
        )

    def number(self, x: Array, i: int) -> float:
        value = self.xp.reshape(self.as_a_whole(x, range(x.ndim)), (-1,))[i]
        return int(value) if self.kind(x) == "integer" else float(value)

    def isinf(self, x: Array) -> Array:
        return self.xp.isinf(x)

    # ---- labels ----

    def _labelled(
        self, x: Any, y: Any, axis: Any = -1, temperature: Any = 1.0, where: Any = None
    ) -> tuple[_Arguments, Array]:
        """Return the scores, and class numbers with a last axis of length 1 or a probability for each class."""
        xp = self.xp
        a = _Arguments(self, x, axis, temperature, where, None)
        y = self.array(y, a.x)
        if self.contract.are_classes(y, a.rows, a.shape):
            if xp.iinfo(y.dtype).bits < 32:
                y = xp.astype(y, xp.int32)
            self.contract.classes(y, a.classes)  # whose values may not be known, inside a transformation
            return a, y[..., None]
        self.contract.probabilities(y)
        y = self._unless(self.contract.no_probabilities, y)
        q = a.flat(xp.reshape(y, a.full))
        if math.prod(q.shape):
            self.contract.sums(xp.sum(q if xp.finfo(q.dtype).bits >= 32 else xp.astype(q, xp.float32), axis=-1))
        return a, q

    def _unless(self, is_bad: Callable[[Array], Array], values: Array) -> Array:
        """Return values with NaN for what is bad, where nothing can be raised because they are not known, inside a transformation."""
        if self.is_known(values):
            return values
        return self.xp.where(is_bad(values), self.xp.full_like(values, math.nan), values)

    def _binary(self, x: Any, y: Any) -> tuple[Array, Array]:
        like = x if _is_array(x) else y
        x, y = self.floats(x, "logits", like), self.floats(y, "labels", like)
        self.contract.probabilities(y)
        y = self._unless(self.contract.no_probabilities, y)
        shape = self.contract.two_classes(x, y)
        return self.xp.broadcast_to(x, shape), self.xp.broadcast_to(y, shape)


def _is_array(x: Any) -> bool:
    """Return whether `x` is an array of a library other than NumPy."""
    if isinstance(x, np.ndarray | np.generic):
        return False
    return hasattr(x, "__array_namespace__") or type(x).__module__.partition(".")[0] in ("cupy", "torch")


def _no_out(out: Any) -> None:
    if out is not None:
        raise TypeError("these arrays are not written to; leave out= away and take the result")


class _Arguments:
    """Scores and what belongs to them, checked, the classes in one axis, the last."""

    def __init__(self, to: Delegated, x: Any, axis: Any, temperature: Any, where: Any, dtype: Any) -> None:
        self._to, self._xp = to, to.xp
        scores = to.floats(x)
        self.shape = tuple(scores.shape)
        self.full = self.shape or (1,)  # a single number is a row of one class
        self._axes = axes_of(axis, len(self.full))
        self._order = tuple(i for i in range(len(self.full)) if i not in self._axes) + self._axes
        self.rows = tuple(self.full[i] for i in self._order[: len(self.full) - len(self._axes)])
        self.classes = math.prod(self.full[i] for i in self._axes)
        self.dtype = to.contract.result_dtype(scores, dtype)
        self.x = self.flat(self._xp.reshape(scores, self.full))
        self.where = None if where is None else self.flat(self.broadcast(self._mask(where), "where"))
        self.temperature = self._temperature(temperature)

    def _mask(self, where: Any) -> Array:
        return self._to.contract.mask(self._to.array(where, self.x))

    def _temperature(self, temperature: Any) -> Array | None:
        if isinstance(temperature, float | int) and temperature == 1:
            return None
        to = self._to
        if not _is_array(temperature):
            temperature = check_temperature(temperature, self.rows)
            if to.terms is not None:
                terms = to.terms(np.asarray(temperature))
                return to.spread(terms, (*self.rows, terms.shape[-1]))
        t = to.array(temperature, self.x)
        t = to.contract.temperature(t if to.kind(t) in ("float", "other") else to.as_float(t), self.rows)
        to.contract.temperature_values(t)
        return t[..., None]

    def broadcast(self, value: Array, what: str) -> Array:
        """Return `value` in the shape of the scores."""
        return self._xp.reshape(self._to.contract.beside(value, self.shape, what), self.full)

    def flat(self, x: Array) -> Array:
        """Put the classes into the last axis."""
        x = self._to.as_a_whole(x, self._axes)
        return self._xp.reshape(self._xp.permute_dims(x, self._order), (*self.rows, self.classes))

    def back(self, y: Array) -> Array:
        """Put the classes back where they were."""
        moved = self._xp.reshape(y, tuple(self.full[i] for i in self._order))
        return self._xp.reshape(
            self._xp.permute_dims(moved, tuple(int(i) for i in np.argsort(self._order))), self.shape
        )

    def kept(self, y: Array) -> Array:
        """Give one number a row back the axes of the classes, of length 1."""
        return self._xp.reshape(y, tuple(1 if i in self._axes else n for i, n in enumerate(self.full)))
