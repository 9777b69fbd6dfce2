"""
NumPy's masked arrays: what is masked is an impossible class, and stays masked in the result.

The ufuncs know masks by themselves; the functions over an axis get them from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.arrays.columns.nulls import Column
from sigmax.arrays.columns.nulls import call as call_on_column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["as_column", "call", "from_column"]


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on masked arrays."""
    return NotImplemented if entry.kind == "elementwise" else _call(entry, args, options)


def _call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if np.ndim(args[0]) == 0:  # a row of one class
        one = _call(entry, (np.ma.atleast_1d(args[0]), *args[1:]), options)
        return (
            tuple(r[0] if np.ndim(r) else r for r in one) if isinstance(one, tuple) else one[0] if np.ndim(one) else one
        )
    x, *rest = (as_column(v) for v in args)
    # a class of which it is not known whether it is possible is not; an element without a weight is left out
    options = {
        name: value.filled(0) if name in ("where", "weights") and isinstance(value, np.ma.MaskedArray) else value
        for name, value in options.items()
    }
    results = [_as_masked(r) for r in call_on_column(entry, x, tuple(rest), options)]
    return results[0] if len(results) == 1 else tuple(results)


def as_column(value: Any, _what: str = "scores") -> Column:
    """Return a masked array as numbers and which of them are there."""
    if not isinstance(value, np.ma.MaskedArray):
        return Column(np.asarray(value))
    mask = np.ma.getmaskarray(value)
    return Column(value.filled(0) if mask.any() else np.asarray(value), ~mask if mask.any() else None)


def from_column(r: Column, _x: Any) -> Any:
    """Return results as masked arrays."""
    return _as_masked(r)


def _as_masked(r: Column) -> Any:
    mask = np.ma.nomask if r.missing is None else r.missing
    if r.values.ndim == 0:
        return np.ma.masked if mask is not np.ma.nomask and bool(mask) else r.values[()]
    return np.ma.MaskedArray(r.values, mask)
