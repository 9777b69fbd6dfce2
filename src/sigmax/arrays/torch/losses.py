"""The cross-entropy of many classes, row by row and reduced over rows, and its derivatives."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sigmax.arrays.torch import memory
from sigmax.arrays.torch.arguments import CONTRACT, Arguments, check_probabilities
from sigmax.arrays.torch.define import apply_of, define, in_front, may_be_derived, ops, remembered
from sigmax.arrays.torch.directions import by_temperature, direction, divisor
from sigmax.arrays.torch.memory import (
    Flat,
    as_array,
    as_tensor,
    formulas,
    per_row,
    row_shape,
    scale_of,
    table_of,
    widened,
)
from sigmax.arrays.torch.rows import pull_softmax
from sigmax.arrays.torch.straight import are_plain_values, is_straight
from sigmax.host.contract import check_smoothing
from sigmax.host.table import mean_cross_entropy, mean_on_tensors, scaled_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cross_entropy", "reduced_cross_entropy", "usual_mean"]

SMALL = 16_384  # numbers that NumPy multiplies sooner than torch begins to


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
    product = pull_softmax(v, x, temperature, where, axis)
    if not _is_classes(y):
        product = product * (y.sum(dim=list(axis), keepdim=True) * (1 - smoothing) + smoothing)
    product = product / divisor(temperature, axis)
    if ignore is not None and _is_classes(y):
        product = torch.where(per_row(y != ignore, axis), product, 0)
    return product


def _push_cross_entropy(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, y, temperature, where, axis, smoothing, ignore, _ = inputs
    loss, gradient = results
    dims = list(axis)
    moved = direction(x, directions[0], temperature, directions[2], where, axis)
    by_loss = (gradient * moved).sum(dim=dims)
    by_gradient = _through_gradient(moved, x, y, temperature, where, axis, smoothing, ignore)
    if not _is_classes(y) and directions[1] is not None:
        dq = directions[1] * (1 - smoothing)
        log_p = ops.log_softmax(x, temperature, where, axis, x.dtype)
        by_loss = by_loss - torch.where(dq == 0, 0, log_p * dq).sum(dim=dims)
        p = ops.softmax(x, temperature, where, axis, x.dtype)
        by_gradient = by_gradient + (dq.sum(dim=dims, keepdim=True) * p - dq) / divisor(temperature, axis)
    if directions[2] is not None:
        by_gradient = by_gradient - gradient * per_row(directions[2] / temperature, axis)
    return by_loss.to(loss.dtype), by_gradient.to(gradient.dtype)


def _push_reduced(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x, y, axis, _, ignore, mean = inputs
    loss, gradient = results
    kept = y != ignore
    moved = torch.where(per_row(kept, axis), directions[0], 0)
    rows = kept.sum().clamp(min=1) if mean else 1
    return ((gradient * moved).sum() / rows).to(loss.dtype), pull_softmax(moved, x, None, None, axis)


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
    fast = memory.on_kernels(x)
    if fast is not None and _is_classes(y) and temperature is None and where is None and smoothing == 0:
        found: tuple[Tensor, Tensor | None] = fast.cross_entropy(x, y, axis, with_gradient, ignore)
        return found if with_gradient else found[0]
    ignored = None
    classes = math.prod(x.shape[i] for i in axis)
    if not _is_classes(y):
        if not any_label:
            check_probabilities(y, axis)
    elif _is_class(ignore, classes) or not _are_classes(y, classes):
        if ignore is not None:  # as a label, it stands for none; it may be the number of a class
            ignored = y == ignore
            y = torch.where(ignored, 0, y)
        CONTRACT.classes(y, classes)
    run = _native_cross_entropy if memory.is_native(x) else _foreign_cross_entropy
    loss, gradient = run(with_gradient, x, y, temperature, where, axis, smoothing)
    if ignored is not None:
        loss = loss.masked_fill(ignored, 0)
        gradient = None if gradient is None else gradient.masked_fill(per_row(ignored, axis), 0)
    return (loss, gradient) if with_gradient else loss


def _native_cross_entropy(
    with_gradient: bool, x: Tensor, y: Tensor, temperature: Any, where: Any, axis: Sequence[int], smoothing: float
) -> tuple[Tensor, Tensor | None]:
    table = table_of(x, where, axis)
    loss = np.empty(table.rows, table.dtype)
    gradient = np.empty(table.shape, table.dtype) if with_gradient else None
    name = "cross_entropy_and_grad" if with_gradient else "cross_entropy"
    if _is_classes(y):
        table.call(name, as_array(y.long()), scale_of(temperature), smoothing, results=[loss], y=gradient)
    else:
        weights = table.per_score(as_array(y), "labels")
        table.call(f"target_{name}", scale_of(temperature), smoothing, weights=weights, results=[loss], y=gradient)
    return as_tensor(loss), None if gradient is None else as_tensor(gradient)


def _foreign_cross_entropy(
    with_gradient: bool, x: Tensor, y: Tensor, temperature: Any, where: Any, axis: Sequence[int], smoothing: float
) -> tuple[Tensor, Tensor | None]:
    if not x.numel():
        t, mask = (None if v is None else v.cpu() for v in (temperature, where))
        loss, gradient = _native_cross_entropy(with_gradient, x.cpu(), y.cpu(), t, mask, axis, smoothing)
        return loss.to(x.device), None if gradient is None else gradient.to(x.device)
    flat, f = Flat(x, axis), formulas()
    r = flat.row(x, temperature, where)
    q = torch.zeros_like(r.t).scatter(-1, y[..., None], 1) if _is_classes(y) else flat.to(widened(y))
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
    numbers = as_array(y)  # a negative one is huge without its sign
    return bool(numbers.view(f"u{numbers.itemsize}").max() < classes)


def _back_cross_entropy(ctx: Any, by_loss: Tensor, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, temperature, where, axis, smoothing, ignore, _, _, gradient = remembered(ctx)
    if by_loss is None:
        by_loss = gradient.new_zeros(row_shape(x, axis))
    by_x = per_row(by_loss, axis) * gradient
    by_y = None
    soft = not _is_classes(y)
    if soft and y.requires_grad:
        log_p = ops.log_softmax(x, temperature, where, axis, x.dtype)
        by_y = (-per_row(by_loss, axis) * log_p * (1 - smoothing)).to(y.dtype)
    by_t = by_temperature(by_x, x, temperature, where, axis)
    if by_gradient is not None:  # the gradient is (Q p - q) / T with p the softmax of x / T
        second = _through_gradient(by_gradient, x, y, temperature, where, axis, smoothing, ignore)
        by_x = by_x + second
        if by_t is not None and temperature is not None:
            own = by_temperature(second, x, temperature, where, axis)
            by_t = by_t + own - (by_gradient * gradient).sum(dim=list(axis)) / temperature
        if by_y is not None:
            p = ops.softmax(x, temperature, where, axis, x.dtype)
            mean = (by_gradient * p).sum(dim=list(axis), keepdim=True)
            by_y = by_y + ((mean - by_gradient) / divisor(temperature, axis) * (1 - smoothing)).to(y.dtype)
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
    if memory.is_native(x) and mean and not _is_class(ignore, classes) and _are_classes(y, classes):
        # the usual call, without the time of torch's small operations
        table, labels = table_of(x, None, axis), as_array(y)
        losses, slopes = np.empty(table.rows, table.dtype), np.empty(table.shape, table.dtype)
        table.call("cross_entropy_and_grad", labels, 1.0, smoothing, results=[losses], y=slopes)
        value = np.add.reduce(losses, axis=None, dtype=np.float64) / losses.size if losses.size else np.nan
        return torch.full((), float(value), dtype=x.dtype), as_tensor(slopes)
    loss, gradient = _run_cross_entropy(True, x, y, None, None, axis, smoothing, ignore)
    total = loss.sum(dtype=torch.float64)
    return (total / (y != ignore).sum() if mean else total).to(x.dtype), gradient


def _vmap_reduced(info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    """Each batch by itself, as one operation over all rows: reduced last."""
    x, y, axis, smoothing, ignore, mean = in_front(info, in_dims, args)
    loss, gradient = ops.cross_entropy_and_grad(x, y, None, None, [i + 1 for i in axis], smoothing, ignore, False)
    total = loss.reshape(len(loss), -1).sum(1, dtype=torch.float64)
    if mean:
        rows = (y != ignore).reshape(len(loss), -1).sum(1)
        total = torch.where(rows == 0, torch.nan, total / rows.clamp(min=1))
    return (total.to(x.dtype), gradient), (0, 0)


def _back_reduced(ctx: Any, by_loss: Tensor | None, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, axis, _, ignore, mean, _, gradient = remembered(ctx)
    if by_loss is None:
        by_x = torch.zeros_like(x)
    else:
        rows = (y != ignore).sum().clamp(min=1) if mean else 1  # where none counts, the mean is NaN and its gradient 0
        by_x = gradient * (widened(by_loss) / rows)
    if by_gradient is not None:  # the gradient is p - q, of rows that count
        kept = torch.where(per_row(y != ignore, axis), by_gradient, 0)
        by_x = by_x + pull_softmax(kept, x, None, None, axis)
    return by_x.to(x.dtype), None, None, None, None, None


define(
    f"cross_entropy({_CE}) -> Tensor",
    functools.partial(_run_cross_entropy, False),
    lambda x, y, temperature, where, axis, label_smoothing, ignore, any_label: x.new_empty(row_shape(x, axis)),
)
define(
    f"cross_entropy_and_grad({_CE}) -> (Tensor, Tensor)",
    functools.partial(_run_cross_entropy, True),
    lambda x, y, temperature, where, axis, label_smoothing, ignore, any_label: (
        x.new_empty(row_shape(x, axis)),
        x.new_empty(x.shape),
    ),
    _back_cross_entropy,
    forward_mode=_push_cross_entropy,
)
define(
    "reduced_cross_entropy(Tensor x, Tensor y, int[] axis, float label_smoothing, int ignore, bool mean) -> (Tensor, Tensor)",
    _run_reduced,
    lambda x, y, axis, label_smoothing, ignore, mean: (x.new_empty([]), x.new_empty(x.shape)),
    _back_reduced,
    _vmap_reduced,
    _push_reduced,
)


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
    a = Arguments(x, axis, temperature, where, None)
    smoothing = check_smoothing(label_smoothing)
    y = torch.as_tensor(y, device=a.x.device)
    if CONTRACT.are_classes(y, row_shape(a.x, a.axis), a.x.shape):
        y = y.long()  # which holds the label that is ignored too
    if with_gradient or may_be_derived(a.x, y, a.temperature):
        loss, gradient = ops.cross_entropy_and_grad(
            a.x, y, a.temperature, a.where, a.axis, smoothing, ignore, any_label
        )
        return (loss, a.result(gradient)) if with_gradient else loss
    return ops.cross_entropy(a.x, y, a.temperature, a.where, a.axis, smoothing, ignore, any_label)


class _Mean(torch.autograd.Function):
    """The mean loss of the usual batch, whose gradient is found on the way to it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rest: tuple[tuple[Tensor, Tensor | None], Tensor, float, int]) -> Tensor:
        (loss, slopes), y, *ctx.more = rest  # each argument costs; and one by itself would come out as a view of it
        ctx.save_for_backward(x, y, slopes)
        return loss

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor | None, ...]:
        x, y, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # what comes out will be derived in turn
            smoothing, ignore = ctx.more
            if _is_classes(y):
                gradient = ops.reduced_cross_entropy(x, y, [1], smoothing, ignore, True)[1]
            else:
                gradient = ops.cross_entropy_and_grad(x, y, None, None, [1], smoothing, None, False)[1]
        elif gradient.numel() <= SMALL and are_plain_values(by_loss):  # past torch's dispatcher
            factor = by_loss.item() / len(y)
            scaled = scaled_tensor(gradient, factor)
            if scaled is None:
                scaled = torch.from_numpy(gradient.numpy() * factor)
            return scaled, None
        gradient = gradient * (by_loss / len(y))
        return gradient, None


