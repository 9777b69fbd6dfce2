"""Scores as a table of rows and classes, whatever their axes, and how it is handed to a gufunc of the core."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import _native
from sigmax.family import names_of
from sigmax.host.contract import axes_of
from sigmax.host.dtypes import BFLOAT16, CONTRACT, as_bits, as_float, result_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sigmax.host.contract import Axis

__all__ = [
    "STRAIGHT",
    "ScoreTable",
    "check_out",
    "check_temperature",
    "core",
    "direct",
    "is_usual",
    "join_team",
    "mean_cross_entropy",
    "mean_on_tensors",
    "meet_team",
    "not_straight",
    "on_tensor",
    "pull_on_tensors",
    "scaled_tensor",
    "set_exchange",
    "xla_handler",
]

_core = functools.cache(_native.row_function)
# The usual call, a contiguous array of floats along its last axis, without the microseconds of all that follows.
direct = functools.cache(_native.direct)
# What the functions along an axis ask first, by name: the core, of a call's arguments and options. It takes a single array or tensor along its
# last axis, and returns None for all else.
STRAIGHT = {name: _native.straight(name) for name in names_of("per class", "per row")}
# The mean loss of such an array against class numbers, and the gradient of each row's loss.
mean_cross_entropy = _native.mean_cross_entropy
# The same from tensors to tensors without a detour by arrays, for a library with DLPack's exchange in C, and a product.
set_exchange, on_tensor, pull_on_tensors = _native.set_exchange, _native.on_tensor, _native.pull_on_tensors
mean_on_tensors, scaled_tensor = _native.mean_on_tensors, _native.scaled_tensor
# The threads of a library that has some, in place of our own, and that it is in use.
join_team, meet_team = _native.join_team, _native.meet_team
# All functions for compiled JAX code, in a capsule.
xla_handler = _native.xla_handler


def not_straight(_args: tuple[Any, ...], _options: dict[str, Any]) -> None:
    """Turn a call down: of more than one array, or while somebody follows Python's own functions."""


@functools.cache
def core(name: str, dtype: np.dtype[Any]) -> np.ufunc:
    """Return the core's function of that name, of scores, what goes with them and results of one type without a mask, as a gufunc."""
    return _core(name, False, *(_name(dtype),) * 3)


def is_usual(axis: Axis, temperature: ArrayLike = 1.0) -> bool:
    """Return whether the axis is the last one and the temperature 1, both as they are by default."""
    return type(axis) is int and axis == -1 and type(temperature) is float and temperature == 1.0


class ScoreTable:
    """
    Scores with the axes of the classes known, so that they can be handed over as rows.

    Parameters
    ----------
    x : array_like
        The scores. A single number is a row of one class.
    axis : int or tuple of ints
        The axes of the classes.
    where : array_like of bool or None
        False for an impossible class.
    dtype : dtype or None
        Of the results; default that of the scores.

    Attributes
    ----------
    shape : tuple of int
        Of the scores, and of results that have one number for each of them.
    rows, classes : tuple of int
        The lengths of the axes of the rows and of the classes.
    dtype : dtype
        Of the results.
    """

    def __init__(self, x: ArrayLike, axis: Axis, where: ArrayLike | None, dtype: DTypeLike | None) -> None:
        scores = as_float(np.asarray(x))
        self.dtype = result_dtype(scores, dtype)
        self.shape = scores.shape
        self._table = np.atleast_1d(scores)
        ndim = self._table.ndim
        self._axes = axes_of(axis, ndim)
        row_axes = tuple(i for i in range(ndim) if i not in self._axes)
        self._order = row_axes + self._axes
        self.rows = tuple(self._table.shape[i] for i in row_axes)
        self.classes = tuple(self._table.shape[i] for i in self._axes)
        self._mask = None if where is None else self._broadcast(_mask(where), "where")

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The mask, of the shape of the scores."""
        return None if self._mask is None else self._mask.reshape(self.shape)

    def kept_shape(self) -> tuple[int, ...]:
        """Return the shape of one result a row with the class axes left in."""
        return tuple(1 if i in self._axes else n for i, n in enumerate(self.shape))

    def per_score(self, values: NDArray[Any], what: str) -> NDArray[Any]:
        """Return one number for each score, broadcast if need be, as rows for `call`."""
        return self._as_rows(self._broadcast(as_float(values, what), what))

    def call(
        self,
        name: str,
        *operands: Any,
        weights: NDArray[Any] | None = None,
        results: Sequence[NDArray[Any]] = (),
        y: NDArray[Any] | None = None,
    ) -> None:
        """
        Call the core's function `name`, which writes one number a row to each of `results` and one a score to `y`.

        `weights` comes from `per_score`; `operands` are the numbers that each row has one of.
        """
        dtypes = [_name(d) for d in (self._table.dtype, self.dtype if weights is None else weights.dtype, self.dtype)]
        function = _core(name, self._mask is not None, *dtypes)
        inputs = [as_bits(self._as_rows(self._table))]
        if self._mask is not None:
            inputs.append(self._as_rows(self._mask))
        if weights is not None:
            inputs.append(as_bits(weights))
        outputs = [as_bits(self._rows_only(r)) for r in results]
        if y is None:
            function(*inputs, *operands, out=tuple(outputs))
        elif len(self._axes) == 1:
            target = as_bits(y).reshape(self._table.shape).transpose(self._order)
            function(*inputs, *operands, out=(*outputs, target))
        else:
            flat = np.empty((*self.rows, math.prod(self.classes)), self.dtype)
            function(*inputs, *operands, out=(*outputs, as_bits(flat)))
            y.transpose(self._order)[...] = flat.reshape(self.rows + self.classes)

    def _rows_only(self, result: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `result` without the class axes it may have kept."""
        return result.squeeze(self._axes) if result.ndim == self._table.ndim else result

    def _broadcast(self, values: NDArray[Any], what: str) -> NDArray[Any]:
        spread: NDArray[Any] = CONTRACT.beside(values, self.shape, what)
        return spread.reshape(self._table.shape)

    def _as_rows(self, table: NDArray[Any]) -> NDArray[Any]:
        """Return `table` with its class axes made one, the last."""
        moved = table.transpose(self._order)
        return moved if len(self._axes) == 1 else moved.reshape(*self.rows, math.prod(self.classes))


@functools.cache
def _name(dtype: np.dtype[Any]) -> str:
    return "bfloat16" if dtype == BFLOAT16 else dtype.newbyteorder("=").name


def _mask(where: ArrayLike) -> NDArray[np.bool_]:
    # what is masked in a mask is not known to be possible
    mask: NDArray[np.bool_] = CONTRACT.mask(
        where.filled(False) if isinstance(where, np.ma.MaskedArray) else np.asarray(where)
    )
    return mask


def check_temperature(temperature: ArrayLike, rows: tuple[int, ...]) -> Any:
    """Return one float64, or one for each row; refuse what is no temperature."""
    if type(temperature) is float and temperature > 0:
        return temperature
    if np.ma.is_masked(temperature):
        raise ValueError("a temperature is masked; give one number, or one for each row")
    values = np.asarray(temperature)
    CONTRACT.temperature(values, rows)
    values = values.astype(np.float64)
    CONTRACT.temperature_values(values)
    return values


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an `out` that cannot take the result."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; pass a NumPy array")
    CONTRACT.out(out, shape, dtype)
    if not out.flags.writeable:
        raise ValueError("out is read-only; pass an array that can be written")
