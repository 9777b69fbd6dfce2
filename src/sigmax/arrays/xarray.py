"""
xarray: dimensions, coordinates and attributes stay, and `axis` may be the name of a dimension.

The work is done on what the DataArray holds, be it NumPy's, Dask's or another library's array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sigmax.arrays.columns.nulls import is_frame, not_alike
from sigmax.host.contract import axes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["call"]


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on a DataArray, a Variable or each variable of a Dataset."""
    x, *rest = args
    if isinstance(x, xr.Dataset):
        made = {
            name: call(entry, (v, *(_of_variable(r, name) for r in rest)), options, run)
            for name, v in x.data_vars.items()
        }
        if any(isinstance(r, tuple) for r in made.values()):
            return tuple(xr.Dataset({name: r[i] for name, r in made.items()}, attrs=x.attrs) for i in (0, 1))
        return xr.Dataset(made, attrs=x.attrs)
    if any(isinstance(v, xr.Dataset) for v in rest):
        raise TypeError("labels in a Dataset go with scores in one; pass a DataArray, such as one of its variables")
    if isinstance(x, xr.Variable):
        made = call(entry, (xr.DataArray(x), *rest), options, run)
        return tuple(r.variable for r in made) if isinstance(made, tuple) else made.variable
    if not isinstance(x, xr.DataArray):
        if not any(isinstance(v, xr.DataArray) for v in rest):
            return NotImplemented
        return run(entry, x, *(v.data if isinstance(v, xr.DataArray) else v for v in rest), **options)
    if entry.kind == "elementwise":
        return _put(x, run(entry, x.data, *rest, **{k: _spread(v, x, k) for k, v in options.items()}))
    if entry.kind == "two classes":
        labels = [_spread(v, x, "labels") for v in rest]
        return _each(run(entry, x.data, *labels), x, ())

    if x.ndim == 0:
        return _each(run(entry, x.data, *rest, **options), x, ())
    options = dict(options)
    dims = _dims(x, options.get("axis", -1))
    options["axis"] = tuple(x.dims.index(d) for d in dims)
    rows = tuple(d for d in x.dims if d not in dims)
    template = x.isel(dict.fromkeys(dims, 0), drop=True) if all(x.sizes[d] for d in dims) else None
    for name in ("where", "weights"):
        if name in options:
            options[name] = _spread(options[name], x, name)
    if "temperature" in options and template is not None:
        options["temperature"] = _spread(options["temperature"], template, "temperature")
    labels = [_ordered(v, x, x.dims if np.ndim(v) == x.ndim else rows) for v in rest]
    return _each(run(entry, x.data, *labels, **options), x, dims)


def _of_variable(labels: Any, name: Any) -> Any:
    """Return the labels of a variable: of a Dataset, those of that name."""
    if not isinstance(labels, xr.Dataset):
        return labels
    if name not in labels.data_vars:
        raise ValueError(f"the labels have no variable '{name}', which the scores have")
    return labels[name]


def _alike(value: xr.DataArray, x: xr.DataArray, what: str) -> xr.DataArray:
    """Return what goes with the scores in the order of their coordinates; refuse what has others."""
    for d in value.dims:
        if d not in x.indexes or d not in value.indexes or value.indexes[d].equals(x.indexes[d]):
            continue
        own, theirs = value.indexes[d], x.indexes[d]
        if len(own) != len(theirs) or not own.is_unique or not theirs.is_unique or not own.isin(theirs).all():
            raise not_alike(what, f"coordinate '{d}'", own, theirs)
        value = value.reindex({d: theirs})
    return value


def _named(value: Any, what: str) -> Any:
    """Return a Variable as a DataArray; refuse what has names of another kind."""
    if isinstance(value, xr.Variable):
        return xr.DataArray(value)
    if is_frame(value) or type(value).__module__.partition(".")[0] == "pandas":
        raise TypeError(f"{what} is a {type(value).__name__} beside an xarray object; pass a DataArray, or an array")
    return value


def _spread(value: Any, x: xr.DataArray, what: str) -> Any:
    """Return the array in a DataArray with the dimensions of the scores; anything else without names as it is."""
    value = _named(value, what)
    if not isinstance(value, xr.DataArray):
        return value
    odd = [d for d in value.dims if d not in x.dims]
    if odd:
        raise ValueError(
            f"{what} has the dimension '{odd[0]}' and the scores have {', '.join(map(repr, x.dims))}; rename it"
        )
    return _alike(value, x, what).broadcast_like(x).transpose(*x.dims).data


def _ordered(labels: Any, x: xr.DataArray, dims: tuple[Any, ...]) -> Any:
    """Return the array in `labels` with its axes in the order of `dims`, if those are its dimensions."""
    labels = _named(labels, "labels")
    if not isinstance(labels, xr.DataArray):
        return labels
    if set(labels.dims) != set(dims):
        raise ValueError(
            f"labels have the dimensions {', '.join(map(repr, labels.dims)) or 'none'} and the rows {', '.join(map(repr, dims)) or 'none'}; "
            "rename them, or pass an array to go by position"
        )
    return _alike(labels, x, "labels").transpose(*dims).data


def _dims(x: xr.DataArray, axis: Any) -> tuple[Any, ...]:
    names = []
    if axis is None:
        raise TypeError(
            f"axis is None; pass the dimension of the classes, or a tuple of several: {', '.join(map(str, x.dims))}"
        )
    for a in axis if isinstance(axis, list | tuple) else (axis,):
        if isinstance(a, str) and a not in x.dims:
            raise ValueError(f"there is no dimension '{a}'; the scores have {', '.join(map(str, x.dims))}")
        names.append(a if isinstance(a, str) else x.dims[axes_of(a, x.ndim)[0]])
    return tuple(names)


def _each(results: Any, x: xr.DataArray, dims: tuple[Any, ...]) -> Any:
    made = tuple(_wrap(r, x, dims) for r in (results if isinstance(results, tuple) else (results,)))
    return made if isinstance(results, tuple) else made[0]


def _put(x: xr.DataArray, data: Any) -> xr.DataArray:
    return x.copy(data=data)


def _wrap(data: Any, x: xr.DataArray, dims: tuple[Any, ...]) -> xr.DataArray:
    if np.shape(data) == x.shape:
        return _put(x, data)
    kept = np.ndim(data) == x.ndim  # keepdims
    rows = [d for d in x.dims if kept or d not in dims]
    coords = {k: v for k, v in x.coords.items() if not set(v.dims) & set(dims)}
    return xr.DataArray(data, dims=rows, coords=coords, name=x.name, attrs=x.attrs)