_apply_mean = apply_of(_Mean)


def usual_mean(x: Tensor, y: Tensor, smoothing: float, ignore: int) -> Tensor | None:
    """Return the mean loss of the batch of nearly every training: plain floats in rows, a label each, and nobody watches; None of others."""
    if type(x) is not Tensor or type(y) is not Tensor or not is_straight():
        return None
    derived = x.requires_grad and torch.is_grad_enabled()
    found = mean_on_tensors(x, y, smoothing, derived) or _mean_of_arrays(x, y, smoothing, derived)
    if found is None or (_is_class(ignore, x.shape[1]) if _is_classes(y) else ignore >= 0):
        return None
    return _apply_mean(x, (found, y, smoothing, ignore)) if derived else found[0]


def _mean_of_arrays(x: Tensor, y: Tensor, smoothing: float, derived: bool) -> tuple[Tensor, Tensor | None] | None:
    try:
        scores, labels = (x.detach() if x.requires_grad else x).numpy(), y.numpy()
    except (RuntimeError, TypeError):
        return None
    slopes = np.empty_like(scores) if derived else None
    loss = mean_cross_entropy(scores, labels, smoothing, slopes)
    if loss is None:
        return None
    return torch.from_numpy(np.array(loss, scores.dtype)), None if slopes is None else as_tensor(slopes)


def reduced_cross_entropy(x: Tensor, y: Tensor, axis: int, label_smoothing: float, ignore: int, mean: bool) -> Tensor:
    """Return the sum or the mean of the losses of rows against class numbers, those labelled `ignore` left out."""
    a = Arguments(x, axis, 1.0, None, None)
    CONTRACT.are_classes(y, row_shape(a.x, a.axis), a.x.shape)
    if may_be_derived(a.x):
        loss: Tensor = ops.reduced_cross_entropy(a.x, y, a.axis, float(label_smoothing), ignore, mean)[0]
        return loss
    total = ops.cross_entropy(a.x, y, None, None, a.axis, float(label_smoothing), ignore, False).sum(
        dtype=torch.float64
    )
    return (total / (y != ignore).sum() if mean else total).to(a.x.dtype)
