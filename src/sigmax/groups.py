"""
The softmax over groups of rows: the candidates of one query, the choices of one person.

Where the classes are not columns but rows, as many as each group happens to have. Polars says it with ``over``, pandas with
``groupby(...).transform``; these functions do it for arrays, columns and Series of all kinds, all groups at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.arrays.columns.nulls import Column, per_list
from sigmax.dispatch import adapter_of
from sigmax.family import FAMILY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from sigmax.family import Function

__all__ = ["log_softmax", "softmax"]


def softmax(
    x: Any,
    by: Any | Sequence[Any],
    *,
    temperature: float = 1.0,
    complement: bool = False,
    dtype: DTypeLike | None = None,
) -> Any:
    """
    Turn scores into probabilities that sum to 1 in each group.

    Parameters
    ----------
    x : array, pandas or Polars Series, or pyarrow array, of one axis
        One score a row.
    by : the same, or a list of several
        What group each row belongs to: numbers, strings, anything that can be sorted. Rows of a group need not stand together. Missing
        values are a group. A pandas Series beside one goes by its index.
    temperature, complement, dtype
        As for :func:`sigmax.softmax`.

    Returns
    -------
    of the kind of `x`
        Probabilities, in the order of the rows, with index and name; a missing score stays missing, and the others of its group share
        the whole. Each group has the bits that its scores alone would have.

    Raises
    ------
    TypeError, ValueError
        If the scores are no numbers, or a column of `by` has another length.

    Examples
    --------
    >>> from sigmax import groups
    >>> groups.softmax([2.0, 7.0, 1.0], ["a", "b", "a"]).round(4).tolist()
    [0.7311, 1.0, 0.2689]
    """
    return _grouped(FAMILY["softmax"], x, by, dict(temperature=temperature, complement=complement, dtype=dtype))


def log_softmax(
    x: Any,
    by: Any | Sequence[Any],
    *,
    temperature: float = 1.0,
    complement: bool = False,
    dtype: DTypeLike | None = None,
) -> Any:
    """
    Turn scores into the logarithms of probabilities that sum to 1 in each group.

    Parameters
    ----------
    x, by, temperature, complement, dtype
        As for :func:`softmax`.

    Returns
    -------
    of the kind of `x`
        Log-probabilities, in the order of the rows.

    Examples
    --------
    >>> from sigmax import groups
    >>> groups.log_softmax([50.0, 7.0, 0.0], [1, 2, 1]).tolist()
    [-1.9287498479639178e-22, 0.0, -50.0]
    """
    return _grouped(FAMILY["log_softmax"], x, by, dict(temperature=temperature, complement=complement, dtype=dtype))


def _grouped(entry: Function, x: Any, by: Any, options: dict[str, Any]) -> Any:
    adapter: Any = adapter_of(type(x))
    is_column = hasattr(adapter, "as_column")
    scores = adapter.as_column(x) if is_column else Column(np.asarray(x))
    if scores.values.ndim != 1:
        raise ValueError(f"scores have shape {scores.values.shape}; groups are made of rows with one score each")
    several = isinstance(by, list | tuple) and len(by) > 0 and not np.isscalar(by[0]) and by[0] is not None
    codes = np.zeros(len(scores.values), np.int64)
    for column in by if several else [by]:
        is_beside = hasattr(adapter, "in_rows") and type(column) is type(x)
        part = _codes(adapter.in_rows(column, x.index, "by") if is_beside else column)
        if len(part) != len(codes):
            raise ValueError(
                f"there are {len(codes):,} scores and {len(part):,} rows of groups; each score needs its group"
            )
        codes = codes * (int(part.max(initial=0)) + 1) + part
        codes = np.unique(codes, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    lengths = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64) if len(lengths) else np.zeros(0, np.int64)
    valid = None if scores.valid is None else scores.valid[order]
    ((sorted_result, _),) = per_list(entry, Column(scores.values[order], valid), starts, lengths, options)
    values = np.empty_like(sorted_result.values)
    values[order] = sorted_result.values
    return adapter.from_column(Column(values, scores.valid), x) if is_column else values


def _codes(column: Any) -> NDArray[np.int64]:
    """Number the different values of a column; missing ones are one value."""
    library = type(column).__module__.partition(".")[0]
    if library == "pandas":
        import pandas as pd

        return np.asarray(pd.factorize(column, use_na_sentinel=False)[0], np.int64)
    if library == "polars":
        column = column.to_arrow()
        library = "pyarrow"
    if library == "pyarrow":
        import pyarrow as pa

        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_dictionary(whole.type):  # of categories, which may be there twice, or not at all
            whole = whole.dictionary_decode()
        encoded = whole.dictionary_encode(null_encoding="encode")
        return np.asarray(encoded.indices, np.int64)
    if isinstance(column, np.ma.MaskedArray):
        column = np.ma.filled(column.astype(object), None).tolist()
    values = np.asarray(column)
    if values.dtype != object:
        return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)
    numbers: dict[Any, int] = {}
    keys = (None if v is None or v != v else v for v in values.tolist())
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64, len(values))
