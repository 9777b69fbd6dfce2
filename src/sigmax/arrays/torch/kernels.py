"""
Rows on a GPU: one kernel a call, in Triton, by the formulas of `formulas.py`.

A row has the same bits whatever else is in the batch: how it is summed up hangs on its length alone.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NAMES", "cross_entropy", "logsumexp", "per_class", "pullback"]

LONGEST = 16_384  # classes that are held in registers
PIECE = 4096  # of longer rows
TILE = 512  # numbers of short rows together: four a thread, which was the fastest of what was tried on an H100
NAMES = {"softmax": 0, "log_softmax": 1, "softmax_complement": 2}
PULLBACKS = {"softmax_pullback": 0, "log_softmax_pullback": 1}

if os.environ.get("TRITON_INTERPRET") == "1":  # by NumPy, for tests where there is no GPU

    @triton.jit
    def _exp(x):
        return tl.exp(x)

    @triton.jit
    def _log1p(x):
        u = 1 + x
        return tl.where(u == 1, x, tl.log(u) * (x / tl.where(u == 1, 1, u - 1)))
else:
    from triton.language.extra import libdevice

    _exp, _log1p = libdevice.exp, libdevice.log1p


@triton.jit
def _apart(x, largest, two: tl.constexpr):
    """Return x less the largest, in two terms where it may have more digits than one; -inf for what is impossible beside it."""
    inf = float("inf")
    plain = (x > -inf) & (x < inf) & (largest < inf)
    a, b = tl.where(plain, x, 0), tl.where(plain, largest, 0)
    hi = a - b
    lo = hi * 0
    if two:
        back = hi - a
        lo = (a - (hi - back)) - (b + back)
    return tl.where(plain, hi, tl.where((x == largest) & (x > -inf), 0, -inf)), lo


@triton.jit
def _divided(hi, lo, t, t_low):
    """Return the quotient by a temperature in two terms, of which there are two."""
    inf = float("inf")
    usual = (t > 0) & (t < inf)
    t1 = tl.where(usual, t, 1)
    q = hi / t1
    product = q * t1
    error = tl.fma(q, t1, -product)
    rest = (((hi - product) - error) + (lo - q * tl.where(usual, t_low, 0))) / t1
    rest = tl.where((rest < inf) & (rest > -inf), rest, 0)
    cold = tl.where(hi == 0, 0, -inf)
    hot = tl.where(hi > -inf, 0, -inf)
    return tl.where(usual, tl.where(hi > -inf, q, -inf), tl.where(t == 0, cold, hot)), tl.where(usual, rest, 0)


@triton.jit
def _term(hi, lo):
    e = _exp(tl.where(hi > -800, hi, 0))
    return tl.where(hi > -800, e + e * lo, 0)


@triton.jit
def _load(x, where, at, inside, masked: tl.constexpr, wide: tl.constexpr):
    value = tl.load(x + at, mask=inside, other=-float("inf")).to(wide)
    if masked:
        value = tl.where(tl.load(where + at, mask=inside, other=0) != 0, value, -float("inf"))
    return value


@triton.jit
def _value(hi, lo, t, first, rest, kind: tl.constexpr):
    whole = 1 + rest
    if kind == 0:
        return tl.where(first, 1 / whole, t / whole)
    if kind == 1:
        log = _log1p(rest)
        return tl.where(first, -log, (hi - log) + lo)
    return tl.where(first, rest, 1 + (rest - t)) / whole


@triton.jit
def _empty(kind: tl.constexpr):
    """Return what a row without a possible class has."""
    if kind == 0:
        return 0.0
    if kind == 1:
        return -float("inf")
    return 1.0


@triton.jit
def _short_rows(
    x, where, heat, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr,
    wide: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    k = tl.arange(0, width)
    inside = (row < rows)[:, None] & (k < classes)[None, :]
    at = row[:, None] * classes + k[None, :]
    v = _load(x, where, at, inside, masked, wide)
    spoiled = tl.max((v != v).to(tl.int32), axis=1)[:, None] > 0
    v = tl.where(v != v, 0, v)
    largest = tl.max(v, axis=1)[:, None]
    place = tl.min(tl.where(v == largest, k[None, :], width), axis=1)[:, None]
    first = k[None, :] == place
    hi, lo = _apart(v, largest, two)
    if heated:
        t1 = tl.load(heat + row, mask=row < rows, other=1).to(wide)[:, None]
        t2 = tl.load(heat + rows + row, mask=row < rows, other=0).to(wide)[:, None]
        hi, lo = _divided(hi, lo, t1, t2)
    t = _term(hi, lo)
    rest = tl.sum(tl.where(first, 0, t), axis=1)[:, None]
    none = largest == -float("inf")
    if kind == 3:
        log = _log1p(rest)
        found = tl.where(none | (largest == float("inf")), largest, largest + log)
        found = tl.where(spoiled, float("nan"), found)
        tl.store(y + row[:, None], found, mask=(row < rows)[:, None])
    else:
        found = tl.where(none, _empty(kind), _value(hi, lo, t, first, rest, kind))
        tl.store(y + at, tl.where(spoiled, float("nan"), found), mask=inside)


@triton.jit
def _seen(x, where, start, classes, masked: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr):
    """Return the largest score of a long row, its first place, and whether there is a NaN."""
    largest = tl.full([piece], -float("inf"), wide)
    place = tl.full([piece], 2147483647, tl.int32)
    spoiled = tl.full([piece], 0, tl.int32)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        spoiled = spoiled | (v != v).to(tl.int32)
        more = v > largest
        place = tl.where(more, k, place)
        largest = tl.where(more, v, largest)
    top = tl.max(largest, axis=0, keep_dims=True)
    place = tl.min(tl.where(largest == top, place, 2147483647), axis=0, keep_dims=True)
    return top, place, tl.max(spoiled, axis=0, keep_dims=True) > 0


@triton.jit
def _long_rows(
    x, where, heat, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    largest, place, spoiled = _seen(x, where, start, classes, masked, wide, piece)
    one = tl.arange(0, 1)
    if heated:
        t1, t2 = tl.load(heat + row + one).to(wide), tl.load(heat + rows + row + one).to(wide)
    sums = tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        hi, lo = _apart(_load(x, where, start + k, k < classes, masked, wide), largest, two)
        if heated:
            hi, lo = _divided(hi, lo, t1, t2)
        sums += tl.where(k == place, 0, _term(hi, lo))
    rest = tl.sum(sums, axis=0, keep_dims=True)
    none = largest == -float("inf")
    if kind == 3:
        found = tl.where(none | (largest == float("inf")), largest, largest + _log1p(rest))
        tl.store(y + row + one, tl.where(spoiled, float("nan"), found))
    else:
        for begin in range(0, classes, piece):
            k = begin + tl.arange(0, piece)
            hi, lo = _apart(_load(x, where, start + k, k < classes, masked, wide), largest, two)
            if heated:
                hi, lo = _divided(hi, lo, t1, t2)
            found = _value(hi, lo, _term(hi, lo), k == place, rest, kind)
            found = tl.where(none, _empty(kind), found)
            tl.store(y + start + k, tl.where(spoiled, float("nan"), found), mask=k < classes)


@triton.jit
def _short_losses(
    x, labels, loss, slope, rows, classes,
    sloped: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    k = tl.arange(0, width)
    inside = (row < rows)[:, None] & (k < classes)[None, :]
    at = row[:, None] * classes + k[None, :]
    v = _load(x, x, at, inside, False, wide)
    spoiled = tl.max((v != v).to(tl.int32), axis=1)[:, None] > 0
    v = tl.where(v != v, 0, v)
    largest = tl.max(v, axis=1)[:, None]
    first = k[None, :] == tl.min(tl.where(v == largest, k[None, :], width), axis=1)[:, None]
    hi, lo = _apart(v, largest, two)
    t = _term(hi, lo)
    rest = tl.sum(tl.where(first, 0, t), axis=1)[:, None]
    own = k[None, :] == tl.load(labels + row, mask=row < rows, other=0)[:, None]
    none = largest == -float("inf")
    bad = spoiled | none
    log = _log1p(rest)
    each = tl.where(first, log, (log - hi) - lo)
    found = tl.sum(tl.where(own, each, 0), axis=1)[:, None]
    tl.store(loss + row[:, None], tl.where(bad, float("nan"), found), mask=(row < rows)[:, None])
    if sloped:
        found = tl.where(own, -_value(hi, lo, t, first, rest, 2), _value(hi, lo, t, first, rest, 0))
        found = tl.where(v > -float("inf"), found, 0)
        tl.store(slope + at, tl.where(spoiled, float("nan"), tl.where(none, 0, found)), mask=inside)


@triton.jit
def _long_losses(
    x, labels, loss, slope, rows, classes,
    sloped: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    largest, place, spoiled = _seen(x, x, start, classes, False, wide, piece)
    sums = tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        hi, lo = _apart(_load(x, x, start + k, k < classes, False, wide), largest, two)
        sums += tl.where(k == place, 0, _term(hi, lo))
    rest = tl.sum(sums, axis=0, keep_dims=True)
    one = tl.arange(0, 1)
    label = tl.load(labels + row + one)
    high, low = _apart(tl.load(x + start + label).to(wide), largest, two)
    log = _log1p(rest)
    none = largest == -float("inf")
    paid = tl.where(label == place, log, (log - high) - low)
    tl.store(loss + row + one, tl.where(spoiled | none, float("nan"), paid))
    if sloped:
        for begin in range(0, classes, piece):
            k = begin + tl.arange(0, piece)
            v = _load(x, x, start + k, k < classes, False, wide)
            hi, lo = _apart(v, largest, two)
            t, first = _term(hi, lo), k == place
            found = tl.where(k == label, -_value(hi, lo, t, first, rest, 2), _value(hi, lo, t, first, rest, 0))
            found = tl.where(v > -float("inf"), found, 0)
            tl.store(slope + start + k, tl.where(spoiled, float("nan"), tl.where(none, 0, found)), mask=k < classes)


@triton.jit
def _pulled(possible, g, p, q, others, t, kind: tl.constexpr):
    """Return the gradient by scores from what the others of each class add up to."""
    found = p * (q * g - others) if kind == 0 else q * g - p * others
    found = tl.where(possible, found, 0)
    return tl.where((t == 0) & (found == 0), 0, found / t)


@triton.jit
def _short_pulls(
    x, where, heat, g, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr,
    wide: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    k = tl.arange(0, width)
    inside = (row < rows)[:, None] & (k < classes)[None, :]
    at = row[:, None] * classes + k[None, :]
    v = _load(x, where, at, inside, masked, wide)
    spoiled = tl.max((v != v).to(tl.int32), axis=1)[:, None] > 0
    v = tl.where(v != v, 0, v)
    largest = tl.max(v, axis=1)[:, None]
    first = k[None, :] == tl.min(tl.where(v == largest, k[None, :], width), axis=1)[:, None]
    hi, lo = _apart(v, largest, two)
    t1 = tl.full([together, 1], 1, wide)
    if heated:
        t1 = tl.load(heat + row, mask=row < rows, other=1).to(wide)[:, None]
        t2 = tl.load(heat + rows + row, mask=row < rows, other=0).to(wide)[:, None]
        hi, lo = _divided(hi, lo, t1, t2)
    t = _term(hi, lo)
    rest = tl.sum(tl.where(first, 0, t), axis=1)[:, None]
    p, q = _value(hi, lo, t, first, rest, 0), _value(hi, lo, t, first, rest, 2)
    possible = v > -float("inf")
    own = tl.where(possible, tl.load(g + at, mask=inside, other=0).to(wide), 0)
    a = p * own if kind == 0 else own
    beyond = tl.sum(tl.where(first, 0, a), axis=1)[:, None]
    of_first = tl.sum(tl.where(first, a, 0), axis=1)[:, None]
    found = _pulled(possible, own, p, q, tl.where(first, beyond, (beyond - a) + of_first), t1, kind)
    tl.store(y + at, tl.where(spoiled, float("nan"), found), mask=inside)


@triton.jit
def _long_pulls(
    x, where, heat, g, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    one = tl.arange(0, 1)
    largest, place, spoiled = _seen(x, where, start, classes, masked, wide, piece)
    t1, t2 = tl.full([1], 1, wide), tl.full([1], 0, wide)
    if heated:
        t1, t2 = tl.load(heat + row + one).to(wide), tl.load(heat + rows + row + one).to(wide)
    sums = tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        hi, lo = _apart(_load(x, where, start + k, k < classes, masked, wide), largest, two)
        if heated:
            hi, lo = _divided(hi, lo, t1, t2)
        sums += tl.where(k == place, 0, _term(hi, lo))
    rest = tl.sum(sums, axis=0, keep_dims=True)
    others, ahead = tl.full([piece], 0, wide), tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        hi, lo = _apart(v, largest, two)
        if heated:
            hi, lo = _divided(hi, lo, t1, t2)
        own = tl.where(v > -float("inf"), tl.load(g + start + k, mask=k < classes, other=0).to(wide), 0)
        a = _value(hi, lo, _term(hi, lo), k == place, rest, 0) * own if kind == 0 else own
        others += tl.where(k == place, 0, a)
        ahead += tl.where(k == place, a, 0)
    beyond, of_first = tl.sum(others, axis=0, keep_dims=True), tl.sum(ahead, axis=0, keep_dims=True)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        hi, lo = _apart(v, largest, two)
        if heated:
            hi, lo = _divided(hi, lo, t1, t2)
        t, first = _term(hi, lo), k == place
        p, q = _value(hi, lo, t, first, rest, 0), _value(hi, lo, t, first, rest, 2)
        own = tl.where(v > -float("inf"), tl.load(g + start + k, mask=k < classes, other=0).to(wide), 0)
        a = p * own if kind == 0 else own
        found = _pulled(v > -float("inf"), own, p, q, tl.where(first, beyond, (beyond - a) + of_first), t1, kind)
        tl.store(y + start + k, tl.where(spoiled, float("nan"), found), mask=k < classes)


# ---- calls ----


def _wide(*dtypes: torch.dtype) -> tuple[torch.dtype, Any]:
    """Return in what the work is done, as PyTorch and as Triton call it."""
    return (torch.float64, tl.float64) if torch.float64 in dtypes else (torch.float32, tl.float32)


def _has_all(x: Tensor, kind: Any) -> bool:
    """Return whether scores have as many digits as what they are worked out in: a difference of them may then need two terms."""
    return x.dtype == torch.float64 or (x.dtype == torch.float32 and kind == tl.float32)


def _flat(x: Tensor, axes: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Return rows in a matrix, and the order of the axes that it has."""
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    if order[-1] == x.ndim - 1 and len(axes) == 1 and x.is_contiguous():  # as most are
        return x.reshape(-1, x.shape[-1]), order
    shape = [x.shape[i] for i in order]
    classes = 1
    for n in shape[x.ndim - len(axes) :]:
        classes *= n
    return x.permute(order).reshape(-1, classes).contiguous(), order


