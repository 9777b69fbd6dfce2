"""The functions over an axis of class scores: arguments are checked here and handed to the gufuncs of the core."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from sigmax import _native

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Axis = int | Sequence[int]
    Floats = NDArray[np.floating[Any]]

__all__ = ["log_softmax", "logsumexp", "softmax"]

_SCORES = "bool, integers, float16, float32 or float64"
_CORE = {(name, masked): _native.row_function(name, masked) for name in __all__ for masked in (False, True)}


def softmax(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """
    Turn the scores of many classes into probabilities: ``exp(x / T) / sum(exp(x / T))``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis : int or tuple of ints, default -1
        The axis, or axes, of the classes.
    temperature : array_like, default 1
        What the scores are divided by: one number, or one for each row. Above 1 flattens, below 1 sharpens; 0 gives the
        largest score everything (ties share), inf makes all possible classes equal.
    where : array_like of bool, optional
        False marks an impossible class: its probability is 0, and its score is not looked at. Broadcasts to `x`.
    dtype : dtype, optional
        float16, float32 or float64; default: that of `x`.
    out : ndarray, optional
        Where to write the result; `x` itself is fine.

    Returns
    -------
    ndarray or scalar
        Probabilities, of the shape of `x`. A score of -inf has probability 0; scores of +inf share the whole; a row with
        a NaN is NaN; a row in which no class is possible is 0.

    Raises
    ------
    TypeError
        If `x`, `where`, `dtype` or `out` has a dtype that does not fit.
    ValueError
        If `temperature` is negative or NaN, or a shape does not fit.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    See Also
    --------
    log_softmax : the logarithms, right also for a class that is all but certain.

    Notes
    -----
    Scores are shifted by an integer multiple of log 2, which is exact: entries keep their digits however small they are.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.softmax([2.0, 1.0, 0.1]).round(4).tolist()
    [0.659, 0.2424, 0.0986]
    >>> sigmax.softmax([[1.0, 2.0], [3.0, 3.0]], where=[[True, False], [True, True]]).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    return _over_axis("softmax", x, axis, temperature, where, dtype, out)


