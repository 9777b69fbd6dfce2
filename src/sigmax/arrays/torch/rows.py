"""The functions over an axis of class scores that give one number for each score, and their derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sigmax.arrays.torch import memory
from sigmax.arrays.torch.arguments import Arguments, into
from sigmax.arrays.torch.define import define, ops, remembered
from sigmax.arrays.torch.directions import by_temperature, direction, divisor, sum_of_others
from sigmax.arrays.torch.memory import HALVES, Flat, as_array, as_tensor, formulas, per_row, scale_of, table_of, widened
from sigmax.host.table import direct

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["per_class", "pull_softmax"]


def _run_row(
    name: str, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype
) -> Tensor:
    fast = memory.on_kernels(x)
    if fast is not None and name in fast.NAMES:
        memory.check_heat(temperature)
        found: Tensor = fast.per_class(name, x, temperature, where, axis, dtype)
        return found
    if not x.numel():
        return torch.empty_like(x, dtype=dtype)
    if not memory.is_native(x):
        flat = Flat(x, axis)
        made = flat.back(getattr(formulas(), name)(flat.row(x, temperature, where)))
        return torch.empty_like(x, dtype=dtype).copy_(made)
    if temperature is None and where is None and dtype == x.dtype and list(axis) == [x.ndim - 1]:
        y = direct(name)(as_array(x), None)
        if y is not None:
            return as_tensor(y)
    y = torch.empty_like(x, dtype=dtype)  # which keeps the order of the axes in memory, channels-last say
    table_of(x, where, axis, dtype).call(name, scale_of(temperature), y=as_array(y))
    return y


def _pullback(
    name: str, x: Tensor, g: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]
) -> Tensor:
    fast = memory.on_kernels(x)
    if fast is not None:
        memory.check_heat(temperature)
        found: Tensor = fast.pullback(name, x, g, temperature, where, axis)
        return found
    if not x.numel():
        return torch.empty_like(x)
    if not memory.is_native(x):
        flat, f = Flat(x, axis), formulas()
        r = flat.row(x, temperature, where)
        g = torch.where(r.possible, flat.to(widened(g)), 0)
        p, q = f.shares(r)
        y = p * (q * g - f.others_sum(r, p * g)) if name == "softmax_pullback" else q * g - p * f.others_sum(r, g)
        if temperature is not None:
            t = temperature.to(y.dtype)[..., None]
            y = torch.where((t == 0) & (y == 0), 0, y / t)
        return torch.empty_like(x).copy_(flat.back(y))
    table, y = table_of(x, where, axis), torch.empty_like(x)
    if 0 in g.stride():  # one number for many scores, as a sum sends it back: the core would gather it for each
        g = g.contiguous()
    table.call(name, scale_of(temperature), weights=table.per_score(as_array(g), "the gradient"), y=as_array(y))
    return y


_ROW = "Tensor x, Tensor? temperature, Tensor? where, int[] axis"


def _fake_rows(x: Tensor, temperature: Any, where: Any, axis: Any, dtype: torch.dtype) -> Tensor:
    return torch.empty_like(x, dtype=dtype)


def _define_row(name: str, backward: Any, forward: Any) -> None:
    def run(
        x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype
    ) -> Tensor:
        return _run_row(name, x, temperature, where, axis, dtype)

    def whole_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, temperature, where, axis, _, y = remembered(ctx)
        gx = backward(g.to(torch.promote_types(g.dtype, x.dtype)), x, temperature, where, axis, y)
        return gx, by_temperature(gx, x, temperature, where, axis), None, None, None

    def forward_mode(inputs: list[Any], results: list[Any], directions: Any) -> Tensor:
        x, temperature, where, axis, _ = inputs
        moved = direction(x, directions[0], temperature, directions[1], where, axis)
        return forward(moved, x, temperature, where, axis, results[0]).to(results[0].dtype)

    define(f"{name}({_ROW}, ScalarType dtype) -> Tensor", run, _fake_rows, whole_backward, forward_mode=forward_mode)


def _define_pullback(name: str, backward: Any) -> None:
    def run(g: Tensor, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]) -> Tensor:
        return _pullback(name, x, g, temperature, where, axis)

    def whole_backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        g, x, temperature, where, axis, y = remembered(ctx)
        by_g, by_x = backward(u, g, x, temperature, where, axis)
        by_t = None
        if temperature is not None and temperature.requires_grad:  # y = f(x / T) / T
            by_t = by_temperature(by_x, x, temperature, where, axis) - (u * y).sum(dim=list(axis)) / temperature
        return by_g, by_x, by_t, None, None

    def forward_mode(inputs: list[Any], results: list[Any], directions: Any) -> Tensor:
        # the derivative is linear in g, and symmetric in what it is applied to
        g, x, temperature, where, axis = inputs
        moved = direction(x, directions[1], temperature, directions[2], where, axis)
        made = backward(moved, g, x, temperature, where, axis)[1]
        if directions[0] is not None:
            made = made + getattr(ops, name)(directions[0], x, temperature, where, axis)
        if directions[2] is not None:
            made = made - (results[0] * per_row(directions[2] / temperature, axis)).to(made.dtype)
        return made.to(results[0].dtype)

    define(
        f"{name}(Tensor g, {_ROW}) -> Tensor",
        run,
        lambda g, x, temperature, where, axis: torch.empty_like(x),
        whole_backward,
        forward_mode=forward_mode,
    )


def pull_softmax(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any = None) -> Tensor:
    """Return the gradient by the scores from that by probabilities."""
    return ops.softmax_pullback(g, x, temperature, where, axis)


def _pull_log_softmax(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any = None) -> Tensor:
    return ops.log_softmax_pullback(g, x, temperature, where, axis)


def _against_the_first(x: Tensor, temperature: Any, where: Any, axis: Any) -> tuple[Tensor, ...]:
    """
    Return log p, p and 1 - p; which class is the most probable; and how the others share what that leaves.

    All but the most probable class have 1 - p of a half or more. Its own may be too small a number: by logarithms the others' shares of it,
    p_j / (1 - p), keep their digits.
    """
    wide = torch.float32 if x.dtype in HALVES else x.dtype
    log_p, log_q = (
        function(x, temperature, where, axis, torch.float64)  # whose difference is looked at
        for function in (ops.log_softmax, ops.log_softmax_complement)
    )
    p, q = (function(x, temperature, where, axis, wide) for function in (ops.softmax, ops.softmax_complement))
    rows = Flat(p, axis)
    first = rows.to(log_p).argmax(-1, keepdim=True)
    is_first = rows.back(torch.zeros_like(rows.to(p), dtype=torch.bool).scatter(-1, first, True))
    left = torch.where(is_first, log_q, 0).sum(dim=list(axis), keepdim=True)
    others = ~is_first & ~torch.isneginf(log_p)
    share = torch.where(others, torch.exp(torch.where(others, log_p - left, 0)), 0)
    return log_p, p, q, is_first, share.to(wide)


def _of_first(values: Tensor, is_first: Tensor, axis: Any) -> Tensor:
    return torch.where(is_first, values, 0).sum(dim=list(axis), keepdim=True)


def _pull_log_complement(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Tensor) -> Tensor:
    # log(1 - p) has the slope -p / (1 - p) by log p; for the most probable class that is -p (1 by itself, less the others by their shares)
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    g = torch.where(torch.isneginf(log_p), 0, widened(g))
    rest = torch.where(is_first, 0, -g * p / torch.where(is_first, 1, q))
    by_rest = rest - p * rest.sum(dim=list(axis), keepdim=True)
    own = _of_first(g * p, is_first, axis)
    by_first = own * torch.where(is_first, -share.sum(dim=list(axis), keepdim=True), share)
    return torch.where(torch.isneginf(log_p), 0, (by_rest + by_first) / divisor(temperature, axis)).to(x.dtype)


def _pull_logit(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    # y_k = x_k - log sum of the others: g_j - p_j (sum of g_k / (1 - p_k) over the others)
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    alone = is_first & (share.sum(dim=list(axis), keepdim=True) == 0)  # the only possible class, whose logit is +inf
    g = torch.where(torch.isneginf(log_p) | alone, 0, widened(g))
    others = sum_of_others(torch.where(is_first, 0, g / torch.where(is_first, 1, q)), axis)
    by_first = torch.where(is_first, 0, share * _of_first(g, is_first, axis))
    return torch.where(torch.isneginf(log_p), 0, (g - p * others - by_first) / divisor(temperature, axis)).to(x.dtype)


def _push_softmax(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    return pull_softmax(dx, x, temperature, where, axis)  # the matrix is symmetric


def _push_log_softmax(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    p = ops.softmax(x, temperature, where, axis, x.dtype)
    mean = (p * dx).sum(dim=list(axis), keepdim=True)
    return torch.where(p == 0, 0, (dx - mean) / divisor(temperature, axis))


def _push_log_complement(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Tensor) -> Tensor:
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    dx, dims = widened(dx), list(axis)
    rest = -(p / torch.where(is_first, 1, q)) * (dx - (p * dx).sum(dim=dims, keepdim=True))
    by_first = -p * (share.sum(dim=dims, keepdim=True) * dx - (share * dx).sum(dim=dims, keepdim=True))
    return torch.where(torch.isneginf(log_p), 0, torch.where(is_first, by_first, rest) / divisor(temperature, axis))


def _push_logit(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    dx, dims = widened(dx), list(axis)
    others = sum_of_others(p * dx, axis) / torch.where(is_first, 1, q)
    moved = dx - torch.where(is_first, (share * dx).sum(dim=dims, keepdim=True), others)
    alone = is_first & (share.sum(dim=dims, keepdim=True) == 0)
    return torch.where(torch.isneginf(log_p) | alone, 0, moved / divisor(temperature, axis))


def _twice_softmax(u: Tensor, g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any) -> tuple[Tensor, Tensor]:
    p = ops.softmax(x, temperature, where, axis, x.dtype)
    dims = list(axis)
    g, u = torch.where(p > 0, g, 0), torch.where(p > 0, u, 0)
    mean_g, mean_u = (p * g).sum(dim=dims, keepdim=True), (p * u).sum(dim=dims, keepdim=True)
    inner = u * (g - mean_g) - g * mean_u
    by_g = pull_softmax(u, x, temperature, where, axis)
    by_x = pull_softmax(inner, x, temperature, where, axis)
    return by_g, by_x / divisor(temperature, axis)


def _twice_log_softmax(
    u: Tensor, g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any
) -> tuple[Tensor, Tensor]:
    p = ops.softmax(x, temperature, where, axis, x.dtype)
    dims = list(axis)
    possible = p > 0
    scale = divisor(temperature, axis)
    by_g = torch.where(possible, u - (p * torch.where(possible, u, 0)).sum(dim=dims, keepdim=True), 0) / scale
    total = torch.where(possible, g, 0).sum(dim=dims, keepdim=True)
    return by_g, -total * pull_softmax(u, x, temperature, where, axis) / scale


_define_row("softmax", pull_softmax, _push_softmax)

_define_row("softmax_complement", lambda g, *rest: -pull_softmax(g, *rest), lambda dx, *rest: -_push_softmax(dx, *rest))

_define_row("log_softmax", _pull_log_softmax, _push_log_softmax)

_define_row("log_softmax_complement", _pull_log_complement, _push_log_complement)

_define_row("logit_softmax", _pull_logit, _push_logit)
_define_pullback("softmax_pullback", _twice_softmax)
_define_pullback("log_softmax_pullback", _twice_log_softmax)


def per_class(
    name: str,
    x: Any,
    *,
    axis: Any = -1,
    temperature: Any = 1.0,
    where: Any = None,
    complement: bool = False,
    dtype: Any = None,
    out: Any = None,
) -> Tensor:
    """Return one number for each score, of whatever becomes a tensor."""
    a = Arguments(x, axis, temperature, where, dtype)
    op = getattr(ops, f"{name}_complement" if complement else name)
    return into(out, a.result(op(a.x, a.temperature, a.where, a.axis, a.dtype)))
