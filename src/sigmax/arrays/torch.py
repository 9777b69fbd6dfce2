"""
PyTorch: every function is an operator of its own, ``torch.ops.sigmax...``, so that autograd, torch.compile, vmap and meta tensors know it.

On the CPU an operator hands the tensor's own memory to the core; on any other device it uses torch's operations in the formulas of
:mod:`sigmax.arrays.formulas`. Derivatives are written with the operators again, which makes them differentiable in turn.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import math
import sys
import types
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

import sigmax.gradients
import sigmax.links
import sigmax.losses
import sigmax.rows
from sigmax.arrays import registry
from sigmax.arrays.formulas import Formulas
from sigmax.losses import check_sums
from sigmax.over_axis import ScoreTable, axes_of, check_temperature, no_broadcast, no_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["are_values_known", "binary_cross_entropy", "call", "check_labels", "cross_entropy", "reduced_cross_entropy"]

_library = torch.library.Library("sigmax", "DEF")
_ops: Any = types.SimpleNamespace()  # the operators, as everything here calls them
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_HALVES = {torch.float16, torch.bfloat16}


# ---- tensors and arrays ----


def _array(x: Tensor) -> np.ndarray[Any, Any]:
    """Return the memory of a CPU tensor as an array."""
    x = x.detach().resolve_neg()
    if x.dtype == torch.bfloat16:
        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def _tensor(x: Any) -> Tensor:
    """Return an array's memory as a CPU tensor."""
    x = np.asarray(x)
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def _is_native(x: Tensor) -> bool:
    """Return whether the core can work on the memory of `x`."""
    return x.device.type == "cpu"


@functools.cache
def _formulas() -> Formulas:
    try:
        from array_api_compat import torch as xp
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "tensors that are not on the CPU need 'array-api-compat'; install it with: pip install 'sigmax[arrays]'",
            name="array_api_compat",
        ) from None
    return Formulas(xp)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in _HALVES else x


# ---- elementwise: name, derivative ----


def _slope_of_logit(p: Tensor) -> Tensor:
    return torch.where((p >= 0) & (p <= 1), 1 / (p * (1 - p)), math.nan)


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: _ops.sigmoid(x) * _ops.sigmoid(-x),
    "logit": _slope_of_logit,
    "odds": lambda p: torch.where((p >= 0) & (p <= 1), 1 / ((1 - p) * (1 - p)), math.nan),
    "from_odds": lambda o: torch.where(o >= 0, 1 / ((1 + o) * (1 + o)), math.nan),
    "log_sigmoid": lambda x: _ops.sigmoid(-x),
    "softplus": lambda x: _ops.sigmoid(x),  # noqa: PLW0108 - it is made below
    "log1mexp": lambda l: torch.where(l <= 0, -1 / torch.expm1(-l), math.nan),
    "logitexp": lambda l: torch.where(l <= 0, -1 / torch.expm1(l), math.nan),
}


