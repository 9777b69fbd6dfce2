"""
pandas: index, names and missing values stay.

A Series is one row of scores; a DataFrame has a row in each row, its columns being the classes. In columns of NumPy dtypes pandas
writes NaN for what is missing, and NaN is what it is here; nullable and Arrow columns keep what is missing as missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sigmax.arrays.columns.nulls import Column, columns_as_matrix, in_order_of, is_frame, not_alike
from sigmax.arrays.columns.nulls import call as call_on_column
from sigmax.host.contract import axes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["as_column", "call", "from_column", "in_rows"]


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype)


def as_column(x: pd.Series, what: str = "scores") -> Column:
    """Return a Series as a column."""
    if _is_plain(x.dtype) and x.dtype.kind in "biuf":
        return Column(x.to_numpy())
    if (
        _is_plain(x.dtype)
        or not (pd.api.types.is_numeric_dtype(x.dtype) or pd.api.types.is_bool_dtype(x.dtype))
        or isinstance(x.dtype, pd.CategoricalDtype)
    ):
        raise TypeError(f"{what} of dtype {x.dtype} are not supported; pass integers or floats")
    wide = getattr(x.dtype, "numpy_dtype", np.dtype(np.float64))
    wide = wide if wide.kind in "fiu" else np.dtype(np.float64)
    missing = x.isna().to_numpy()
    nothing = False if pd.api.types.is_bool_dtype(x.dtype) else 0
    return Column(x.to_numpy(dtype=wide, na_value=nothing), ~missing if missing.any() else None)


def _as_series(r: Column, dtype: Any, **labels: Any) -> pd.Series:
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        values: Any = pd.array(
            pa.array(r.values, mask=r.missing), dtype=pd.ArrowDtype(pa.from_numpy_dtype(r.values.dtype))
        )
    elif _is_plain(dtype):  # which writes NaN for what is missing
        values = r.values if r.missing is None else np.where(r.missing, r.values.dtype.type(np.nan), r.values)
    else:
        values = pd.arrays.FloatingArray(
            np.array(r.values), np.zeros(len(r.values), bool) if r.missing is None else r.missing.copy()
        )
    return pd.Series(values, **labels)


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on a Series or DataFrame."""
    x, *rest = args
    if not isinstance(x, pd.Series | pd.DataFrame):
        return NotImplemented
    if (
        entry.kind == "two classes"
        and rest
        and isinstance(rest[0], pd.Series | pd.DataFrame)
        and rest[0].ndim != x.ndim
    ):
        raise TypeError("logits and labels are a frame and a Series; pass both as frames, or arrays to go by position")
    for name, value in (*options.items(), *(("labels", v) for v in rest)):
        if type(value).__module__.partition(".")[0] == "xarray":
            raise TypeError(
                f"{name} is a {type(value).__name__} beside a pandas object; pass one of pandas, or an array"
            )
    rest = [_label_column(_alike(v, x, "labels", options)) for v in rest]
    options = {k: _as_array(_alike(v, x, k, options)) for k, v in options.items()}
    if isinstance(x, pd.Series):
        results = [from_column(r, x) for r in call_on_column(entry, as_column(x), tuple(rest), options)]
    else:
        matrix = columns_as_matrix(as_column(x.iloc[:, i], f"scores in column '{n}'") for i, n in enumerate(x.columns))
        matrix = matrix if len(x.columns) else Column(np.empty((len(x), 0)))
        per_column = entry.over_rows and axes_of(options.get("axis", -1), 2) == (0,)
        results = [_from_matrix(r, x, per_column) for r in call_on_column(entry, matrix, tuple(rest), options)]
    return results[0] if len(results) == 1 else tuple(results)


def _alike(value: Any, x: pd.Series | pd.DataFrame, what: str, options: Mapping[str, Any]) -> Any:
    """Return what goes with the scores in their order, by the names of its rows and columns; refuse what has others."""
    if is_frame(value) and isinstance(x, pd.DataFrame):
        value = in_order_of(list(x.columns), value, what)
        return in_rows(value, x.index, what) if isinstance(value, pd.DataFrame) else value
    if not isinstance(value, pd.Series):
        return value
    if isinstance(x, pd.Series):
        return in_rows(value, x.index, what)
    # one number a row for labels and temperatures, one a column for what broadcasts
    axes = axes_of(options.get("axis", -1), 2)
    a_row = what == "temperature" or (what == "labels" and axes in ((0,), (1,)))
    return in_rows(value, x.index if a_row and axes == (1,) else x.columns, what)


def in_rows(value: Any, index: pd.Index, what: str) -> Any:
    """Return a Series or frame with its rows in the order of `index`; refuse one that has others."""
    if value.index.equals(index):
        return value
    if (
        len(value) != len(index)
        or not value.index.is_unique
        or not index.is_unique
        or not value.index.isin(index).all()
    ):
        raise not_alike(what, "index", value.index, index)
    return value.reindex(index)


def _label_column(value: Any) -> Any:
    if isinstance(value, pd.Series):
        return as_column(value, "labels")
    if isinstance(value, pd.DataFrame):
        return columns_as_matrix(as_column(value.iloc[:, i], "labels") for i in range(value.shape[1]))
    return np.asarray(value) if is_frame(value) else value


def _as_array(value: Any) -> Any:
    if not isinstance(value, pd.Series | pd.DataFrame):
        return np.asarray(value) if is_frame(value) else value
    if isinstance(value, pd.Series) or all(map(_is_plain, value.dtypes)):
        return value.to_numpy()
    if all(map(pd.api.types.is_bool_dtype, value.dtypes)):
        return value.fillna(False).to_numpy(dtype=bool)  # what is not known to be possible is not
    return value.to_numpy(dtype=np.float64, na_value=np.nan)


def from_column(r: Column, x: pd.Series) -> Any:
    """Return results of the kind of `x`; one number as a scalar."""
    if r.values.ndim == 0:
        return r.values[()] if r.valid is None or r.valid else pd.NA
    if r.values.shape != x.shape:
        return r.values
    return x._constructor(_as_series(r, x.dtype, index=x.index, name=x.name)).__finalize__(x)


def _from_matrix(r: Column, x: pd.DataFrame, per_column: bool) -> Any:
    """Return results of the kind of `x`: its subclass and attrs, and of each column whether it is of NumPy, nullable or Arrow's."""
    kinds = [d for d in x.dtypes if not _is_plain(d)]
    if r.values.shape == x.shape:
        if not kinds:
            values = r.values if r.missing is None else np.where(r.missing, r.values.dtype.type(np.nan), r.values)
            frame = pd.DataFrame(values, index=x.index, columns=x.columns)
        else:
            columns = [
                _as_series(Column(r.values[:, i], None if r.valid is None else r.valid[:, i]), kind, index=x.index)
                for i, kind in enumerate(x.dtypes)
            ]
            frame = pd.concat(columns, axis=1)
            frame.columns = x.columns
        return x._constructor(frame).__finalize__(x)
    if r.values.ndim == 1:
        kind = kinds[0] if kinds else np.dtype(np.float64)
        series = _as_series(r, kind, index=x.columns if per_column else x.index)
        return x._constructor_sliced(series).__finalize__(x)
    return r.values
