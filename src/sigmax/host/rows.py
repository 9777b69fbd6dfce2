"""The functions over an axis of class scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.dtypes import CONTRACT, as_float
from sigmax.host.table import ScoreTable, check_out, check_temperature, direct, is_usual

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sigmax.host.contract import Axis

    Floats = NDArray[np.floating[Any]]

__all__ = ["log_softmax", "logit_softmax", "logsumexp", "softmax"]


def softmax(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    complement: bool = False,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Return probabilities."""
    return _per_class("softmax_complement" if complement else "softmax", x, axis, temperature, where, dtype, out)


def log_softmax(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    complement: bool = False,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Return their logarithms."""
    name = "log_softmax_complement" if complement else "log_softmax"
    return _per_class(name, x, axis, temperature, where, dtype, out)


def logit_softmax(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Return their log-odds."""
    return _per_class("logit_softmax", x, axis, temperature, where, dtype, out)


def _per_class(
    name: str,
    x: ArrayLike,
    axis: Axis,
    temperature: ArrayLike,
    where: ArrayLike | None,
    dtype: DTypeLike | None,
    out: Floats | None,
) -> Any:
    """Call the core's function `name`, which gives one number for each score."""
    if where is None and dtype is None and is_usual(axis, temperature):
        y = direct(name)(x, out)
        if y is not None:
            return y
    table = ScoreTable(x, axis, where, dtype)
    scale = check_temperature(temperature, table.rows)
    if out is not None:
        check_out(out, table.shape, table.dtype)
    y = np.empty(table.shape, table.dtype) if out is None else out
    table.call(name, scale, y=y)
    return y[()] if out is None else out


def logsumexp(
    x: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    weights: ArrayLike | None = None,
    where: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    dtype: DTypeLike | None = None,
    out: Floats | None = None,
) -> Any:
    """Return the logarithm of the sum of exponentials, and the sign of the sum if asked for."""
    if where is None and dtype is None and weights is None and not (keepdims or return_sign) and is_usual(axis):
        value = direct("logsumexp")(x, out)
        if value is not None:
            return value
    table = ScoreTable(x, axis, where, dtype)
    factors = None if weights is None else _weights(table, weights, return_sign)
    shape = table.kept_shape() if keepdims else table.rows
    if out is not None:
        check_out(out, shape, table.dtype)
    y = np.empty(shape, table.dtype) if out is None else out
    if factors is not None:
        sign = np.empty(shape, table.dtype)
        table.call("weighted_logsumexp", weights=factors, results=[y, sign])
    else:
        table.call("logsumexp", results=[y])
        if return_sign:
            sign = sign_of_sum(y)
    value = y[()] if out is None else out
    return (value, sign[()]) if return_sign else value


def sign_of_sum(value: NDArray[Any]) -> NDArray[Any]:
    """Return the sign of a sum without weights from its logarithm."""
    return np.where(value == -np.inf, 0, np.where(np.isnan(value), value, 1)).astype(value.dtype)


def _weights(table: ScoreTable, weights: ArrayLike, signed: bool) -> NDArray[Any]:
    """Return the weights as rows; refuse what cannot be a weight of an element that counts."""
    if isinstance(weights, np.ma.MaskedArray):  # an element of which no weight is known is left out
        weights = weights.filled(0)
    values = as_float(np.asarray(weights), "weights")
    rows = table.per_score(values, "weights")
    mask = table.mask
    CONTRACT.weights(values if mask is None else np.broadcast_to(values, table.shape), mask, signed)
    return rows