def log_softmax(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """
    Turn the scores of many classes into log-probabilities: ``x / T - log(sum(exp(x / T)))``.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis, temperature, where, dtype, out
        As for :func:`softmax`.

    Returns
    -------
    ndarray or scalar
        Log-probabilities, of the shape of `x`; -inf for an impossible class.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`softmax`.

    See Also
    --------
    softmax : the probabilities.

    Notes
    -----
    The largest term is left out of the sum and ``log1p`` puts it back (Blanchard, Higham and Higham, "Accurately computing
    the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41(4), 2021): a class that is all but certain has its true
    log-probability, not 0.

    Examples
    --------
    >>> import sigmax
    >>> sigmax.log_softmax([50.0, 0.0]).tolist()
    [-1.9287498479639178e-22, -50.0]
    """
    return _over_axis("log_softmax", x, axis, temperature, where, dtype, out)


def logsumexp(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """
    Logarithm of the sum of exponentials, ``log(sum(exp(x)))``: what the softmax divides by.

    Parameters
    ----------
    x : array_like
        Class scores, any real numbers. Integers and bool are taken as float64.
    axis : int or tuple of ints, default -1
        The axis, or axes, to sum over.
    where : array_like of bool, optional
        False leaves an element out; it is not looked at. Broadcasts to `x`.
    keepdims : bool, default False
        Leave the summed axes in the result with length 1.
    dtype, out
        As for :func:`softmax`; `out` has the shape of the result.

    Returns
    -------
    ndarray or scalar
        One number a row; -inf for an empty row or one of -inf only.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`softmax`.

    Examples
    --------
    >>> import sigmax
    >>> float(sigmax.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    return _over_axis("logsumexp", x, axis, None, where, dtype, out, keepdims=keepdims)


def _over_axis(
    name: str,
    x: ArrayLike,
    axis: Axis,
    temperature: ArrayLike | None,
    where: ArrayLike | None,
    dtype: DTypeLike | None,
    out: Floats | None,
    *,
    keepdims: bool = False,
) -> Any:
    """
    Check everything, then call the core on a view whose last axis holds the classes.

    A `temperature` of None stands for a function that has none and gives one result a row. The work is done in float32
    where that is the dtype of both the scores and the result, else in float64.
    """
    scores = np.asarray(x)
    result = _result_dtype(scores.dtype, dtype)
    work = result if scores.dtype.newbyteorder("=") == result and result.itemsize >= 4 else np.dtype(np.float64)
    reduces = temperature is None

    table = np.atleast_1d(scores)
    axes = (
        (normalize_axis_index(axis, table.ndim),) if isinstance(axis, int) else normalize_axis_tuple(axis, table.ndim)
    )
    row_axes = tuple(i for i in range(table.ndim) if i not in axes)
    order = row_axes + axes
    rows = tuple(table.shape[i] for i in row_axes)
    classes = tuple(table.shape[i] for i in axes)

    operands: list[Any] = []
    if where is not None:
        operands.append(_as_rows(_mask(where, scores.shape).reshape(table.shape), order, rows))
    if temperature is not None:
        operands.append(_temperature(temperature, rows))
    if not reduces:
        shape = scores.shape
    elif keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(scores.shape))
    else:
        shape = rows
    if out is not None:
        _check_out(out, shape, result)

    core = _CORE[name, where is not None]
    y: Floats = out if out is not None and work == result else np.empty(shape, work)
    if reduces:
        target = y.squeeze(axes) if keepdims and y.ndim else y  # a view, whatever the strides
        core(_as_rows(table.astype(work, copy=False), order, rows), *operands, out=target)
    elif len(axes) == 1:
        core(table.astype(work, copy=False).transpose(order), *operands, out=y.reshape(table.shape).transpose(order))
    else:
        values = core(_as_rows(table.astype(work, copy=False), order, rows), *operands)
        y.transpose(order)[...] = values.reshape(rows + classes)
    if out is not None:
        if y is not out:
            np.copyto(out, y, casting="same_kind")
        return out
    return y.astype(result, copy=False)[()]


def _as_rows(table: NDArray[Any], order: tuple[int, ...], rows: tuple[int, ...]) -> NDArray[Any]:
    """Return `table` with its axes in `order` and those of the classes made one, the last."""
    moved = table.transpose(order)
    return moved if moved.ndim == len(rows) + 1 else moved.reshape(*rows, math.prod(moved.shape[len(rows) :]))


def _result_dtype(scores: np.dtype[Any], asked: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of the result, in native byte order; refuse what is not a real number of at most 64 bits."""
    if scores.kind not in "biuf" or scores.itemsize > 8:
        raise TypeError(f"scores of dtype {scores} are not supported; pass {_SCORES}")
    result = np.dtype(asked) if asked is not None else scores if scores.kind == "f" else np.dtype(np.float64)
    if result.kind != "f" or result.itemsize > 8:
        raise TypeError(f"dtype={result} cannot hold probabilities; pass float16, float32 or float64")
    return result.newbyteorder("=")


def _mask(where: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(where)
    if mask.dtype != np.bool_:
        raise TypeError(f"where has dtype {mask.dtype}; pass booleans, True for a class that is possible")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"where of shape {mask.shape} does not broadcast to the scores' shape {shape}") from None


def _temperature(temperature: ArrayLike, rows: tuple[int, ...]) -> Any:
    if type(temperature) is float and temperature > 0:
        return temperature
    values = np.asarray(temperature)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"temperature has dtype {values.dtype}; pass a real number, or one for each row")
    values = values.astype(np.float64)
    bad = ~(values >= 0)
    if bad.any():
        raise ValueError(
            f"temperature is {values[bad].flat[0]}; it must be at least 0 (1 leaves the scores as they are)"
        )
    try:
        fits = np.broadcast_shapes(values.shape, rows) == rows
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"temperature of shape {values.shape} does not fit the rows' shape {rows}; pass one number, or one for each row"
        )
    return values


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; pass a NumPy array")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has {shape}")
    if out.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result has {dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only; pass an array that can be written")
