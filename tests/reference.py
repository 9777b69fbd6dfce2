"""The exact values, in 1,400-bit ball arithmetic (python-flint), and the distance to them in units in the last place."""

import numpy as np
from flint import arb, ctx

ctx.prec = 1400


# digits after the leading one, and the exponent of the smallest normal number
FORMATS = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}


def exact(x):
    """A float as a ball of radius 0."""
    return arb(float(x))


LINKS = {
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "log_sigmoid": lambda x: -(-x).exp().log1p(),
    "softplus": lambda x: x.exp().log1p(),
    "logit": lambda p: (p / (1 - p)).log(),
    "odds": lambda p: p / (1 - p),
    "from_odds": lambda o: o / (1 + o),
    "log1mexp": lambda l: (-l.expm1()).log() if l > -0.7 else (-l.exp()).log1p(),
    "logitexp": lambda l: l - ((-l.expm1()).log() if l > -0.7 else (-l.exp()).log1p()),
}


class Row:
    """The exact values of the functions of one row of scores divided by a temperature; -inf is an impossible class."""

    def __init__(self, scores, temperature=1.0):
        x = [exact(v) if np.isfinite(v) else None for v in scores]
        self.first = max(range(len(x)), key=lambda k: float(scores[k]))
        # the difference first: it is exact, and 0 for ties, where the quotients may be numbers of 2,000 bits
        self._below = [None if v is None else (v - x[self.first]) / exact(temperature) for v in x]
        self._terms = [arb(0) if b is None else b.exp() for b in self._below]
        # sums of positive terms that leave one or two out, each of them without cancellation
        self._rest = self._without(self.first)
        self._sum, self._log = 1 + self._rest, self._rest.log1p()
        self.logsumexp = x[self.first] / exact(temperature) + self._log
        self._temperature = exact(temperature)

    def _without(self, *left_out):
        return sum((t for k, t in enumerate(self._terms) if k not in left_out), arb(0))

    def _others(self, k):
        return self._rest if k == self.first else 1 + self._without(k, self.first)

    def softmax(self, k):
        return self._terms[k] / self._sum

    def log_softmax(self, k):
        return self._below[k] - self._log

    def softmax_complement(self, k):
        return self._others(k) / self._sum

    def log_softmax_complement(self, k):
        if k == self.first:
            return self._rest.log() - self._log if self._rest < 1 else -(1 / self._rest).log1p()
        return -(self._terms[k] / self._others(k)).log1p()

    def logit_softmax(self, k):
        if k == self.first:
            return -self._rest.log()
        return self._below[k] - self._without(k, self.first).log1p()

    def cross_entropy(self, target):
        """`target` holds the exact probability of each class."""
        return sum((q * (self._log - b) for q, b in zip(target, self._below, strict=True) if q != 0), arb(0))

    def gradient(self, target, k):
        whole = sum(target, arb(0))
        own, others, q = self._terms[k], self._others(k), target[k]
        return (own * (whole - q) - q * others) / self._sum / self._temperature

    def softmax_pullback(self, g):
        """The gradient by each score, from the gradient g by the results."""
        p = [t / self._sum for t in self._terms]
        mean = sum((a * b for a, b in zip(p, g, strict=True)), arb(0))
        return [a * (b - mean) / self._temperature for a, b in zip(p, g, strict=True)]

    def log_softmax_pullback(self, g):
        """The same for log_softmax."""
        whole = sum(g, arb(0))
        return [(b - t / self._sum * whole) / self._temperature for t, b in zip(self._terms, g, strict=True)]


def signed_logsumexp(scores, weights):
    """log |sum of w e^x| and the sign of the sum, exactly."""
    total = sum((exact(w) * exact(x).exp() for x, w in zip(scores, weights, strict=True)), arb(0))
    return abs(total).log(), 1 if total > 0 else -1


def _overflow(digits, smallest):
    """What rounds to infinity: half a unit beyond the largest finite number."""
    return arb(2) ** (2 - smallest) * (1 - arb(2) ** (-digits - 2))


def ulps(got, true, dtype):
    """|got - true| in units in the last place of `dtype` at the exact value, subnormals included; of an overflow, 0 for the infinity."""
    digits, smallest = FORMATS[np.dtype(dtype).name]
    got = float(got)
    if abs(true) >= _overflow(digits, smallest):
        return 0.0 if np.isinf(got) and (got > 0) == (true > 0) else np.inf
    if not np.isfinite(got):
        return np.inf
    mantissa, exponent = abs(true).mid().man_exp() if true != 0 else (0, 0)
    leading = int(exponent) + int(mantissa).bit_length() - 1 if mantissa else smallest
    unit = arb(2) ** (max(leading, smallest) - digits)
    return float((abs(exact(got) - true) / unit).mid())
