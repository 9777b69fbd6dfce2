"""
Rows: one kernel a call, by the formulas of `formulas.py`.

A row has the same bits whatever else is in the batch: how it is summed up hangs on its length alone. Short rows are held in registers, several
to a program; long ones are read twice, once for what they add up to and once for the results, three or four times where the second largest
class is looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sigmax.arrays.torch.kernels.arithmetic import exp, launch, log1p, wide_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NAMES", "cross_entropy", "logsumexp", "per_class", "pullback"]

LONGEST = 16_384  # classes that are held in registers
PIECE = 4096  # of longer rows
TILE = 256  # numbers of short rows together
# 3 is the logarithm of the sum; from SECOND on the second largest class is looked for as well.
NAMES = {"softmax": 0, "log_softmax": 1, "softmax_complement": 2, "log_softmax_complement": 4, "logit_softmax": 5}
SECOND: tl.constexpr = tl.constexpr(4)
PULLBACKS = {"softmax_pullback": 0, "log_softmax_pullback": 1}
NOWHERE: tl.constexpr = tl.constexpr(2147483647)


@triton.jit
def _divided(hi, lo, t, t_low, two: tl.constexpr):
    """Return the quotient by a temperature in two terms, of which there are two."""
    inf = float("inf")
    usual = (t > 0) & (t < inf)
    t1 = tl.where(usual, t, 1)
    q = hi / t1
    rest = lo
    if two:
        product = q * t1
        error = tl.fma(q, t1, -product)
        rest = (((hi - product) - error) + (lo - q * tl.where(usual, t_low, 0))) / t1
        rest = tl.where(usual & (rest < inf) & (rest > -inf), rest, 0)
    cold = tl.where(hi == 0, 0, -inf)
    hot = tl.where(hi == -inf, -inf, hi * 0)
    return tl.where(usual, q, tl.where(t == 0, tl.where(hi != hi, hi, cold), hot)), rest


@triton.jit
def _apart(x, largest, t1, t2, heated: tl.constexpr, two: tl.constexpr):
    """Return (x - largest) / T, in two terms where it may have more digits than one; -inf for what is impossible beside the largest."""
    hi = tl.where(x == largest, 0, x - largest)
    lo = tl.zeros_like(hi)
    if two:
        back = hi - x
        lo = tl.where((hi < 0) & (hi > -float("inf")), (x - (hi - back)) - (largest + back), 0)
    if heated:
        hi, lo = _divided(hi, lo, t1, t2, two)
    return hi, lo


@triton.jit
def _term(hi, lo, two: tl.constexpr):
    """Return the exponential; of what has fewer digits than it is worked out in by the quick one of the device."""
    if two:
        e = exp(hi)
        return e + e * lo
    return tl.exp(hi)


@triton.jit
def _load(x, where, at, inside, masked: tl.constexpr, wide: tl.constexpr):
    value = tl.load(x + at, mask=inside, other=-float("inf")).to(wide)
    if masked:
        value = tl.where(tl.load(where + at, mask=inside, other=0) != 0, value, -float("inf"))
    return value


@triton.jit
def _tile(
    x, where, rows, classes, masked: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr
):
    """Return the rows and classes of this program, where in memory they lie, which of them there are, and their scores."""
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    k = tl.arange(0, width)
    inside = (row < rows)[:, None] & (k < classes)[None, :]
    at = row[:, None] * classes + k[None, :]
    return row, k, at, inside, _load(x, where, at, inside, masked, wide)


@triton.jit
def _heat(heat, row, rows, inside, heated: tl.constexpr, wide: tl.constexpr):
    """Return the temperatures of rows in two terms; 1 where there is none."""
    t1, t2 = tl.full(row.shape, 1, wide), tl.full(row.shape, 0, wide)
    if heated:
        t1 = tl.load(heat + row, mask=inside, other=1).to(wide)
        t2 = tl.load(heat + rows + row, mask=inside, other=0).to(wide)
    return t1, t2


@triton.jit
def _described(v, k, t1, t2, heated: tl.constexpr, two: tl.constexpr):
    """
    Return rows by their largest score, how far behind it each is (in two terms), its exponential, which is the first, and what the others add up to.

    That sum is NaN where the row holds one.
    """
    largest, place = tl.max(tl.where(v != v, -float("inf"), v), axis=1, return_indices=True)
    largest = largest[:, None]
    first = k[None, :] == place[:, None]
    hi, lo = _apart(v, largest, t1, t2, heated, two)
    t = _term(hi, lo, two)
    rest = tl.sum(tl.where(first & (t == t), 0, t), axis=1)[:, None]
    return largest, hi, lo, t, first, rest


@triton.jit
def _summed(
    x, where, start, classes, t1, t2,
    masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    """Return the largest score of a long row, its first place, and what the others add up to: in one pass, each lane by its own largest so far."""
    inf = float("inf")
    top, place = tl.full([piece], -inf, wide), tl.full([piece], NOWHERE, tl.int32)
    sums = tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        more = v > top
        low, high = tl.where(more, top, v), tl.where(more, v, top)
        hi, lo = _apart(low, high, t1, t2, heated, two)
        e = tl.where(low == -inf, 0, _term(hi, lo, two))
        sums = tl.where(more, (sums + 1) * e, sums + e)
        place = tl.where(more, k, place)
        top = high
    largest = tl.max(top, axis=0, keep_dims=True)
    own = tl.min(tl.where(top == largest, place, NOWHERE), axis=0, keep_dims=True)
    hi, lo = _apart(top, largest, t1, t2, heated, two)
    e = tl.where(top == -inf, 0, _term(hi, lo, two))
    rest = tl.sum(tl.where((top == largest) & (place == own), sums, (sums + 1) * e), axis=0, keep_dims=True)
    return largest, own, rest


@triton.jit
def _value(hi, lo, t, first, rest, kind: tl.constexpr):
    whole = 1 + rest
    if kind == 0:
        return tl.where(first, 1, t) / whole
    if kind == 1:
        log = log1p(rest)
        return tl.where(first, -log, (hi - log) + lo)
    return tl.where(first, rest, 1 + (rest - t)) / whole


@triton.jit
def _behind(hi, lo, t, first, second, rest, hi2, lo2, rest2, t2, kind: tl.constexpr):
    """Return what is looked for of a class and the others: what the first leaves them is told by the second largest and those behind it."""
    log_rest = (hi2 + log1p(rest2)) + lo2
    if kind == 4:
        others = tl.where(first, rest, 1 + (rest - t))
        usual = -log1p(tl.where(first, 1, t) / tl.where(others == 0, 1, others))
        return tl.where(first & (rest < 1), log_rest - log1p(rest), usual)
    beyond = tl.where(second, t2 * rest2, t2 + (rest - t2 - t))
    beyond = tl.where(first | (hi2 == -float("inf")), 0, beyond)
    return tl.where(first, -log_rest, (hi - log1p(beyond)) + lo)


@triton.jit
def _beside(hi, hi2, second, first):
    """Return how far behind the second largest class each of the others is, and which count."""
    some = tl.where(hi2 > -float("inf"), hi2, 0)
    counts = (hi > some - 800) & ~first & ~second
    return tl.where(counts, hi - some, 0), counts


@triton.jit
def _empty(kind: tl.constexpr):
    """Return what a row without a possible class has."""
    if (kind == 0) | (kind == 4):
        return 0.0
    if (kind == 1) | (kind == 5):
        return -float("inf")
    return 1.0


@triton.jit
def _finished(found, largest, rest, kind: tl.constexpr):
    """Put in what holds for rows without a possible class, and for rows with a NaN."""
    found = tl.where(largest == -float("inf"), _empty(kind), found)
    return tl.where(rest != rest, rest, found)


@triton.jit
def _sum_of(largest, rest):
    """Return the logarithm of the sum of a row."""
    endless = (largest == -float("inf")) | (largest == float("inf"))
    return tl.where(endless & (rest == rest), largest, largest + log1p(rest))


@triton.jit
def _short_rows(
    x, where, heat, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, k, at, inside, v = _tile(x, where, rows, classes, masked, wide, together, width)
    t1, t2 = _heat(heat, row, rows, row < rows, heated, wide)
    largest, hi, lo, t, first, rest = _described(v, k, t1[:, None], t2[:, None], heated, two)
    if kind == 3:
        tl.store(y + row[:, None], _sum_of(largest, rest), mask=(row < rows)[:, None])
    else:
        if kind >= SECOND:
            below = tl.where(first | (hi != hi), -float("inf"), hi)
            hi2, place2 = tl.max(below, axis=1, return_indices=True)
            hi2 = hi2[:, None]
            second = (k[None, :] == place2[:, None]) & ~first
            lo2 = tl.sum(tl.where(second, lo, 0), axis=1)[:, None]
            term2 = tl.sum(tl.where(second, t, 0), axis=1)[:, None]
            relative, counts = _beside(hi, hi2, second, first)
            rest2 = tl.sum(tl.where(counts, _term(relative, lo - lo2, two), 0), axis=1)[:, None]
            found = _behind(hi, lo, t, first, second, rest, hi2, lo2, rest2, term2, kind)
        else:
            found = _value(hi, lo, t, first, rest, kind)
        tl.store(y + at, _finished(found, largest, rest, kind), mask=inside)


@triton.jit
def _long_rows(
    x, where, heat, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    one = tl.arange(0, 1)
    t1, t2 = _heat(heat, row + one, rows, one == 0, heated, wide)
    largest, place, rest = _summed(x, where, start, classes, t1, t2, masked, heated, two, wide, piece)
    if kind == 3:
        tl.store(y + row + one, _sum_of(largest, rest))
    else:
        if kind >= SECOND:
            next_hi, next_place = tl.full([piece], -float("inf"), wide), tl.full([piece], NOWHERE, tl.int32)
            for begin in range(0, classes, piece):
                k = begin + tl.arange(0, piece)
                v = _load(x, where, start + k, k < classes, masked, wide)
                hi, lo = _apart(v, largest, t1, t2, heated, two)
                more = (hi > next_hi) & (k != place)
                next_place = tl.where(more, k, next_place)
                next_hi = tl.where(more, hi, next_hi)
            hi2 = tl.max(next_hi, axis=0, keep_dims=True)
            place2 = tl.min(tl.where(next_hi == hi2, next_place, NOWHERE), axis=0, keep_dims=True)
            lows, terms2 = tl.full([piece], 0, wide), tl.full([piece], 0, wide)
            plain, whole = tl.full([piece], 0, wide), tl.full([piece], 0, wide)
            for begin in range(0, classes, piece):
                k = begin + tl.arange(0, piece)
                v = _load(x, where, start + k, k < classes, masked, wide)
                hi, lo = _apart(v, largest, t1, t2, heated, two)
                second = k == place2
                lows += tl.where(second, lo, 0)
                terms2 += tl.where(second, _term(hi, lo, two), 0)
                relative, counts = _beside(hi, hi2, second, k == place)
                e = tl.where(counts, _term(relative, tl.zeros_like(lo), two), 0)
                plain += e
                whole += e + e * lo
            lo2, term2 = tl.sum(lows, axis=0, keep_dims=True), tl.sum(terms2, axis=0, keep_dims=True)
            rest2 = tl.sum(whole, axis=0, keep_dims=True) - lo2 * tl.sum(plain, axis=0, keep_dims=True)
        for begin in range(0, classes, piece):
            k = begin + tl.arange(0, piece)
            v = _load(x, where, start + k, k < classes, masked, wide)
            hi, lo = _apart(v, largest, t1, t2, heated, two)
            t, first = _term(hi, lo, two), k == place
            if kind >= SECOND:
                found = _behind(hi, lo, t, first, k == place2, rest, hi2, lo2, rest2, term2, kind)
            else:
                found = _value(hi, lo, t, first, rest, kind)
            tl.store(y + start + k, _finished(found, largest, rest, kind), mask=k < classes)


@triton.jit
def _label(labels, at, inside, ignore, classes, skips: tl.constexpr):
    """Return labels, 0 for those that are no class; what the loss and the gradient of a row are multiplied by: 0 if it is passed over, else 1 or NaN."""
    label = tl.load(labels + at, mask=inside, other=0)
    known = (label >= 0) & (label < classes)
    counts = tl.where(known, 1.0, float("nan"))
    if skips:
        counts = tl.where(label == ignore, 0.0, counts)
    return tl.where(known, label, 0), counts


@triton.jit
def _counted(found, counts):
    """Return what a row comes to if it counts; 0 even of a NaN if it does not."""
    return tl.where(counts == 0, 0, found * counts)


@triton.jit
def _slope(v, hi, lo, t, own, first, largest, rest):
    """Return the gradient of the loss by scores."""
    found = tl.where(own, -_value(hi, lo, t, first, rest, 2), _value(hi, lo, t, first, rest, 0))
    found = tl.where((v == -float("inf")) | (largest == -float("inf")), 0, found)
    return tl.where(rest != rest, rest, found)


@triton.jit
def _short_losses(
    x, labels, loss, slope, ignore, rows, classes,
    sloped: tl.constexpr, skips: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, k, at, inside, v = _tile(x, x, rows, classes, False, wide, together, width)
    largest, hi, lo, t, first, rest = _described(v, k, 1, 0, False, two)
    label, counts = _label(labels, row, row < rows, ignore, classes, skips)
    own, counts = k[None, :] == label[:, None], counts[:, None]
    log = log1p(rest)
    each = tl.where(first, log, (log - hi) - lo)
    found = tl.sum(tl.where(own, each, 0), axis=1)[:, None]
    found = tl.where((largest == -float("inf")) | (rest != rest), float("nan"), found)
    tl.store(loss + row[:, None], _counted(found, counts), mask=(row < rows)[:, None])
    if sloped:
        tl.store(slope + at, _counted(_slope(v, hi, lo, t, own, first, largest, rest), counts), mask=inside)


@triton.jit
def _long_losses(
    x, labels, loss, slope, ignore, rows, classes,
    sloped: tl.constexpr, skips: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    one = tl.arange(0, 1)
    largest, place, rest = _summed(x, x, start, classes, 1, 0, False, False, two, wide, piece)
    label, counts = _label(labels, row + one, one == 0, ignore, classes, skips)
    high, low = _apart(tl.load(x + start + label).to(wide), largest, 1, 0, False, two)
    log = log1p(rest)
    paid = tl.where(label == place, log, (log - high) - low)
    paid = tl.where((largest == -float("inf")) | (rest != rest), float("nan"), paid)
    tl.store(loss + row + one, _counted(paid, counts))
    if sloped:
        for begin in range(0, classes, piece):
            k = begin + tl.arange(0, piece)
            v = _load(x, x, start + k, k < classes, False, wide)
            hi, lo = _apart(v, largest, 1, 0, False, two)
            found = _slope(v, hi, lo, _term(hi, lo, two), k == label, k == place, largest, rest)
            tl.store(slope + start + k, _counted(found, counts), mask=k < classes)


@triton.jit
def _pulled(possible, g, p, q, others, t, kind: tl.constexpr):
    """Return the gradient by the scores from what the others of each class add up to."""
    found = p * (q * g - others) if kind == 0 else q * g - p * others
    found = tl.where(possible, found, 0)
    return tl.where((t == 0) & (found == 0), 0, found / t)


@triton.jit
def _short_pulls(
    x, where, heat, g, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, k, at, inside, v = _tile(x, where, rows, classes, masked, wide, together, width)
    t1, t2 = _heat(heat, row, rows, row < rows, heated, wide)
    _, hi, lo, t, first, rest = _described(v, k, t1[:, None], t2[:, None], heated, two)
    p, q = _value(hi, lo, t, first, rest, 0), _value(hi, lo, t, first, rest, 2)
    possible = v > -float("inf")
    own = tl.where(possible, tl.load(g + at, mask=inside, other=0).to(wide), 0)
    a = p * own if kind == 0 else own
    beyond = tl.sum(tl.where(first, 0, a), axis=1)[:, None]
    of_first = tl.sum(tl.where(first, a, 0), axis=1)[:, None]
    found = _pulled(possible, own, p, q, tl.where(first, beyond, (beyond - a) + of_first), t1[:, None], kind)
    tl.store(y + at, tl.where(rest != rest, rest, found), mask=inside)


@triton.jit
def _long_pulls(
    x, where, heat, g, y, rows, classes,
    kind: tl.constexpr, masked: tl.constexpr, heated: tl.constexpr, two: tl.constexpr, wide: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    start = row * classes
    one = tl.arange(0, 1)
    t1, t2 = _heat(heat, row + one, rows, one == 0, heated, wide)
    largest, place, rest = _summed(x, where, start, classes, t1, t2, masked, heated, two, wide, piece)
    others, ahead = tl.full([piece], 0, wide), tl.full([piece], 0, wide)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        own = tl.where(v > -float("inf"), tl.load(g + start + k, mask=k < classes, other=0).to(wide), 0)
        a = own
        if kind == 0:
            hi, lo = _apart(v, largest, t1, t2, heated, two)
            a = _value(hi, lo, _term(hi, lo, two), k == place, rest, 0) * own
        others += tl.where(k == place, 0, a)
        ahead += tl.where(k == place, a, 0)
    beyond, of_first = tl.sum(others, axis=0, keep_dims=True), tl.sum(ahead, axis=0, keep_dims=True)
    for begin in range(0, classes, piece):
        k = begin + tl.arange(0, piece)
        v = _load(x, where, start + k, k < classes, masked, wide)
        hi, lo = _apart(v, largest, t1, t2, heated, two)
        t, first = _term(hi, lo, two), k == place
        p, q = _value(hi, lo, t, first, rest, 0), _value(hi, lo, t, first, rest, 2)
        own = tl.where(v > -float("inf"), tl.load(g + start + k, mask=k < classes, other=0).to(wide), 0)
        a = p * own if kind == 0 else own
        found = _pulled(v > -float("inf"), own, p, q, tl.where(first, beyond, (beyond - a) + of_first), t1, kind)
        tl.store(y + start + k, tl.where(rest != rest, rest, found), mask=k < classes)


# ---- calls ----


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


def _shape(width: int, small: bool) -> tuple[int, int]:
    """Return how many rows of so many places one program takes, and by how many warps: the fastest of what was tried on an H100."""
    if width < TILE:
        return TILE // width, 1
    return 1, max(width // 512, min(width // 256, 4) if small else 1)


def _long_shape(classes: int, double: bool) -> tuple[int, int]:
    """Return how much of a long row is read at once, and by how many warps; doubles need twice the registers."""
    if double:
        return PIECE // 2, 16
    return (PIECE if classes <= 16 * PIECE else 2 * PIECE), 32


def _launch(short: Any, long: Any, rows: int, classes: int, *args: Any, **constants: Any) -> None:
    if classes <= LONGEST:
        width = triton.next_power_of_2(classes)
        together, warps = _shape(width, args[0].element_size() < 4)
        kernel, programs, size = short, triton.cdiv(rows, together), dict(together=together, width=width)
    else:
        piece, warps = _long_shape(classes, constants["wide"] == tl.float64)
        kernel, programs, size = long, rows, dict(piece=piece)
    launch(kernel, programs, warps, *args, rows, classes, **constants, **size)


def _heat_of(temperature: Tensor | None, wide: torch.dtype) -> Tensor | None:
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
    wide, kind = wide_of(x.dtype, dtype)
    heat = _heat_of(temperature, wide)
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
    wide, kind = wide_of(x.dtype)
    heat = _heat_of(temperature, wide)
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
        kind=3, masked=mask is not None, heated=False, two=_has_all(x, (kind := wide_of(x.dtype, dtype)[1])), wide=kind,
    )  # fmt: skip
    return y.reshape([x.shape[i] for i in order[: x.ndim - len(axes)]])


def cross_entropy(
    x: Tensor, labels: Tensor, axes: Sequence[int], with_gradient: bool, ignore: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """
    Return the loss of each row against the number of its class, and the gradient by the scores.

    Both are 0 for the label `ignore`, and NaN for one that is no class: to raise an error would wait for the device at every call.
    """
    flat, order = _flat(x, axes)
    rows, classes = flat.shape
    loss = torch.empty(rows, dtype=x.dtype, device=x.device)
    slope = torch.empty_like(flat) if with_gradient else None
    _launch(
        _short_losses, _long_losses, rows, classes,
        flat, labels.reshape(-1).contiguous(), loss, flat if slope is None else slope, 0 if ignore is None else ignore,
        sloped=with_gradient, skips=ignore is not None, two=_has_all(x, (kind := wide_of(x.dtype)[1])), wide=kind,
    )  # fmt: skip
    loss = loss.reshape([x.shape[i] for i in order[: x.ndim - len(axes)]])
    return loss, None if slope is None else _back(slope, x, order)
