"""The cross-entropy of two classes, and its derivatives."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from sigmax.arrays.torch import memory
from sigmax.arrays.torch.arguments import CONTRACT, as_floats, check_probabilities
from sigmax.arrays.torch.define import define, elementwise_vmap, may_be_derived, ops, remembered
from sigmax.arrays.torch.links import slope
from sigmax.arrays.torch.memory import as_array, as_tensor, formulas, widened
from sigmax.host.links import BINARY

__all__ = ["binary_cross_entropy"]


def _push_binary(inputs: list[Any], results: list[Any], directions: Any) -> tuple[Tensor, Tensor]:
    x = inputs[0]
    loss, gradient = results
    by_loss, by_gradient = torch.zeros_like(loss), torch.zeros_like(gradient)
    if directions[0] is not None:
        by_loss = by_loss + gradient * directions[0]
        by_gradient = by_gradient + (widened(directions[0]) * slope("sigmoid", widened(x))).to(x.dtype)
    if directions[1] is not None:
        by_loss = by_loss - (x * directions[1]).to(x.dtype)
        by_gradient = by_gradient - directions[1].to(x.dtype)
    return by_loss, by_gradient


def _run_binary(with_gradient: bool, x: Tensor, y: Tensor, any_label: bool) -> Any:
    fast = memory.on_kernels(x)
    if fast is not None:
        found = fast.binary_cross_entropy(x, y, with_gradient, not any_label)
        return found if with_gradient else found[0]
    if not any_label:
        check_probabilities(y)
    if not memory.is_native(x):
        f, wide, label = formulas(), widened(x), y.to(widened(x).dtype)
        loss = f.binary_cross_entropy(wide, label).to(x.dtype)
        return (loss, f.binary_cross_entropy_slope(wide, label).to(x.dtype)) if with_gradient else loss
    labels = as_array(y.double())
    if with_gradient:
        loss, gradient = BINARY["binary_cross_entropy_and_grad"](as_array(x), labels)
        return as_tensor(loss), as_tensor(gradient)
    return as_tensor(BINARY["binary_cross_entropy"](as_array(x), labels))


def _back_binary(ctx: Any, by_loss: Tensor, by_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, _, _, gradient = remembered(ctx)
    if by_loss is None:
        by_loss = torch.zeros_like(gradient)
    by_x = by_loss * gradient
    by_y = (-by_loss * x).to(y.dtype) if y.requires_grad else None
    if by_gradient is not None:
        by_x = by_x + (widened(by_gradient) * slope("sigmoid", widened(x))).to(x.dtype)
        by_y = by_y if by_y is None else by_y - by_gradient.to(y.dtype)
    return by_x, by_y, None


define(
    "binary_cross_entropy(Tensor x, Tensor y, bool any_label) -> Tensor",
    functools.partial(_run_binary, False),
    lambda x, y, any_label: x.new_empty(x.shape),
    None,
    functools.partial(elementwise_vmap, "binary_cross_entropy"),
)
define(
    "binary_cross_entropy_and_grad(Tensor x, Tensor y, bool any_label) -> (Tensor, Tensor)",
    functools.partial(_run_binary, True),
    lambda x, y, any_label: (x.new_empty(x.shape), x.new_empty(x.shape)),
    _back_binary,
    functools.partial(elementwise_vmap, "binary_cross_entropy_and_grad"),
    _push_binary,
)


def binary_cross_entropy(x: Any, y: Any, *, with_gradient: bool = False, any_label: bool = False) -> Any:
    """Return the loss of each logit; with `any_label`, a label need be no probability."""
    like = x if isinstance(x, Tensor) else y
    x, y = as_floats(x, "logits", like), as_floats(y, "labels", like)
    CONTRACT.two_classes(x, y)
    x, y = torch.broadcast_tensors(x, y)
    if with_gradient or may_be_derived(x, y):
        loss, gradient = ops.binary_cross_entropy_and_grad(x, y, any_label)
        return (loss, gradient) if with_gradient else loss
    return ops.binary_cross_entropy(x, y, any_label)
