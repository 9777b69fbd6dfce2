"""The elementwise functions and the cross-entropy of two classes: one kernel a call, by the formulas of `formulas.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from sigmax.arrays.torch.kernels.arithmetic import exp, expm1, launch, log, log1p, wide_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LINKS", "binary_cross_entropy", "link"]

LINKS = {
    name: kind
    for kind, name in enumerate(
        ("sigmoid", "log_sigmoid", "softplus", "odds", "from_odds", "logit", "log1mexp", "logitexp")
    )
}
BLOCK = 1024  # numbers of one program
LN2: tl.constexpr = tl.constexpr(0.6931471805599453)


@triton.jit
def _log1mexp(v):
    near = v > -LN2
    by_expm1 = log(-expm1(tl.where(near & (v <= 0), v, -1)))
    return tl.where(near, by_expm1, log1p(-exp(tl.where(near, -1, v))))


@triton.jit
def _logit(p):
    # around 1/2, where the two logarithms cancel, p / (1 - p) = 1 + (2 p - 1) / (1 - p), and 2 p - 1 is exact
    near = tl.abs(p - 0.5) < 0.25
    middle = tl.where(near, p, 0.5)
    far = tl.where(near, 0.25, p)
    return tl.where(near, log1p((2 * middle - 1) / (1 - middle)), log(far) - log1p(-far))


@triton.jit
def _logitexp(v, wide: tl.constexpr):
    # the same with 2 p - 1 = expm1(v + log 2), and log 2 in two terms
    if wide == tl.float64:
        high, low = tl.full([1], 0.6931471805599453, wide), tl.full([1], 2.3190468138462996e-17, wide)
    else:
        high, low = tl.full([1], 0.693147182464599609375, wide), tl.full([1], -1.904654299957768e-09, wide)
    near = tl.abs(v + high) < 0.25
    middle = expm1((tl.where(near, v, -high) + high) + low)
    far = tl.where(near, -1, v)
    return tl.where(near, log1p(2 * middle / (1 - middle)), far - _log1mexp(far))


@triton.jit
def _made(v, kind: tl.constexpr, wide: tl.constexpr):
    nan = float("nan")
    if kind <= 2:
        if kind == 2:
            v = -v
        e = exp(-tl.abs(v))
        if kind == 0:
            found = tl.where(v >= 0, 1 / (1 + e), e / (1 + e))
        else:
            found = tl.where(v > 0, 0, v) - log1p(e)
            if kind == 2:
                found = -found
        return tl.where(v != v, v, found)
    if kind == 3:
        return tl.where((v >= 0) & (v <= 1), v / (1 - v), nan)
    if kind == 4:
        endless = v == float("inf")
        finite = tl.where(endless, 1, v)
        return tl.where(v >= 0, tl.where(endless, 1, finite / (1 + finite)), nan)
    if kind == 5:
        return tl.where((v >= 0) & (v <= 1), _logit(v), nan)
    if kind == 6:
        return tl.where(v <= 0, _log1mexp(v), nan)
    return tl.where(v <= 0, _logitexp(v, wide), nan)


@triton.jit
def _links(x, y, count, kind: tl.constexpr, wide: tl.constexpr, block: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    v = tl.load(x + at, mask=at < count, other=0).to(wide)
    tl.store(y + at, _made(v, kind, wide), mask=at < count)


@triton.jit
def _binary(
    x, labels, loss, slope, count, sloped: tl.constexpr, checked: tl.constexpr, wide: tl.constexpr, block: tl.constexpr
):
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    v = tl.load(x + at, mask=at < count, other=0).to(wide)
    y = tl.load(labels + at, mask=at < count, other=0).to(wide)
    if checked:
        y = tl.where((y >= 0) & (y <= 1), y, float("nan"))
    size = tl.abs(v)
    against = tl.where(v > 0, 1 - y, y)  # the label's part of the less likely class
    paid = tl.where(against == 0, 0, tl.where(against == 0, 0, size) * against)
    found = log1p(exp(-size)) + paid
    found = tl.where(v != v, v, tl.where(y != y, y, found))
    tl.store(loss + at, found, mask=at < count)
    if sloped:
        p, q = _made(v, 0, wide), _made(-v, 0, wide)
        tl.store(slope + at, (1 - y) * p - y * q, mask=at < count)


def _dense(x: Tensor) -> Tensor:
    """Return a tensor whose numbers lie in one piece of memory, in whatever order."""
    return x if x.is_contiguous() or torch.ops.aten.is_non_overlapping_and_dense(x) else x.contiguous()


def link(name: str, x: Tensor) -> Tensor:
    """Return an elementwise function, by a name of `LINKS`."""
    dense = _dense(x)
    y = torch.empty_like(dense)
    launch(
        _links,
        triton.cdiv(x.numel(), BLOCK),
        4,
        dense,
        y,
        x.numel(),
        block=BLOCK,
        kind=LINKS[name],
        wide=wide_of(x.dtype)[1],
    )
    return y


def binary_cross_entropy(
    x: Tensor, labels: Tensor, with_gradient: bool, checked: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Return the loss of each logit against a probability of the same shape, and its gradient; both are NaN where a label is none."""
    x, labels = x.contiguous(), labels.contiguous()
    loss = torch.empty_like(x)
    slope = torch.empty_like(x) if with_gradient else None
    kind = wide_of(x.dtype, labels.dtype)[1]
    launch(
        _binary, triton.cdiv(x.numel(), BLOCK), 4, x, labels, loss, x if slope is None else slope, x.numel(),
        sloped=with_gradient, checked=checked, wide=kind, block=BLOCK,
    )  # fmt: skip
    return loss, slope