def _back(y: Tensor, x: Tensor, order: list[int]) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return y.reshape([x.shape[i] for i in order]).permute(inverse)


def _shape(width: int) -> tuple[int, int]:
    """Return how many rows of so many places one program takes, and by how many warps."""
    together = max(1, TILE // width)
    return together, min(max(together * width // 128, 1), 16 if width <= 8192 else 32)


def _launch(short: Any, long: Any, rows: int, classes: int, *args: Any, **constants: Any) -> None:
    device: Any = args[0].device
    elsewhere = device.type == "cuda" and device.index != torch.cuda.current_device()
    with torch.cuda.device(device) if elsewhere else contextlib.nullcontext():
        if classes <= LONGEST:
            width = triton.next_power_of_2(classes)
            together, warps = _shape(width)
            grid = (triton.cdiv(rows, together),)
            short[grid](*args, rows, classes, **constants, together=together, width=width, num_warps=warps)
        else:
            long[(rows,)](*args, rows, classes, **constants, piece=PIECE, num_warps=16)


def _heat(temperature: Tensor | None, wide: torch.dtype) -> Tensor | None:
    """Return temperatures in two terms, those of all rows before the others'."""
    if temperature is None:
        return None
    whole = temperature.detach().double().reshape(-1)
    high = whole.to(wide)
    low = torch.where(torch.isfinite(whole), whole - high.double(), 0).to(wide)
    return torch.cat([high, low])


def per_class(
    name: str, x: Tensor, temperature: Tensor | None, where: Tensor | None, axes: Sequence[int], dtype: torch.dtype
) -> Tensor:
    """Return one number for each score, by a name of `NAMES`."""
    flat, order = _flat(x, axes)
    mask = None if where is None else _flat(where.expand(x.shape), axes)[0]
    y = torch.empty(flat.shape, dtype=dtype, device=x.device)
    rows, classes = flat.shape
    wide, kind = _wide(x.dtype, dtype)
    heat = _heat(temperature, wide)
    _launch(
        _short_rows, _long_rows, rows, classes, flat, flat if mask is None else mask, flat if heat is None else heat, y,
        kind=NAMES[name], masked=mask is not None, heated=heat is not None, two=_has_all(x, kind), wide=kind,
    )  # fmt: skip
    return (
        torch.empty_like(x, dtype=dtype).copy_(_back(y, x, order))
        if order != list(range(x.ndim))
        else y.reshape(x.shape)
    )


def pullback(
    name: str, x: Tensor, g: Tensor, temperature: Tensor | None, where: Tensor | None, axes: Sequence[int]
) -> Tensor:
    """Return the gradient by the scores from one by what is made of them, by a name of `PULLBACKS`."""
    flat, order = _flat(x, axes)
    mask = None if where is None else _flat(where.expand(x.shape), axes)[0]
    rows, classes = flat.shape
    y = torch.empty_like(flat)
    wide, kind = _wide(x.dtype)
    heat = _heat(temperature, wide)
    _launch(
        _short_pulls, _long_pulls, rows, classes, flat, flat if mask is None else mask, flat if heat is None else heat,
        _flat(g.expand(x.shape), axes)[0], y,
        kind=PULLBACKS[name], masked=mask is not None, heated=heat is not None, two=_has_all(x, kind), wide=kind,
    )  # fmt: skip
    return torch.empty_like(x).copy_(_back(y, x, order))


def logsumexp(x: Tensor, where: Tensor | None, axes: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return one number for each row."""
    flat, order = _flat(x, axes)
    mask = None if where is None else _flat(where.expand(x.shape), axes)[0]
    rows, classes = flat.shape
    y = torch.empty(rows, dtype=dtype, device=x.device)
    _launch(
        _short_rows, _long_rows, rows, classes, flat, flat if mask is None else mask, flat, y,
        kind=3, masked=mask is not None, heated=False, two=_has_all(x, (kind := _wide(x.dtype, dtype)[1])), wide=kind,
    )  # fmt: skip
    return y.reshape([x.shape[i] for i in order[: x.ndim - len(axes)]])


def cross_entropy(x: Tensor, labels: Tensor, axes: Sequence[int], with_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Return the loss of each row against the number of its class, and the gradient by the scores."""
    flat, order = _flat(x, axes)
    rows, classes = flat.shape
    loss = torch.empty(rows, dtype=x.dtype, device=x.device)
    slope = torch.empty_like(flat) if with_gradient else None
    _launch(
        _short_losses, _long_losses, rows, classes, flat, labels.reshape(-1).contiguous(), loss, flat if slope is None else slope,
        sloped=with_gradient, two=_has_all(x, (kind := _wide(x.dtype)[1])), wide=kind,
    )  # fmt: skip
    loss = loss.reshape([x.shape[i] for i in order[: x.ndim - len(axes)]])
    return loss, None if slope is None else _back(slope, x, order)
