"""The logarithm of a sum of exponentials, and its derivatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sigmax.arrays.torch import memory
from sigmax.arrays.torch.arguments import CONTRACT, Arguments, as_floats, into
from sigmax.arrays.torch.define import define, ops, remembered
from sigmax.arrays.torch.directions import direction
from sigmax.arrays.torch.memory import Flat, as_array, as_tensor, formulas, per_row, row_shape, table_of, widened
from sigmax.host.rows import sign_of_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["logsumexp"]


def _run_logsumexp(
    x: Tensor, weights: Tensor | None, where: Tensor | None, axis: Sequence[int], signed: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    if weights is not None:
        CONTRACT.weights(weights, where, signed)
    fast = memory.on_kernels(x)
    if fast is not None and weights is None:
        found: Tensor = fast.logsumexp(x, where, axis, dtype)
        return found, torch.where(torch.isnan(found), found, (found > -math.inf).to(dtype))
    if not x.numel():
        rows = row_shape(x, axis)
        return x.new_full(rows, -math.inf, dtype=dtype), x.new_zeros(rows, dtype=dtype)
    if not memory.is_native(x):
        flat, f = Flat(x, axis), formulas()
        w = torch.ones_like(x) if weights is None else weights
        value, sign = f.weighted_logsumexp(flat.to(widened(x)), flat.to(widened(w)), flat.to(where))
        return value[..., 0].to(dtype), sign[..., 0].to(dtype)
    table = table_of(x, where, axis, dtype)
    value = np.empty(table.rows, table.dtype)
    if weights is None:
        table.call("logsumexp", results=[value])
        sign = sign_of_sum(value)
    else:
        sign = np.empty_like(value)
        table.call("weighted_logsumexp", weights=table.per_score(as_array(weights), "weights"), results=[value, sign])
    return as_tensor(value), as_tensor(sign)


def _fake_logsumexp(
    x: Tensor, weights: Any, where: Any, axis: Any, signed: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    rows = row_shape(x, axis)
    return x.new_empty(rows, dtype=dtype), x.new_empty(rows, dtype=dtype)


def _by_weight(
    x: Tensor, weights: Tensor, where: Tensor | None, axis: Sequence[int], value: Tensor
) -> tuple[Tensor, Tensor]:
    """Return which terms count, and the slope by each weight but for the sign, e^(x - value); by a score it is w times that."""
    counts = (weights != 0) if where is None else (weights != 0) & where
    exponent = torch.where(counts | (weights == 0), widened(x) - widened(per_row(value, axis)), -math.inf)
    return counts, torch.where(torch.isneginf(widened(x)), 0, torch.exp(exponent))


def _back_logsumexp(ctx: Any, g: Tensor, _by_sign: Any) -> tuple[Tensor | None, ...]:
    x, weights, where, axis, _, _, value, sign = remembered(ctx)
    if g is None:
        return (None,) * 6
    if weights is None:
        p = ops.softmax(x, None, where, axis, x.dtype)
        return per_row(g, axis).to(x.dtype) * p, None, None, None, None, None
    counts, slope = _by_weight(x, weights, where, axis, value)
    share = slope * per_row(sign * g, axis)
    return (torch.where(counts, share * weights, 0)).to(x.dtype), share.to(weights.dtype), None, None, None, None


def _push_logsumexp(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, weights, where, axis, _, _ = inputs
    value, sign = results
    moved = direction(x, directions[0], None, None, where, axis)
    if weights is None:
        p = ops.softmax(x, None, where, axis, x.dtype)
        return (p * moved).sum(dim=list(axis)).to(value.dtype), torch.zeros_like(sign)
    counts, slope = _by_weight(x, weights, where, axis, value)
    share = slope * per_row(sign, axis)
    terms = torch.where(counts, share * weights * moved, 0)
    if directions[1] is not None:
        terms = terms + share * directions[1]
    return terms.sum(dim=list(axis)).to(value.dtype), torch.zeros_like(sign)


define(
    "logsumexp(Tensor x, Tensor? weights, Tensor? where, int[] axis, bool signed, ScalarType dtype) -> (Tensor, Tensor)",
    _run_logsumexp,
    _fake_logsumexp,
    _back_logsumexp,
    forward_mode=_push_logsumexp,
)


def logsumexp(
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
    """Return the logarithm of the sum of exponentials of whatever becomes a tensor."""
    a = Arguments(x, axis, 1.0, where, dtype)
    w = None
    if weights is not None:
        w = a.beside(as_floats(weights, "weights", a.x), "weights")
    value, sign = ops.logsumexp(a.x, w, a.where, a.axis, return_sign, a.dtype)
    if keepdims and not a.single:
        value, sign = per_row(value, a.axis), per_row(sign, a.axis)
    value = into(out, value)
    return (value, sign) if return_sign else value
