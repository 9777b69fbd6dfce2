"""The exact values, in 1,400-bit ball arithmetic (python-flint), and the distance to them in units in the last place."""

import numpy as np
from flint import arb, ctx

ctx.prec = 1400


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
}


class Row:
    """The exact softmax, log-softmax and logsumexp of one row of finite scores divided by a temperature."""

    def __init__(self, scores, temperature=1.0):
        x = [exact(v) / exact(temperature) for v in scores]
        top = max(range(len(x)), key=lambda k: float(scores[k]))
        self._below = [v - x[top] for v in x]
        self._terms = [b.exp() for b in self._below]
        rest = sum((t for k, t in enumerate(self._terms) if k != top), arb(0))
        self._sum, self._log = 1 + rest, rest.log1p()
        self.logsumexp = x[top] + self._log

    def softmax(self, k):
        return self._terms[k] / self._sum

    def log_softmax(self, k):
        return self._below[k] - self._log


def ulps(got, true, dtype):
    """|got - true| in units in the last place of `dtype` at the exact value, subnormals included."""
    info = np.finfo(dtype)
    if not np.isfinite(got):
        return np.inf
    mantissa, exponent = abs(true).mid().man_exp() if true != 0 else (0, 0)
    leading = int(exponent) + int(mantissa).bit_length() - 1 if mantissa else info.minexp
    unit = arb(2) ** (max(leading, info.minexp) - info.nmant)
    return float((abs(exact(got) - true) / unit).mid())
