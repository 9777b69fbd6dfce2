"""
The functions in the operations of another library: for arrays that cannot be handed to the core, on a GPU or inside a compiler.

The same contract as the core's and the same formulas, in the arithmetic that the library has: errors of some units in the last
place instead of one, results below the smallest normal number where the library keeps them.

A row is described by its scores relative to the largest, ``d = (x - max) / T`` in two terms, so that rounding them costs the small
entries nothing; by ``t = exp(d)``; and by ``rest``, the sum of all t but that of the largest class, which is 1. What is near 1 is
computed from what it lacks, which `rest` and the others' share hold in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Formulas", "Row"]

Array = Any
LN2 = 0.6931471805599453
LN2_LOW = 2.3190468138462996e-17  # log 2 - LN2


@dataclass(frozen=True)
class Row:
    """Rows of class scores, the classes along the last axis; what stands for a row has a last axis of length 1."""

    hi: Array  # (x - max) / T, and what rounding took from it
    lo: Array
    t: Array  # its exponential
    first: Array  # one True: where the largest score is
    rest: Array  # the sum of the other t
    largest: Array  # the largest score
    possible: Array
    spoiled: Array  # the row holds a NaN


class Formulas:
    """
    The functions on floating-point arrays of one library.

    Parameters
    ----------
    xp : namespace
        The library's functions under the names of the array API standard.
    exp, log1p : callable, optional
        Better ones than the library's.
    """

    def __init__(
        self, xp: Any, exp: Callable[[Array], Array] | None = None, log1p: Callable[[Array], Array] | None = None
    ):
        self.xp = xp
        self.exp = exp or xp.exp
        self.log1p = log1p or xp.log1p

    # ---- elementwise ----

    def sigmoid(self, x: Array) -> Array:
        e = self.exp(-self.xp.abs(x))
        return self.xp.where(x >= 0, 1 / (1 + e), e / (1 + e))

    def log_sigmoid(self, x: Array) -> Array:
        xp = self.xp
        return xp.where(x > 0, x * 0.0, x) - self._log1p_of_exp(-xp.abs(x))

    def softplus(self, x: Array) -> Array:
        return -self.log_sigmoid(-x)

    def _log1p_of_exp(self, x: Array) -> Array:
        return self.log1p(self.exp(x))

    def odds(self, p: Array) -> Array:
        return self._inside(p / (1 - p), (p >= 0) & (p <= 1))

    def from_odds(self, o: Array) -> Array:
        xp = self.xp
        endless = o == float("inf")
        finite = xp.where(endless, xp.ones_like(o), o)
        return self._inside(xp.where(endless, finite, finite / (1 + finite)), o >= 0)

    def logit(self, p: Array) -> Array:
        # near 1/2 the two logarithms cancel; 2 p - 1 is exact there
        xp = self.xp
        near = xp.abs(p - 0.5) < 0.25
        inside = xp.where(near, 2 * p - 1, xp.zeros_like(p))
        far = xp.where(near, xp.full_like(p, 0.25), p)
        value = xp.where(near, 2 * xp.atanh(inside), xp.log(far) - self.log1p(-far))
        return self._inside(value, (p >= 0) & (p <= 1))

    def log1mexp(self, l: Array) -> Array:
        xp = self.xp
        near = l > -LN2
        value = xp.where(
            near,
            xp.log(-xp.expm1(xp.where(near, l, -xp.ones_like(l)))),
            self.log1p(-self.exp(xp.where(near, -xp.ones_like(l), l))),
        )
        return self._inside(value, l <= 0)

    def logitexp(self, l: Array) -> Array:
        # around log(1/2) it is 2 artanh(2 p - 1), with 2 p - 1 = expm1(l + log 2)
        xp = self.xp
        near = xp.abs(l + LN2) < 0.25
        inside = xp.expm1((xp.where(near, l, xp.full_like(l, -LN2)) + LN2) + LN2_LOW)
        far = xp.where(near, -xp.ones_like(l), l)
        value = xp.where(near, 2 * xp.atanh(inside), far - self.log1mexp(far))
        return self._inside(value, l <= 0)

    def _inside(self, value: Array, domain: Array) -> Array:
        return self.xp.where(domain, value, self.xp.full_like(value, float("nan")))

    def binary_cross_entropy(self, x: Array, y: Array) -> Array:
        xp = self.xp
        size = xp.abs(x)
        against = xp.where(x > 0, 1 - y, y)  # the label's part of the less likely class
        paid = xp.where(against == 0, xp.zeros_like(size), size) * against
        return self._log1p_of_exp(-size) + xp.where(against == 0, xp.zeros_like(paid), paid)

    def binary_cross_entropy_slope(self, x: Array, y: Array) -> Array:
        return (1 - y) * self.sigmoid(x) - y * self.sigmoid(-x)

    # ---- over the last axis ----

    def row(self, x: Array, temperature: Array | None = None, where: Array | None = None) -> Row:
        """Describe rows of scores; `temperature` has a last axis of length 1."""
        xp, inf = self.xp, float("inf")
        if where is not None:
            x = xp.where(where, x, xp.full_like(x, -inf))
        spoiled = xp.any(xp.isnan(x), axis=-1, keepdims=True)
        x = xp.where(spoiled, xp.zeros_like(x), x)
        possible = x > -inf
        largest = xp.max(x, axis=-1, keepdims=True)
        ordinary = xp.isfinite(x) & xp.isfinite(largest)
        zero = xp.zeros_like(x)
        a, b = xp.where(ordinary, x, zero), xp.where(ordinary, largest + zero, zero)
        hi = a - b
        back = hi - a  # the rounding error of a difference (Knuth)
        lo = (a - (hi - back)) - (b + back)
        if temperature is not None:
            hi, lo = self._divided(hi, lo, temperature)
        hi = xp.where(ordinary, hi, xp.where(possible & ((x == largest) | xp.isfinite(largest)), zero, zero - inf))
        lo = xp.where(ordinary, lo, zero)
        if temperature is not None:
            cold, hot = temperature == 0, (temperature == inf) & (largest < inf)
            hi = xp.where(cold, xp.where(possible & (x == largest), zero, zero - inf), hi)
            hi = xp.where(hot, xp.where(possible, zero, zero - inf), hi)
            lo = xp.where(cold | hot, zero, lo)
        classes = x.shape[-1]
        numbers = xp.arange(classes) if not hasattr(x, "device") else xp.arange(classes, device=x.device)
        first = numbers == xp.argmax(x, axis=-1, keepdims=True)
        gone = hi < -800.0
        t = self.exp(xp.where(gone, zero, hi))
        t = xp.where(gone, zero, t + t * lo)
        rest = xp.sum(xp.where(first, zero, t), axis=-1, keepdims=True)
        return Row(hi, lo, t, first, rest, largest, possible, spoiled)

    def _divided(self, hi: Array, lo: Array, temperature: Array) -> tuple[Array, Array]:
        xp = self.xp
        t = xp.where((temperature > 0) & xp.isfinite(temperature), temperature, xp.ones_like(temperature))
        quotient = hi / t
        product, error = self._product(quotient, t)
        rest = (((hi - product) - error) + lo) / t
        return quotient, xp.where(xp.isfinite(rest), rest, xp.zeros_like(rest))

    def _product(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return a product and its rounding error (Dekker)."""
        split = 134217729.0 if self.xp.finfo(a.dtype).bits == 64 else 4097.0
        a1, b1 = (split * a) - ((split * a) - a), (split * b) - ((split * b) - b)
        a2, b2 = a - a1, b - b1
        product = a * b
        return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2

    def _finished(self, r: Row, value: Array, impossible: float) -> Array:
        """Put in what holds for rows without a possible class, and for rows with a NaN."""
        xp = self.xp
        none = ~xp.any(r.possible, axis=-1, keepdims=True)
        value = xp.where(none, xp.full_like(value, impossible), value)
        return xp.where(r.spoiled, xp.full_like(value, float("nan")), value)

    def _others(self, r: Row) -> Array:
        """Return what the other classes have, times 1 + rest."""
        return self.xp.where(r.first, r.rest, 1 + (r.rest - r.t))

    def softmax(self, r: Row) -> Array:
        return self._finished(r, self.xp.where(r.first, 1 / (1 + r.rest), r.t / (1 + r.rest)), 0.0)

    def softmax_complement(self, r: Row) -> Array:
        return self._finished(r, self._others(r) / (1 + r.rest), 1.0)

    def log_softmax(self, r: Row) -> Array:
        log = self.log1p(r.rest)
        return self._finished(r, self.xp.where(r.first, -log, (r.hi - log) + r.lo), -float("inf"))

    def log_softmax_complement(self, r: Row) -> Array:
        xp = self.xp
        ahead = r.first & (r.rest < 1)
        others = self._others(r)
        some = xp.where(ahead | (others == 0), xp.ones_like(others), others)
        small = xp.where(ahead, r.rest + xp.zeros_like(r.t), xp.ones_like(r.t))
        value = xp.where(
            ahead, xp.log(small) - self.log1p(small), -self.log1p(xp.where(r.first, xp.ones_like(r.t), r.t) / some)
        )
        return self._finished(r, value, 0.0)

    def logit_softmax(self, r: Row) -> Array:
        xp, inf = self.xp, float("inf")
        zero = xp.zeros_like(r.t)
        # the others of any class but the largest, without those two: the second largest is left out by name, as it may be nearly all
        below = xp.where(r.first, zero - inf, r.hi)
        numbers = (
            xp.arange(r.t.shape[-1]) if not hasattr(r.t, "device") else xp.arange(r.t.shape[-1], device=r.t.device)
        )
        second = (numbers == xp.argmax(below, axis=-1, keepdims=True)) & ~r.first
        rest2 = xp.sum(xp.where(r.first | second, zero, r.t), axis=-1, keepdims=True)
        t2 = xp.sum(xp.where(second, r.t, zero), axis=-1, keepdims=True)
        hi2 = xp.max(below, axis=-1, keepdims=True)
        beyond = xp.where(second, rest2 + zero, xp.where(r.first, zero, t2 + (rest2 - r.t)))
        # of the largest: -log(rest), which is -(d2 + log1p(rest2 / t2))
        alone = hi2 == -inf
        leading = -(
            xp.where(alone, zero, hi2 + zero)
            + self.log1p(xp.where(t2 > 0, rest2 / xp.where(t2 > 0, t2, t2 + 1), rest2 * 0))
        )
        leading = xp.where(alone, zero + inf, leading)
        value = xp.where(r.first, leading, (r.hi - self.log1p(beyond)) + r.lo)
        return self._finished(r, value, -inf)

    def logsumexp(self, r: Row) -> Array:
        """Return one number a row, with a last axis of length 1."""
        xp = self.xp
        log = self.log1p(r.rest)
        value = xp.where(xp.isfinite(r.largest), r.largest + log, r.largest)
        return xp.where(r.spoiled, xp.full_like(value, float("nan")), value)

    def weighted_logsumexp(self, x: Array, weights: Array, where: Array | None) -> tuple[Array, Array]:
        """Return logarithm and sign of the weighted sum, with a last axis of length 1."""
        xp, inf = self.xp, float("inf")
        counts = weights != 0 if where is None else (weights != 0) & where
        weights = xp.where(counts, weights, xp.zeros_like(weights))
        r = self.row(x, None, counts)
        spoiled = r.spoiled | xp.any(xp.isnan(weights), axis=-1, keepdims=True)
        terms = weights * r.t
        of_first = xp.sum(xp.where(r.first, weights, xp.zeros_like(weights)), axis=-1, keepdims=True)
        others = xp.sum(xp.where(r.first, xp.zeros_like(terms), terms), axis=-1, keepdims=True)
        total, above = of_first + others, (of_first - 1) + others
        near = xp.abs(above) < 0.5
        log = xp.where(
            near, self.log1p(xp.where(near, above, above * 0)), xp.log(xp.abs(xp.where(near, above * 0 + 1, total)))
        )
        value = xp.where(xp.isfinite(r.largest), r.largest + log, r.largest)
        nothing = r.largest == -inf
        sign = xp.where(nothing, xp.zeros_like(total), xp.sign(total))
        undecided = (r.largest == inf) & (total == 0)
        bad = spoiled | undecided
        value = xp.where((total == 0) & ~undecided, xp.full_like(value, -inf), value)
        return xp.where(bad, xp.full_like(value, float("nan")), value), xp.where(
            bad, xp.full_like(sign, float("nan")), sign
        )

    def target(self, r: Row, q: Array, smoothing: float) -> Array:
        """Return label probabilities with `smoothing` spread over the possible classes."""
        if smoothing == 0:
            return q
        xp = self.xp
        possible = xp.astype(r.possible, q.dtype)
        spread = smoothing / xp.sum(possible, axis=-1, keepdims=True)
        return q * (1 - smoothing) + spread * possible

    def cross_entropy(self, r: Row, q: Array) -> Array:
        """Return the loss of rows against label probabilities, with a last axis of length 1."""
        xp = self.xp
        asked = q != 0
        terms = xp.where(asked, -self.log_softmax(r) * xp.where(asked, q, xp.ones_like(q)), xp.zeros_like(q))
        return self._finished(r, xp.sum(terms, axis=-1, keepdims=True), float("nan"))

    # ---- gradients by the scores ----

    def others_sum(self, r: Row, a: Array) -> Array:
        """For each class the sum of `a` over the others; the largest class's own is never added and taken away again."""
        xp = self.xp
        zero = xp.zeros_like(a)
        rest = xp.sum(xp.where(r.first, zero, a), axis=-1, keepdims=True)
        own = xp.sum(xp.where(r.first, a, zero), axis=-1, keepdims=True)
        return xp.where(r.first, rest, (rest - a) + own)

    def shares(self, r: Row) -> tuple[Array, Array]:
        """Return p and 1 - p, and 0 for both of an impossible class."""
        xp = self.xp
        p, q = self.softmax(r), self.softmax_complement(r)
        return p, xp.where(r.possible, q, xp.zeros_like(q))