def _define(
    schema: str, run: Any, shape: Any, backward: Any = None, vmap: Any = None, forward_mode: Any = None
) -> None:
    """
    Make an operator: what it does, what comes out, its derivatives, and how it takes one more axis.

    `backward` takes gradients by the results to gradients by the inputs; `forward_mode` takes inputs, results and directions of the
    inputs (None where one stands still) to directions of the results.
    """
    name = schema.partition("(")[0]
    vmap = vmap or functools.partial(_over_rows, name)
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"sigmax::{name}", shape, lib=_library)
    torch.library.register_vmap(f"sigmax::{name}", vmap, lib=_library)
    operator = getattr(torch.ops.sigmax, name).default
    if backward is None:
        setattr(_ops, name, operator)
        return
    backward = _unless_unused(backward)
    torch.library.register_autograd(f"sigmax::{name}", backward, setup_context=_remember, lib=_library)

    def jvp(ctx: Any, *directions: Tensor | None) -> Any:
        values = _remembered(ctx)
        return forward_mode(values[: ctx.inputs], values[ctx.inputs :], directions)

    parts = {"forward": operator, "setup_context": _remember, "backward": backward, "vmap": vmap, "jvp": jvp}
    mapped = type(name, (torch.autograd.Function,), {key: staticmethod(part) for key, part in parts.items()})

    def forward(ctx: Any, *args: Any) -> Any:
        output = run(*args)
        _remember(ctx, args, output)
        return output

    parts = {"forward": forward, "backward": backward, "jvp": jvp}
    direct = type(name, (torch.autograd.Function,), {key: staticmethod(part) for key, part in parts.items()})

    def apply(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return operator(*args)
        if torch._C._are_functorch_transforms_active():  # they want a Function, but for the one that has no rule for it
            _refuse_forward_twice()
            return operator(*args) if _is_functionalized() else mapped.apply(*args)
        # past the dispatcher, which takes 50 us, where there is nobody that it would tell
        return direct.apply(*args) if _are_plain(args) else operator(*args)

    setattr(_ops, name, apply)


_FUNCTORCH = getattr(torch._C, "_functorch", None)
_is_legacy_batched = getattr(_FUNCTORCH, "is_legacy_batchedtensor", lambda _: False)  # in gradients of several at once


def _is_functionalized() -> bool:
    kind = getattr(getattr(_FUNCTORCH, "TransformType", None), "Functionalize", None)
    peek = getattr(_FUNCTORCH, "peek_interpreter_stack", None)
    return kind is not None and peek is not None and peek().key() == kind


def _refuse_forward_twice() -> None:
    """Refuse a forward derivative of a forward one: PyTorch gives 0 for that of any autograd.Function, without a word."""
    kind = getattr(getattr(_FUNCTORCH, "TransformType", None), "Jvp", None)
    levels = getattr(_FUNCTORCH, "get_interpreter_stack", lambda: None)() or ()
    if kind is not None and sum(level.key() == kind for level in levels) > 1:
        raise NotImplementedError(
            "a forward derivative of a forward one would be 0 in PyTorch, whatever it is; take one of the two backwards, as torch.func.hessian does"
        )


def _are_plain(args: tuple[Any, ...]) -> bool:
    tensors = [v for v in args if isinstance(v, Tensor)]
    kinds = {type(v) for v in tensors}
    return (
        kinds <= {Tensor, torch.nn.Parameter}
        and all(v.device.type == "cpu" for v in tensors)
        and torch._C._len_torch_dispatch_stack() == 0
        and not any(map(_is_legacy_batched, tensors))
    )


def _unless_unused(backward: Any) -> Any:
    """Let a derivative be called only where there is a gradient to begin with."""

    def derivative(ctx: Any, *gradients: Tensor | None) -> Any:
        if all(g is None for g in gradients):
            return (None,) * ctx.inputs if ctx.inputs > 1 else None
        return backward(ctx, *gradients)

    return derivative


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what a derivative may want: all inputs and results."""
    outputs = output if isinstance(output, tuple) else (output,)
    tensors = [v for v in (*inputs, *outputs) if isinstance(v, Tensor)]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)  # a result that nobody used has no gradient, not zeros to work on
    ctx.inputs = len(inputs)
    ctx.rest = [None if isinstance(v, Tensor) else (v,) for v in (*inputs, *outputs)]


def _remembered(ctx: Any) -> list[Any]:
    tensors = iter(ctx.saved_tensors)
    return [next(tensors) if v is None else v[0] for v in ctx.rest]


def _define_link(name: str) -> None:
    function = getattr(sigmax.links, name)
    slope = _SLOPES[name]

    def run(x: Tensor) -> Tensor:
        if _is_native(x):
            with np.errstate(all="ignore"):
                return _tensor(function(_array(x)))
        return getattr(_formulas(), name)(_wide(x)).to(x.dtype)

    def backward(ctx: Any, g: Tensor) -> Tensor:
        x = _remembered(ctx)[0]
        return (_wide(g) * slope(_wide(x))).to(x.dtype)

    def vmap(_info: Any, in_dims: Any, x: Tensor) -> tuple[Tensor, int]:
        return getattr(_ops, name)(x), in_dims[0]

    def forward_mode(inputs: list[Any], _results: Any, directions: Any) -> Tensor:
        x = inputs[0]
        return (_wide(directions[0]) * slope(_wide(x))).to(x.dtype)

    _define(f"{name}(Tensor x) -> Tensor", run, torch.empty_like, backward, vmap, forward_mode)


# ---- over axes ----


def _row_shape(x: Tensor, axes: Sequence[int]) -> list[int]:
    return [n for i, n in enumerate(x.shape) if i not in axes]


def _spread(value: Tensor, axes: Sequence[int]) -> Tensor:
    """Give one number a row back the axes of the classes, of length 1."""
    for i in sorted(axes):
        value = value.unsqueeze(i)
    return value


def _divisor(temperature: Tensor | None, axes: Sequence[int]) -> Any:
    """Return what a derivative by x / T is divided by, one number a row or 1; at T = 0 results are steps, whose derivative is 0."""
    if temperature is None:
        return 1
    spread = _spread(temperature, axes)
    return torch.where(spread == 0, math.inf, spread)


def _in_front(info: Any, in_dims: Any, args: Any) -> list[Any]:
    """Return the arguments with the mapped axis of every tensor in front, made for those that have none."""
    return [
        v if not isinstance(v, Tensor) else v.movedim(d, 0) if d is not None else v.expand(info.batch_size, *v.shape)
        for v, d in zip(args, in_dims, strict=True)
    ]


def _over_rows(name: str, info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    """Run an operator over rows with the mapped axis in front of all others."""
    moved = _in_front(info, in_dims, args)
    # the axes of the classes are one further back
    moved = [[i + 1 for i in v] if isinstance(v, list | tuple) else v for v in moved]
    result = getattr(_ops, name)(*moved)
    return result, (0,) * len(result) if isinstance(result, tuple | list) else 0


class _Flat:
    """Rows for the formulas: the classes in one axis, the last."""

    def __init__(self, x: Tensor, axes: Sequence[int]) -> None:
        self.order = [i for i in range(x.ndim) if i not in axes] + list(axes)
        self.shape = [x.shape[i] for i in self.order]
        self.rows = self.shape[: x.ndim - len(axes)]

    def to(self, x: Tensor | None) -> Tensor | None:
        return None if x is None else x.permute(self.order).reshape(*self.rows, -1)

    def back(self, y: Tensor) -> Tensor:
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return y.reshape(self.shape).permute(inverse)

    def row(self, x: Tensor, temperature: Tensor | None, where: Tensor | None) -> Any:
        if temperature is not None:
            check_temperature(temperature.detach().double().cpu().numpy(), tuple(temperature.shape))
        t = None if temperature is None else temperature[..., None]
        return _formulas().row(self.to(_wide(x)), t, self.to(where))


def _table(x: Tensor, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype | None = None) -> ScoreTable:
    out = None if dtype is None else _array(torch.empty(0, dtype=dtype)).dtype
    return ScoreTable(_array(x), tuple(axis), None if where is None else _array(where), out)


def _scale(temperature: Tensor | None) -> Any:
    """Return the temperature as the core takes it. Values are looked at in the operators, where they are known."""
    return 1.0 if temperature is None else check_temperature(_array(temperature.double()), tuple(temperature.shape))


def _per_class(
    name: str, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype
) -> Tensor:
    if not _is_native(x):
        flat = _Flat(x, axis)
        made = flat.back(getattr(_formulas(), name)(flat.row(x, temperature, where)))
        return torch.empty_like(x, dtype=dtype).copy_(made)
    if temperature is None and where is None and dtype == x.dtype and list(axis) == [x.ndim - 1]:
        y = sigmax.rows.direct(name)(_array(x), None)
        if y is not None:
            return _tensor(y)
    y = torch.empty_like(x, dtype=dtype)  # which keeps the order of the axes in memory, channels-last say
    _table(x, where, axis, dtype).call(name, _scale(temperature), y=_array(y))
    return y


def _pullback(
    name: str, x: Tensor, g: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]
) -> Tensor:
    if not _is_native(x):
        flat, f = _Flat(x, axis), _formulas()
        r = flat.row(x, temperature, where)
        g = torch.where(r.possible, flat.to(_wide(g)), 0)
        p, q = f.shares(r)
        y = p * (q * g - f.others_sum(r, p * g)) if name == "softmax_pullback" else q * g - p * f.others_sum(r, g)
        y = y if temperature is None else y / temperature.to(y.dtype)[..., None]
        return torch.empty_like(x).copy_(flat.back(y))
    table, y = _table(x, where, axis), torch.empty_like(x)
    table.call(name, _scale(temperature), weights=table.per_score(_array(g), "the gradient"), y=_array(y))
    return y


def _by_temperature(
    gx: Tensor, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]
) -> Tensor | None:
    """Return the gradient by the temperature, from the one by the scores."""
    if temperature is None or not temperature.requires_grad:
        return None
    possible = torch.isfinite(x) if where is None else torch.isfinite(x) & where
    terms = torch.where(possible, _wide(gx) * torch.where(possible, _wide(x), 0), 0)
    return (-terms.sum(dim=list(axis)) / temperature).to(temperature.dtype)


def _direction(
    x: Tensor,
    dx: Tensor | None,
    temperature: Tensor | None,
    dt: Tensor | None,
    where: Tensor | None,
    axis: Sequence[int],
) -> Tensor:
    """Return the direction of the scores that has the effect of directions of scores and temperature; 0 for an impossible class."""
    possible = torch.isfinite(x) if where is None else torch.isfinite(x) & where
    moved = torch.zeros_like(x) if dx is None else dx
    if dt is not None and temperature is not None:
        moved = moved - (torch.where(possible, x, 0) * _spread(dt / temperature, axis)).to(x.dtype)
    return torch.where(possible, moved, 0)


def _sum_of_others(values: Tensor, axis: Sequence[int]) -> Tensor:
    """Return for each class the sum over all others, without that of the largest cancelling."""
    rows = _Flat(values, axis)
    flat = rows.to(values)
    first = flat.abs().argmax(-1, keepdim=True)
    is_first = torch.zeros_like(flat, dtype=torch.bool).scatter(-1, first, True)
    rest = torch.where(is_first, 0, flat).sum(-1, keepdim=True)
    own = torch.where(is_first, flat, 0).sum(-1, keepdim=True)
    return rows.back(torch.where(is_first, rest, (rest - flat) + own))


_ROW = "Tensor x, Tensor? temperature, Tensor? where, int[] axis"


def _fake_rows(x: Tensor, temperature: Any, where: Any, axis: Any, dtype: torch.dtype) -> Tensor:
    return torch.empty_like(x, dtype=dtype)


def _define_row(name: str, backward: Any, forward: Any) -> None:
    def run(
        x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype
    ) -> Tensor:
        return _per_class(name, x, temperature, where, axis, dtype)

    def whole_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, temperature, where, axis, _, y = _remembered(ctx)
        gx = backward(g.to(torch.promote_types(g.dtype, x.dtype)), x, temperature, where, axis, y)
        return gx, _by_temperature(gx, x, temperature, where, axis), None, None, None

    def forward_mode(inputs: list[Any], results: list[Any], directions: Any) -> Tensor:
        x, temperature, where, axis, _ = inputs
        moved = _direction(x, directions[0], temperature, directions[1], where, axis)
        return forward(moved, x, temperature, where, axis, results[0]).to(results[0].dtype)

    _define(f"{name}({_ROW}, ScalarType dtype) -> Tensor", run, _fake_rows, whole_backward, forward_mode=forward_mode)


def _define_pullback(name: str, backward: Any) -> None:
    def run(g: Tensor, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]) -> Tensor:
        return _pullback(name, x, g, temperature, where, axis)

    def whole_backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        g, x, temperature, where, axis, y = _remembered(ctx)
        by_g, by_x = backward(u, g, x, temperature, where, axis)
        by_t = None
        if temperature is not None and temperature.requires_grad:  # y = f(x / T) / T
            by_t = _by_temperature(by_x, x, temperature, where, axis) - (u * y).sum(dim=list(axis)) / temperature
        return by_g, by_x, by_t, None, None

    def forward_mode(inputs: list[Any], results: list[Any], directions: Any) -> Tensor:
        # the derivative is linear in g, and symmetric in what it is applied to
        g, x, temperature, where, axis = inputs
        moved = _direction(x, directions[1], temperature, directions[2], where, axis)
        made = backward(moved, g, x, temperature, where, axis)[1]
        if directions[0] is not None:
            made = made + getattr(_ops, name)(directions[0], x, temperature, where, axis)
        if directions[2] is not None:
            made = made - (results[0] * _spread(directions[2] / temperature, axis)).to(made.dtype)
        return made.to(results[0].dtype)

    _define(
        f"{name}(Tensor g, {_ROW}) -> Tensor",
        run,
        lambda g, x, temperature, where, axis: torch.empty_like(x),
        whole_backward,
        forward_mode=forward_mode,
    )


def _pull_softmax(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any = None) -> Tensor:
    return _ops.softmax_pullback(g, x, temperature, where, axis)


def _pull_log_softmax(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any = None) -> Tensor:
    return _ops.log_softmax_pullback(g, x, temperature, where, axis)


def _against_the_first(x: Tensor, temperature: Any, where: Any, axis: Any) -> tuple[Tensor, ...]:
    """
    Return log p, p and 1 - p; which class is the most probable; and how the others share what that leaves.

    All but the most probable class have 1 - p of a half or more. Its own may be too small a number: by logarithms the others' shares of it,
    p_j / (1 - p), keep their digits.
    """
    wide = torch.float32 if x.dtype in _HALVES else x.dtype
    log_p, log_q = (
        function(x, temperature, where, axis, torch.float64)  # whose difference is looked at
        for function in (_ops.log_softmax, _ops.log_softmax_complement)
    )
    p, q = (function(x, temperature, where, axis, wide) for function in (_ops.softmax, _ops.softmax_complement))
    rows = _Flat(p, axis)
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
    g = torch.where(torch.isneginf(log_p), 0, _wide(g))
    rest = torch.where(is_first, 0, -g * p / torch.where(is_first, 1, q))
    by_rest = rest - p * rest.sum(dim=list(axis), keepdim=True)
    own = _of_first(g * p, is_first, axis)
    by_first = own * torch.where(is_first, -share.sum(dim=list(axis), keepdim=True), share)
    return torch.where(torch.isneginf(log_p), 0, (by_rest + by_first) / _divisor(temperature, axis)).to(x.dtype)


def _pull_logit(g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    # y_k = x_k - log sum of the others: g_j - p_j (sum of g_k / (1 - p_k) over the others)
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    alone = is_first & (share.sum(dim=list(axis), keepdim=True) == 0)  # the only possible class, whose logit is +inf
    g = torch.where(torch.isneginf(log_p) | alone, 0, _wide(g))
    others = _sum_of_others(torch.where(is_first, 0, g / torch.where(is_first, 1, q)), axis)
    by_first = torch.where(is_first, 0, share * _of_first(g, is_first, axis))
    return torch.where(torch.isneginf(log_p), 0, (g - p * others - by_first) / _divisor(temperature, axis)).to(x.dtype)


def _push_softmax(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    return _pull_softmax(dx, x, temperature, where, axis)  # the matrix is symmetric


def _push_log_softmax(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    p = _ops.softmax(x, temperature, where, axis, x.dtype)
    mean = (p * dx).sum(dim=list(axis), keepdim=True)
    return torch.where(p == 0, 0, (dx - mean) / _divisor(temperature, axis))


def _push_log_complement(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Tensor) -> Tensor:
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    dx, dims = _wide(dx), list(axis)
    rest = -(p / torch.where(is_first, 1, q)) * (dx - (p * dx).sum(dim=dims, keepdim=True))
    by_first = -p * (share.sum(dim=dims, keepdim=True) * dx - (share * dx).sum(dim=dims, keepdim=True))
    return torch.where(torch.isneginf(log_p), 0, torch.where(is_first, by_first, rest) / _divisor(temperature, axis))


def _push_logit(dx: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any, _y: Any) -> Tensor:
    log_p, p, q, is_first, share = _against_the_first(x, temperature, where, axis)
    dx, dims = _wide(dx), list(axis)
    others = _sum_of_others(p * dx, axis) / torch.where(is_first, 1, q)
    moved = dx - torch.where(is_first, (share * dx).sum(dim=dims, keepdim=True), others)
    alone = is_first & (share.sum(dim=dims, keepdim=True) == 0)
    return torch.where(torch.isneginf(log_p) | alone, 0, moved / _divisor(temperature, axis))


def _twice_softmax(u: Tensor, g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any) -> tuple[Tensor, Tensor]:
    p = _ops.softmax(x, temperature, where, axis, x.dtype)
    dims = list(axis)
    g, u = torch.where(p > 0, g, 0), torch.where(p > 0, u, 0)
    mean_g, mean_u = (p * g).sum(dim=dims, keepdim=True), (p * u).sum(dim=dims, keepdim=True)
    inner = u * (g - mean_g) - g * mean_u
    by_g = _pull_softmax(u, x, temperature, where, axis)
    by_x = _pull_softmax(inner, x, temperature, where, axis)
    return by_g, by_x / _divisor(temperature, axis)


def _twice_log_softmax(
    u: Tensor, g: Tensor, x: Tensor, temperature: Any, where: Any, axis: Any
) -> tuple[Tensor, Tensor]:
    p = _ops.softmax(x, temperature, where, axis, x.dtype)
    dims = list(axis)
    possible = p > 0
    scale = _divisor(temperature, axis)
    by_g = torch.where(possible, u - (p * torch.where(possible, u, 0)).sum(dim=dims, keepdim=True), 0) / scale
    total = torch.where(possible, g, 0).sum(dim=dims, keepdim=True)
    return by_g, -total * _pull_softmax(u, x, temperature, where, axis) / scale


# ---- sums and losses ----


def _run_logsumexp(
    x: Tensor, weights: Tensor | None, where: Tensor | None, axis: Sequence[int], signed: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    if weights is not None:
        _check_weights(weights, where, signed)
    if not _is_native(x):
        flat, f = _Flat(x, axis), _formulas()
        w = torch.ones_like(x) if weights is None else weights
        value, sign = f.weighted_logsumexp(flat.to(_wide(x)), flat.to(_wide(w)), flat.to(where))
        return value[..., 0].to(dtype), sign[..., 0].to(dtype)
    table = _table(x, where, axis, dtype)
    value = np.empty(table.rows, table.dtype)
    sign = np.empty(table.rows, table.dtype)
    if weights is None:
        table.call("logsumexp", results=[value])
        sign[...] = np.where(value == -np.inf, 0, np.where(np.isnan(value), value, 1))
    else:
        table.call("weighted_logsumexp", weights=table.per_score(_array(weights), "weights"), results=[value, sign])
    return _tensor(value), _tensor(sign)


def _fake_logsumexp(
    x: Tensor, weights: Any, where: Any, axis: Any, signed: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    rows = _row_shape(x, axis)
    return x.new_empty(rows, dtype=dtype), x.new_empty(rows, dtype=dtype)


def _by_weight(
    x: Tensor, weights: Tensor, where: Tensor | None, axis: Sequence[int], value: Tensor
) -> tuple[Tensor, Tensor]:
    """Return which terms count, and the slope by each weight but for the sign, e^(x - value); by a score it is w times that."""
    counts = (weights != 0) if where is None else (weights != 0) & where
    exponent = torch.where(counts | (weights == 0), _wide(x) - _wide(_spread(value, axis)), -math.inf)
    return counts, torch.where(torch.isneginf(_wide(x)), 0, torch.exp(exponent))


def _back_logsumexp(ctx: Any, g: Tensor, _by_sign: Any) -> tuple[Tensor | None, ...]:
    x, weights, where, axis, _, _, value, sign = _remembered(ctx)
    if g is None:
        return (None,) * 6
    if weights is None:
        p = _ops.softmax(x, None, where, axis, x.dtype)
        return _spread(g, axis).to(x.dtype) * p, None, None, None, None, None
    counts, slope = _by_weight(x, weights, where, axis, value)
    share = slope * _spread(sign * g, axis)
    return (torch.where(counts, share * weights, 0)).to(x.dtype), share.to(weights.dtype), None, None, None, None


def _push_logsumexp(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, weights, where, axis, _, _ = inputs
    value, sign = results
    moved = _direction(x, directions[0], None, None, where, axis)
    if weights is None:
        p = _ops.softmax(x, None, where, axis, x.dtype)
        return (p * moved).sum(dim=list(axis)).to(value.dtype), torch.zeros_like(sign)
    counts, slope = _by_weight(x, weights, where, axis, value)
    share = slope * _spread(sign, axis)
    terms = torch.where(counts, share * weights * moved, 0)
    if directions[1] is not None:
        terms = terms + share * directions[1]
    return terms.sum(dim=list(axis)).to(value.dtype), torch.zeros_like(sign)


def _through_gradient(
    v: Tensor,
    x: Tensor,
    y: Tensor,
    temperature: Tensor | None,
    where: Tensor | None,
    axis: Sequence[int],
    smoothing: float,
    ignore: int | None,
) -> Tensor:
    """
    Return the product of v with the slope by the scores of the gradient of the cross-entropy, (Q p - q) / T.

    That slope is symmetric: the product is the same forwards and backwards.
    """
    product = _pull_softmax(v, x, temperature, where, axis)
    if not _is_classes(y):
        product = product * (y.sum(dim=list(axis), keepdim=True) * (1 - smoothing) + smoothing)
    product = product / _divisor(temperature, axis)
    if ignore is not None and _is_classes(y):
        product = torch.where(_spread(y != ignore, axis), product, 0)
    return product


def _push_cross_entropy(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, y, temperature, where, axis, smoothing, ignore, _ = inputs
    loss, gradient = results
    dims = list(axis)
    moved = _direction(x, directions[0], temperature, directions[2], where, axis)
    by_loss = (gradient * moved).sum(dim=dims)
    by_gradient = _through_gradient(moved, x, y, temperature, where, axis, smoothing, ignore)
    if not _is_classes(y) and directions[1] is not None:
        dq = directions[1] * (1 - smoothing)
        log_p = _ops.log_softmax(x, temperature, where, axis, x.dtype)
        by_loss = by_loss - torch.where(dq == 0, 0, log_p * dq).sum(dim=dims)
        p = _ops.softmax(x, temperature, where, axis, x.dtype)
        by_gradient = by_gradient + (dq.sum(dim=dims, keepdim=True) * p - dq) / _divisor(temperature, axis)
    if directions[2] is not None:
        by_gradient = by_gradient - gradient * _spread(directions[2] / temperature, axis)
    return by_loss.to(loss.dtype), by_gradient.to(gradient.dtype)


def _push_reduced(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, y, axis, _, ignore, mean = inputs
    loss, gradient = results
    kept = y != ignore
    moved = torch.where(_spread(kept, axis), directions[0], 0)
    rows = kept.sum().clamp(min=1) if mean else 1
    return ((gradient * moved).sum() / rows).to(loss.dtype), _pull_softmax(moved, x, None, None, axis)


def _push_binary(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x = inputs[0]
    loss, gradient = results
    by_loss, by_gradient = torch.zeros_like(loss), torch.zeros_like(gradient)
    if directions[0] is not None:
        by_loss = by_loss + gradient * directions[0]
        by_gradient = by_gradient + (_wide(directions[0]) * _SLOPES["sigmoid"](_wide(x))).to(x.dtype)
    if directions[1] is not None:
        by_loss = by_loss - (x * directions[1]).to(x.dtype)
        by_gradient = by_gradient - directions[1].to(x.dtype)
    return by_loss, by_gradient


_CE = "Tensor x, Tensor y, Tensor? temperature, Tensor? where, int[] axis, float label_smoothing, int? ignore, bool any_label"


def _is_classes(y: Tensor) -> bool:
    return not y.dtype.is_floating_point


def _run_cross_entropy(
    with_gradient: bool,
    x: Tensor,
    y: Tensor,
    temperature: Tensor | None,
    where: Tensor | None,
    axis: Sequence[int],
    smoothing: float,
    ignore: int | None,
    any_label: bool = False,
) -> Any:
    ignored = None
    classes = math.prod(x.shape[i] for i in axis)
    if not _is_classes(y):
        if not any_label:
            check_labels(y, axis)
    elif _is_class(ignore, classes) or not _are_classes(y, classes):
        if ignore is not None:  # as a label, it stands for none; it may be the number of a class
            ignored = y == ignore
            y = torch.where(ignored, 0, y)
        _check_classes(y, classes)
    run = _native_cross_entropy if _is_native(x) else _foreign_cross_entropy
    loss, gradient = run(with_gradient, x, y, temperature, where, axis, smoothing)
    if ignored is not None:
        loss = loss.masked_fill(ignored, 0)
        gradient = None if gradient is None else gradient.masked_fill(_spread(ignored, axis), 0)
    return (loss, gradient) if with_gradient else loss


def _native_cross_entropy(
    with_gradient: bool, x: Tensor, y: Tensor, temperature: Any, where: Any, axis: Sequence[int], smoothing: float
) -> tuple[Tensor, Tensor | None]:
    table = _table(x, where, axis)
    loss = np.empty(table.rows, table.dtype)
    gradient = np.empty(table.shape, table.dtype) if with_gradient else None
    name = "cross_entropy_and_grad" if with_gradient else "cross_entropy"
    if _is_classes(y):
        table.call(name, _array(y.long()), _scale(temperature), smoothing, results=[loss], y=gradient)
    else:
        weights = table.per_score(_array(y), "labels")
        table.call(f"target_{name}", _scale(temperature), smoothing, weights=weights, results=[loss], y=gradient)
    return _tensor(loss), None if gradient is None else _tensor(gradient)


def _foreign_cross_entropy(
    with_gradient: bool, x: Tensor, y: Tensor, temperature: Any, where: Any, axis: Sequence[int], smoothing: float
) -> tuple[Tensor, Tensor | None]:
    flat, f = _Flat(x, axis), _formulas()
    r = flat.row(x, temperature, where)
    q = torch.zeros_like(r.t).scatter(-1, y[..., None], 1) if _is_classes(y) else flat.to(_wide(y))
    q = f.target(r, q, smoothing)
    loss = f.cross_entropy(r, q)[..., 0].to(x.dtype)
    if not with_gradient:
        return loss, None
    t = None if temperature is None else temperature[..., None]
    return loss, flat.back(f.cross_entropy_slope(r, q, t)).to(x.dtype)


def _is_class(ignore: int | None, classes: int) -> bool:
    return ignore is not None and 0 <= ignore < classes


def _are_classes(y: Tensor, classes: int) -> bool:
    if not y.numel():
        return True
    if y.device.type != "cpu":
        return not bool(((y < 0) | (y >= classes)).any())
    numbers = _array(y)  # a negative one is huge without its sign
    return bool(numbers.view(f"u{numbers.itemsize}").max() < classes)


def _back_cross_entropy(ctx: Any, by_loss: Tensor, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, temperature, where, axis, smoothing, ignore, _, _, gradient = _remembered(ctx)
    if by_loss is None:
        by_loss = gradient.new_zeros(_row_shape(x, axis))
    by_x = _spread(by_loss, axis) * gradient
    by_y = None
    soft = not _is_classes(y)
    if soft and y.requires_grad:
        log_p = _ops.log_softmax(x, temperature, where, axis, x.dtype)
        by_y = (-_spread(by_loss, axis) * log_p * (1 - smoothing)).to(y.dtype)
    by_t = _by_temperature(by_x, x, temperature, where, axis)
    if by_gradient is not None:  # the gradient is (Q p - q) / T with p the softmax of x / T
        second = _through_gradient(by_gradient, x, y, temperature, where, axis, smoothing, ignore)
        by_x = by_x + second
        if by_t is not None and temperature is not None:
            own = _by_temperature(second, x, temperature, where, axis)
            by_t = by_t + own - (by_gradient * gradient).sum(dim=list(axis)) / temperature
        if by_y is not None:
            p = _ops.softmax(x, temperature, where, axis, x.dtype)
            mean = (by_gradient * p).sum(dim=list(axis), keepdim=True)
            by_y = by_y + ((mean - by_gradient) / _divisor(temperature, axis) * (1 - smoothing)).to(y.dtype)
    return by_x.to(x.dtype), by_y, by_t, None, None, None, None, None


def _run_reduced(
    x: Tensor, y: Tensor, axis: Sequence[int], smoothing: float, ignore: int, mean: bool
) -> tuple[Tensor, Tensor]:
    """
    Return the sum or mean of the losses, and the gradient of their sum.

    What a mean divides by is left to the backward pass, where it meets the gradient that comes in: divided here, the gradient of a large
    batch in half precision would be below the smallest numbers, whatever it is scaled with later.
    """
    classes = math.prod(x.shape[i] for i in axis)
    if _is_native(x) and mean and not _is_class(ignore, classes) and _are_classes(y, classes):
        # the usual call, without the time of torch's small operations
        table, labels = _table(x, None, axis), _array(y)
        losses, slopes = np.empty(table.rows, table.dtype), np.empty(table.shape, table.dtype)
        table.call("cross_entropy_and_grad", labels, 1.0, smoothing, results=[losses], y=slopes)
        value = np.add.reduce(losses, axis=None, dtype=np.float64) / losses.size if losses.size else np.nan
        return torch.full((), float(value), dtype=x.dtype), _tensor(slopes)
    loss, gradient = _run_cross_entropy(True, x, y, None, None, axis, smoothing, ignore)
    total = loss.sum(dtype=torch.float64)
    return (total / (y != ignore).sum() if mean else total).to(x.dtype), gradient


def _vmap_reduced(info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    """Each batch by itself, as one operation over all rows: reduced last."""
    x, y, axis, smoothing, ignore, mean = _in_front(info, in_dims, args)
    loss, gradient = _ops.cross_entropy_and_grad(x, y, None, None, [i + 1 for i in axis], smoothing, ignore, False)
    total = loss.reshape(len(loss), -1).sum(1, dtype=torch.float64)
    if mean:
        rows = (y != ignore).reshape(len(loss), -1).sum(1)
        total = torch.where(rows == 0, torch.nan, total / rows.clamp(min=1))
    return (total.to(x.dtype), gradient), (0, 0)


def _back_reduced(ctx: Any, by_loss: Tensor | None, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, axis, _, ignore, mean, _, gradient = _remembered(ctx)
    if by_loss is None:
        by_x = torch.zeros_like(x)
    else:
        rows = (y != ignore).sum().clamp(min=1) if mean else 1  # where none counts, the mean is NaN and its gradient 0
        by_x = gradient * (_wide(by_loss) / rows)
    if by_gradient is not None:  # the gradient is p - q, of rows that count
        kept = torch.where(_spread(y != ignore, axis), by_gradient, 0)
        by_x = by_x + _pull_softmax(kept, x, None, None, axis)
    return by_x.to(x.dtype), None, None, None, None, None


def _run_binary(with_gradient: bool, x: Tensor, y: Tensor, any_label: bool) -> Any:
    if not any_label:
        check_labels(y)
    if not _is_native(x):
        f, wide, label = _formulas(), _wide(x), y.to(_wide(x).dtype)
        loss = f.binary_cross_entropy(wide, label).to(x.dtype)
        return (loss, f.binary_cross_entropy_slope(wide, label).to(x.dtype)) if with_gradient else loss
    labels = _array(y.double())
    if with_gradient:
        loss, gradient = sigmax.losses.binary_links[1](_array(x), labels)
        return _tensor(loss), _tensor(gradient)
    return _tensor(sigmax.losses.binary_links[0](_array(x), labels))


def _back_binary(ctx: Any, by_loss: Tensor, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, _, _, gradient = _remembered(ctx)
    if by_loss is None:
        by_loss = torch.zeros_like(gradient)
    by_x = by_loss * gradient
    by_y = (-by_loss * x).to(y.dtype) if y.requires_grad else None
    if by_gradient is not None:
        by_x = by_x + (_wide(by_gradient) * _SLOPES["sigmoid"](_wide(x))).to(x.dtype)
        by_y = by_y if by_y is None else by_y - by_gradient.to(y.dtype)
    return by_x, by_y, None


def _elementwise_vmap(name: str, info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    moved = _in_front(info, in_dims, args)
    result = getattr(_ops, name)(*moved)
    return result, (0,) * len(result) if isinstance(result, tuple | list) else 0


for _name in _SLOPES:
    _define_link(_name)
_define_row("softmax", _pull_softmax, _push_softmax)
_define_row(
    "softmax_complement", lambda g, *rest: -_pull_softmax(g, *rest), lambda dx, *rest: -_push_softmax(dx, *rest)
)
_define_row("log_softmax", _pull_log_softmax, _push_log_softmax)
_define_row("log_softmax_complement", _pull_log_complement, _push_log_complement)
_define_row("logit_softmax", _pull_logit, _push_logit)
_define_pullback("softmax_pullback", _twice_softmax)
_define_pullback("log_softmax_pullback", _twice_log_softmax)
_define(
    "logsumexp(Tensor x, Tensor? weights, Tensor? where, int[] axis, bool signed, ScalarType dtype) -> (Tensor, Tensor)",
    _run_logsumexp,
    _fake_logsumexp,
    _back_logsumexp,
    forward_mode=_push_logsumexp,
)
_define(
    f"cross_entropy({_CE}) -> Tensor",
    functools.partial(_run_cross_entropy, False),
    lambda x, y, temperature, where, axis, label_smoothing, ignore, any_label: x.new_empty(_row_shape(x, axis)),
)
_define(
    f"cross_entropy_and_grad({_CE}) -> (Tensor, Tensor)",
    functools.partial(_run_cross_entropy, True),
    lambda x, y, temperature, where, axis, label_smoothing, ignore, any_label: (
        x.new_empty(_row_shape(x, axis)),
        x.new_empty(x.shape),
    ),
    _back_cross_entropy,
    forward_mode=_push_cross_entropy,
)
_define(
    "reduced_cross_entropy(Tensor x, Tensor y, int[] axis, float label_smoothing, int ignore, bool mean) -> (Tensor, Tensor)",
    _run_reduced,
    lambda x, y, axis, label_smoothing, ignore, mean: (x.new_empty([]), x.new_empty(x.shape)),
    _back_reduced,
    _vmap_reduced,
    _push_reduced,
)
_define(
    "binary_cross_entropy(Tensor x, Tensor y, bool any_label) -> Tensor",
    functools.partial(_run_binary, False),
    lambda x, y, any_label: x.new_empty(x.shape),
    None,
    functools.partial(_elementwise_vmap, "binary_cross_entropy"),
)
_define(
    "binary_cross_entropy_and_grad(Tensor x, Tensor y, bool any_label) -> (Tensor, Tensor)",
    functools.partial(_run_binary, True),
    lambda x, y, any_label: (x.new_empty(x.shape), x.new_empty(x.shape)),
    _back_binary,
    functools.partial(_elementwise_vmap, "binary_cross_entropy_and_grad"),
    _push_binary,
)


# ---- the public functions on tensors ----


def _floats(x: Any, what: str = "scores", like: Tensor | None = None) -> Tensor:
    x = torch.as_tensor(x, device=None if like is None else like.device)
    if x.dtype in _FLOATS:
        return x
    if x.dtype == torch.bool or not (x.dtype.is_floating_point or x.dtype.is_complex):
        return x.double()
    raise TypeError(
        f"{what} of dtype {x.dtype} are not supported; pass bool, integers, float16, bfloat16, float32 or float64"
    )


def _result_dtype(x: Tensor, asked: Any) -> torch.dtype:
    if asked is None:
        return x.dtype
    if not isinstance(asked, torch.dtype):
        asked = getattr(torch, np.dtype(asked).name, None)
    if asked not in _FLOATS:
        raise TypeError(f"dtype={asked} cannot hold probabilities; pass float16, bfloat16, float32 or float64")
    return asked


def _into(out: Tensor | None, result: Tensor) -> Tensor:
    if out is None:
        return result
    if not isinstance(out, Tensor):
        raise TypeError(f"out is a {type(out).__name__}; pass a tensor")
    if out.shape != result.shape:
        raise ValueError(f"out has shape {tuple(out.shape)}; the result has {tuple(result.shape)}")
    if out.dtype != result.dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result has {result.dtype}")
    return out.copy_(result)


class _Arguments:
    """Scores and what belongs to them, checked, as the operators take them."""

    def __init__(self, x: Any, axis: Any, temperature: Any, where: Any, dtype: Any) -> None:
        self.single = torch.as_tensor(x).ndim == 0
        self.x = torch.atleast_1d(_floats(x))
        self.axis = axes_of(axis, self.x.ndim)
        self.dtype = _result_dtype(self.x, dtype)
        self.where = None if where is None else self.broadcast(self._mask(where), "where")
        self.temperature = self._temperature(temperature)

    def broadcast(self, value: Tensor, what: str) -> Tensor:
        try:
            return value.expand(self.x.shape)
        except RuntimeError:
            raise no_broadcast(what, value.shape, self.x.shape) from None

    def _mask(self, where: Any) -> Tensor:
        mask = torch.as_tensor(where, device=self.x.device)
        if mask.dtype != torch.bool:
            raise TypeError(f"where has dtype {mask.dtype}; pass booleans, True for a class that is possible")
        return mask

    def _temperature(self, temperature: Any) -> Tensor | None:
        if isinstance(temperature, float | int) and temperature == 1:
            return None
        rows = tuple(_row_shape(self.x, self.axis))
        if isinstance(temperature, float | int) and temperature >= 0:
            return torch.full((), float(temperature), dtype=torch.float64, device=self.x.device).expand(rows)
        if not isinstance(temperature, Tensor):
            checked = check_temperature(temperature, rows)
            return torch.as_tensor(checked, dtype=torch.float64, device=self.x.device).expand(rows)
        if temperature.dtype.is_complex:
            raise TypeError(f"temperature has dtype {temperature.dtype}; pass a real number, or one for each row")
        try:
            return temperature.to(torch.promote_types(temperature.dtype, torch.float32)).expand(rows)
        except RuntimeError:
            raise no_fit(temperature.shape, rows) from None

    def result(self, y: Tensor) -> Tensor:
        return y[0] if self.single else y


def _rows(
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
    a = _Arguments(x, axis, temperature, where, dtype)
    op = getattr(_ops, f"{name}_complement" if complement else name)
    return _into(out, a.result(op(a.x, a.temperature, a.where, a.axis, a.dtype)))


def _logsumexp(
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
    a = _Arguments(x, axis, 1.0, where, dtype)
    w = None
    if weights is not None:
        w = a.broadcast(_floats(weights, "weights", a.x), "weights")
    value, sign = _ops.logsumexp(a.x, w, a.where, a.axis, return_sign, a.dtype)
    if keepdims and not a.single:
        value, sign = _spread(value, a.axis), _spread(sign, a.axis)
    value = _into(out, value)
    return (value, sign) if return_sign else value


def _check_weights(w: Tensor, where: Tensor | None, signed: bool) -> None:
    bad = torch.isinf(w) if signed else torch.isinf(w) | (w < 0)
    bad = bad if where is None else bad & where
    if bad.any():
        first = float(w[bad][0])
        remedy = "a weight must be finite" if math.isinf(first) else "pass return_sign=True for negative weights"
        raise ValueError(f"weights hold {first}; {remedy}")


def cross_entropy(
    x: Any,
    y: Any,
    *,
    axis: Any = -1,
    temperature: Any = 1.0,
    where: Any = None,
    label_smoothing: float = 0.0,
    with_gradient: bool = False,
    ignore: int | None = None,
    any_label: bool = False,
) -> Any:
    """
    Return the loss of each row.

    Rows with the label `ignore` have none, that is 0. With `any_label`, what is given for each class need be no probability.
    """
    a = _Arguments(x, axis, temperature, where, None)
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing is {label_smoothing}; it must be in [0, 1)")
    y = torch.as_tensor(y, device=a.x.device)
    if y.dtype == torch.bool:
        raise TypeError("labels have dtype bool; pass integers, the number of each class, or floats, its probability")
    y = y if y.is_floating_point() else y.long()  # which holds the label that is ignored too
    _check_label_shape(a, y)
    if with_gradient or _may_be_derived(a.x, y, a.temperature):
        loss, gradient = _ops.cross_entropy_and_grad(
            a.x, y, a.temperature, a.where, a.axis, float(label_smoothing), ignore, any_label
        )
        return (loss, a.result(gradient)) if with_gradient else loss
    return _ops.cross_entropy(a.x, y, a.temperature, a.where, a.axis, float(label_smoothing), ignore, any_label)


def reduced_cross_entropy(x: Tensor, y: Tensor, axis: int, label_smoothing: float, ignore: int, mean: bool) -> Tensor:
    """Return the sum or the mean of the losses of rows against class numbers, those labelled `ignore` left out."""
    a = _Arguments(x, axis, 1.0, None, None)
    _check_label_shape(a, y)
    if _may_be_derived(a.x):
        loss: Tensor = _ops.reduced_cross_entropy(a.x, y, a.axis, float(label_smoothing), ignore, mean)[0]
        return loss
    total = _ops.cross_entropy(a.x, y, None, None, a.axis, float(label_smoothing), ignore, False).sum(
        dtype=torch.float64
    )
    return (total / (y != ignore).sum() if mean else total).to(a.x.dtype)


def _may_be_derived(*tensors: Tensor | None) -> bool:
    """Return whether a derivative may be asked for: backward, forward, or by a transformation that wraps what it differentiates by."""
    given = [t for t in tensors if t is not None]
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return True
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():  # a tensor inside vmap does not tell
        return True
    return any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in given)


def _check_label_shape(a: _Arguments, y: Tensor) -> None:
    rows = tuple(_row_shape(a.x, a.axis))
    if _is_classes(y):
        if tuple(y.shape) != rows:
            hint = "; pass probabilities as floats" if y.shape == a.x.shape else ""
            raise ValueError(f"labels have shape {tuple(y.shape)}; the rows have {rows}{hint}")
    elif y.shape != a.x.shape:
        if tuple(y.shape) == rows and y.numel():
            raise TypeError(
                f"labels of dtype {y.dtype} are not integers; pass the number of each row's class, or a probability for each class"
            )
        raise ValueError(
            f"labels of shape {tuple(y.shape)} are not probabilities of the scores' shape {tuple(a.x.shape)}"
        )


def _check_classes(y: Tensor, classes: int) -> None:
    bad = (y < 0) | (y >= classes)
    if bad.any():
        row = [int(i) for i in bad.nonzero()[0]]
        at = f" in row {', '.join(map(str, row))}" if row else ""
        raise ValueError(f"label {int(y[tuple(row)])}{at} is not a class; it must be in 0 ... {classes - 1}")


def check_labels(y: Tensor, axis: Sequence[int] = ()) -> None:
    """Refuse labels that are no probabilities; where the classes have axes, those that do not sum to 1."""
    bad = ~((y >= 0) & (y <= 1))
    if bad.any():
        at = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(f"label {float(y[at])} at {at} is not a probability; it must be in [0, 1]")
    if axis and y.numel():
        check_sums(_array(y.sum(dim=list(axis), dtype=torch.float64).cpu()))


def are_values_known() -> bool:
    """Return whether numbers can be looked at outside of an operator: not while compiling, nor in a transformation."""
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def binary_cross_entropy(x: Any, y: Any, *, with_gradient: bool = False, any_label: bool = False) -> Any:
    """Return the loss of each logit; with `any_label`, a label need be no probability."""
    like = x if isinstance(x, Tensor) else y
    x, y = _floats(x, "logits", like), _floats(y, "labels", like)
    try:
        x, y = torch.broadcast_tensors(x, y)
    except RuntimeError:
        raise ValueError(f"labels of shape {tuple(y.shape)} do not broadcast with logits of {tuple(x.shape)}") from None
    if with_gradient or _may_be_derived(x, y):
        loss, gradient = _ops.binary_cross_entropy_and_grad(x, y, any_label)
        return (loss, gradient) if with_gradient else loss
    return _ops.binary_cross_entropy(x, y, any_label)


def _link(name: str, x: Any, out: Any = None, *, dtype: Any = None, where: Any = True) -> Tensor:
    if where is not True:
        raise TypeError("where= of an elementwise function is for NumPy arrays; use torch.where on the result")
    x = _floats(x)
    if dtype is not None:
        x = x.to(_result_dtype(x, dtype))
    return _into(out[0] if isinstance(out, tuple) else out, getattr(_ops, name)(x))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: functools.partial(_link, name) for name in _SLOPES},
    **{name: functools.partial(_rows, name) for name in ("softmax", "log_softmax", "logit_softmax")},
    "logsumexp": _logsumexp,
    "cross_entropy": cross_entropy,
    "cross_entropy_and_grad": functools.partial(cross_entropy, with_gradient=True),
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_and_grad": functools.partial(binary_cross_entropy, with_gradient=True),
}


def call(function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Call `function` on tensors; where a module is traced by torch.fx, write the call down."""
    traced = next((v for v in args if type(v).__module__ == "torch.fx.proxy"), None)
    if traced is not None:
        target = _traceable(function.__name__) if isinstance(function, np.ufunc) else function
        return traced.tracer.create_proxy("call_function", target, args, dict(options))
    return _FUNCTIONS[function.__name__](*args, **options)


# ---- torch.compile ----


class _WhenDynamoLoads(importlib.abc.MetaPathFinder):
    """
    Tells torch.compile about our ufuncs when its machinery is loaded, which takes a second and is not always wanted.

    It takes callables that are no functions for objects that it cannot trace, unless they are on its list.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "torch._dynamo":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_tell(module: Any) -> None:
                load(module)
                _tell_dynamo()

            spec.loader.exec_module = load_and_tell
        return spec


def _tell_dynamo() -> None:
    from torch._dynamo.guards import GuardBuilder
    from torch._dynamo.variables import PolyfilledFunctionVariable
    from torch._dynamo.variables.builder import VariableBuilder

    def substitute(builder: Any, ufunc: Any) -> Any:
        return PolyfilledFunctionVariable(ufunc, source=builder.source, **builder.install_guards(GuardBuilder.ID_MATCH))

    for name in _SLOPES:
        ufunc = getattr(sigmax.links, name)
        PolyfilledFunctionVariable._get_polyfill_handlers()[ufunc] = _traceable(name)
        VariableBuilder._id_dispatch()[id(ufunc)] = substitute


@functools.cache
def _traceable(name: str) -> Callable[..., Tensor]:
    """Return an elementwise function as one of Python."""

    def function(x: Any, out: Any = None, *, dtype: Any = None, where: Any = True) -> Tensor:
        return _link(name, x, out, dtype=dtype, where=where)

    function.__python_implementation__ = function
    function.__name__ = function.__qualname__ = name
    return function


if "torch._dynamo" in sys.modules:
    _tell_dynamo()
else:
    sys.meta_path.insert(0, _WhenDynamoLoads())

# known from now on, so that torch.compile, which cannot follow an import, finds this adapter at the first call
for _kind in (Tensor, torch.nn.Parameter):
    registry.know(_kind, sys.modules[__name__])
