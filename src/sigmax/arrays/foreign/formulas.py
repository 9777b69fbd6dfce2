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
    spoiled: Array  # the row holds a NaN, or has a temperature that is none


class Formulas:
    """
    The functions on floating-point arrays of one library.

    Parameters
    ----------
    xp : namespace
        The library's functions under the names of the array API standard.
    exp, expm1, log1p : callable, optional
        Better ones than the library's; `exp` may take a small second term of its argument.
    barrier : callable, optional
        Keeps a compiler from joining what stands inside with what stands outside.
    """

    def __init__(
        self,
        xp: Any,
        exp: Callable[..., Array] | None = None,
        expm1: Callable[[Array], Array] | None = None,
        log1p: Callable[[Array], Array] | None = None,
        barrier: Callable[[Array], Array] = lambda x: x,
    ) -> None:
        self.xp = xp
        self.exp = exp or xp.exp
        self.exp_of_two = exp or self._exp_of_two
        self.expm1 = expm1 or xp.expm1
        self.log1p = log1p or xp.log1p
        self.barrier = barrier

    def _exp_of_two(self, hi: Array, lo: Array) -> Array:
        e = self.xp.exp(hi)
        return e + e * lo

    # ---- elementwise ----

    def sigmoid(self, x: Array) -> Array:
        e = self.exp(-self.xp.abs(x))
        return self.xp.where(x >= 0, 1 / (1 + e), e / (1 + e))

    def log_sigmoid(self, x: Array) -> Array:
        xp = self.xp
        return xp.where(x > 0, xp.zeros_like(x), x) - self._log1p_of_exp(-xp.abs(x))

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
        # around 1/2, where the two logarithms cancel, p / (1 - p) = 1 + (2 p - 1) / (1 - p), and 2 p - 1 is exact
        xp = self.xp
        near = xp.abs(p - 0.5) < 0.25
        middle = xp.where(near, p, xp.full_like(p, 0.5))
        far = xp.where(near, xp.full_like(p, 0.25), p)
        value = xp.where(near, self.log1p((2 * middle - 1) / (1 - middle)), xp.log(far) - self.log1p(-far))
        return self._inside(value, (p >= 0) & (p <= 1))

    def log1mexp(self, l: Array) -> Array:
        xp = self.xp
        one = xp.ones_like(l)
        near = l > -LN2
        by_expm1 = xp.log(-self.expm1(xp.where(near & (l <= 0), l, -one)))
        value = xp.where(near, by_expm1, self.log1p(-self.exp(xp.where(near, -one, l))))
        return self._inside(value, l <= 0)

    def logitexp(self, l: Array) -> Array:
        # the same as in logit, with 2 p - 1 = expm1(l + log 2)
        xp = self.xp
        near = xp.abs(l + LN2) < 0.25
        ln2, low = (
            (LN2, 2.3190468138462996e-17) if self._bits(l) == 64 else (0.693147182464599609375, -1.904654299957768e-09)
        )
        middle = self.expm1(self.barrier(xp.where(near, l, xp.full_like(l, -ln2)) + ln2) + low)
        far = xp.where(near, -xp.ones_like(l), l)
        value = xp.where(near, self.log1p(2 * middle / (1 - middle)), far - self.log1mexp(far))
        return self._inside(value, l <= 0)

    def _bits(self, x: Array) -> int:
        return int(self.xp.finfo(x.dtype).bits)

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
        if temperature is not None:  # one that is none, which could not be refused
            spoiled = spoiled | ~(temperature >= 0)
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
        first = self._numbers(x) == xp.argmax(x, axis=-1, keepdims=True)
        gone = hi < -800.0
        t = xp.where(gone, zero, self.exp_of_two(xp.where(gone, zero, hi), lo))
        rest = xp.sum(xp.where(first, zero, t), axis=-1, keepdims=True)
        return Row(hi, lo, t, first, rest, largest, possible, spoiled)

    def _divided(self, hi: Array, lo: Array, temperature: Array) -> tuple[Array, Array]:
        """Return the quotient in two terms; a temperature with more digits than the scores keeps them."""
        xp = self.xp
        usual = (temperature > 0) & xp.isfinite(temperature)
        exact = xp.where(usual, temperature, xp.ones_like(temperature))
        t = xp.astype(exact, hi.dtype)
        t_low = xp.astype(exact - xp.astype(t, exact.dtype), hi.dtype)
        quotient = hi / t
        product, error = self._product(quotient, t)
        rest = (((hi - product) - error) + (lo - quotient * t_low)) / t
        return quotient, xp.where(xp.isfinite(rest), rest, xp.zeros_like(rest))

    def _product(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return a product and its rounding error (Dekker)."""
        split = 134217729.0 if self._bits(a) == 64 else 4097.0
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
        usual = -self.log1p(
            xp.where(r.first, xp.ones_like(r.t), r.t) / xp.where(others == 0, xp.ones_like(others), others)
        )
        log_rest = self._log_rest(*self._second(r)[1:])
        return self._finished(r, xp.where(ahead, log_rest - self.log1p(r.rest), usual), 0.0)

    def logit_softmax(self, r: Row) -> Array:
        # of any class but the largest: its exponent less the logarithm of the others, who have 1 and what is beyond
        xp = self.xp
        second, hi2, lo2, rest2 = self._second(r)
        t2 = xp.sum(xp.where(second, r.t, xp.zeros_like(r.t)), axis=-1, keepdims=True)
        beyond = xp.where(second, t2 * rest2, t2 + (r.rest - t2 - r.t))
        beyond = xp.where(r.first | (hi2 == -float("inf")), xp.zeros_like(beyond), beyond)
        value = xp.where(r.first, -self._log_rest(hi2, lo2, rest2), (r.hi - self.log1p(beyond)) + r.lo)
        return self._finished(r, value, -float("inf"))

    def _second(self, r: Row) -> tuple[Array, Array, Array, Array]:
        """Return where the second largest class is, its exponent in two terms, and the sum of all but the two relative to it."""
        xp = self.xp
        zero = xp.zeros_like(r.t)
        below = xp.where(r.first, zero - float("inf"), r.hi)
        second = (self._numbers(r.t) == xp.argmax(below, axis=-1, keepdims=True)) & ~r.first
        hi2 = xp.max(below, axis=-1, keepdims=True)
        lo2 = xp.sum(xp.where(second, r.lo, zero), axis=-1, keepdims=True)
        some = xp.where(xp.isfinite(hi2), hi2, xp.zeros_like(hi2))
        left_out = r.first | second | ~r.possible | (below < some - 800.0)
        relative = xp.where(left_out, zero, below - some)
        terms = self.exp_of_two(relative, xp.where(left_out, zero, r.lo - lo2))
        rest2 = xp.sum(xp.where(left_out, zero, terms), axis=-1, keepdims=True)
        return second, hi2, lo2, rest2

    def _log_rest(self, hi2: Array, lo2: Array, rest2: Array) -> Array:
        """Return the logarithm of what all but the largest class have, which may be too small a number itself."""
        return (hi2 + self.log1p(rest2)) + lo2

    def _numbers(self, x: Array) -> Array:
        numbers = self.xp.arange(x.shape[-1], device=x.device) if hasattr(x, "device") else self.xp.arange(x.shape[-1])
        return self.xp.reshape(
            numbers, (1,) * (x.ndim - 1) + (x.shape[-1],)
        )  # of the rank of x, which JAX may insist on

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

    def one_hot(self, y: Array, like: Array) -> Array:
        """Return class numbers, with a last axis of length 1, as probabilities; a row of NaN for what is no class."""
        xp = self.xp
        one = xp.astype(xp.astype(self._numbers(like), y.dtype) == y, like.dtype)
        return xp.where((y < 0) | (y >= like.shape[-1]), xp.full_like(one, float("nan")), one)

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

    def cross_entropy_slope(self, r: Row, q: Array, temperature: Array | None) -> Array:
        """Return the derivative of the loss: p (Q - q) - q (1 - p) over T, with Q - q the others' labels."""
        xp = self.xp
        p, others = self.shares(r)
        slope = xp.where(r.possible, p * self.others_sum(r, q) - q * others, xp.zeros_like(q))
        slope = slope if temperature is None else slope / xp.astype(temperature, slope.dtype)
        return xp.where(r.spoiled, xp.full_like(slope, float("nan")), slope)
