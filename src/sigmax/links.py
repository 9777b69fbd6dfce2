"""The elementwise functions: real NumPy ufuncs, made by the core, documented here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigmax import _native
from sigmax.host.links import LINKS

if TYPE_CHECKING:
    from sigmax.typing import Elementwise

__all__ = ["from_odds", "log1mexp", "log_sigmoid", "logit", "logitexp", "odds", "sigmoid", "softplus"]

# Every docstring has these two sections; what differs stands around them.
_PARAMETERS = """
Parameters
----------
x : array_like of float16, bfloat16, float32 or float64
    {x} Integers and bool are taken as float64.
out, where, dtype, ...
    As for any NumPy ufunc; `dtype` converts `x` too, before the work.

Returns
-------
ndarray or scalar
    {y} Same shape and dtype as `x`.
"""


def _link(name: str, meaning: str, x: str, y: str, rest: str) -> Elementwise:
    _native.document(LINKS[name], f"{meaning}\n{_PARAMETERS.format(x=x, y=y)}{rest}")
    return LINKS[name]  # type: ignore[return-value]


sigmoid: Elementwise = _link(
    "sigmoid",
    "The probability of a logit: ``1 / (1 + exp(-x))``.",
    "Logits (log-odds), any real numbers.",
    "Probabilities in [0, 1].",
    """
See Also
--------
logit : the inverse.
log_sigmoid : its logarithm, right where the probability is near 1.

Notes
-----
The probability of the other class is ``sigmoid(-x)``, right to the last digit; ``1 - sigmoid(x)`` is not.
Results below the smallest normal number are kept.

Examples
--------
>>> import sigmax
>>> float(sigmax.sigmoid(0.4))
0.598687660112452
>>> sigmax.sigmoid([-1000.0, 0.0, 1000.0]).tolist()
[0.0, 0.5, 1.0]
""",
)

logit: Elementwise = _link(
    "logit",
    "The log-odds of a probability: ``log(p / (1 - p))``.",
    "Probabilities in [0, 1]; outside, the result is NaN and NumPy's 'invalid' warning is raised.",
    "Logits: -inf at 0, +inf at 1.",
    """
See Also
--------
sigmoid : the inverse.

Notes
-----
Near one half, where ``log(p) - log(1 - p)`` cancels, the result comes from ``2 p - 1``, which is exact.

Examples
--------
>>> import sigmax
>>> float(sigmax.logit(3 / 11))
-0.9808292530117263
>>> sigmax.logit([0.25, 0.5]).tolist()
[-1.0986122886681098, 0.0]
""",
)

odds: Elementwise = _link(
    "odds",
    "The odds of a probability: ``p / (1 - p)``.",
    "Probabilities in [0, 1]; outside, the result is NaN and NumPy's 'invalid' warning is raised.",
    "Odds in [0, inf].",
    """
See Also
--------
from_odds : the inverse.

Examples
--------
>>> import sigmax
>>> float(sigmax.odds(0.75))
3.0
""",
)

from_odds: Elementwise = _link(
    "from_odds",
    "The probability of odds: ``o / (1 + o)``.",
    "Odds in [0, inf]; a negative number gives NaN and NumPy's 'invalid' warning.",
    "Probabilities in [0, 1].",
    """
See Also
--------
odds : the inverse.

Examples
--------
A horse at 3 : 8 wins 3 of 11 races.

>>> import sigmax
>>> float(sigmax.from_odds(3 / 8)) == 3 / 11
True
""",
)

log_sigmoid: Elementwise = _link(
    "log_sigmoid",
    "The log-probability of a logit: ``-log(1 + exp(-x))``.",
    "Logits (log-odds), any real numbers.",
    "Log-probabilities, at most 0.",
    """
See Also
--------
softplus : ``-log_sigmoid(-x)``.

Notes
-----
Where the sigmoid rounds to 1 its logarithm is still right: ``log_sigmoid(40)`` is -4.2e-18, not 0.

Examples
--------
>>> import sigmax
>>> sigmax.log_sigmoid([-1000.0, 0.0, 40.0]).tolist()
[-1000.0, -0.6931471805599453, -4.248354255291589e-18]
""",
)

softplus: Elementwise = _link(
    "softplus",
    "The logarithm of one plus the odds: ``log(1 + exp(x))``.",
    "Logits (log-odds), any real numbers.",
    "Numbers above both 0 and `x`.",
    """
See Also
--------
log_sigmoid : ``-softplus(-x)``.

Examples
--------
>>> import sigmax
>>> sigmax.softplus([-40.0, 0.0, 40.0]).tolist()
[4.248354255291589e-18, 0.6931471805599453, 40.0]
""",
)

log1mexp: Elementwise = _link(
    "log1mexp",
    "The log-probability of the complement of a log-probability: ``log(1 - exp(x))``.",
    "Log-probabilities, at most 0; above, the result is NaN and NumPy's 'invalid' warning is raised.",
    "Log-probabilities: -inf at 0, -0.0 at -inf.",
    """
See Also
--------
logitexp : the log-odds of a log-probability.

Notes
-----
Neither ``log(-expm1(x))`` nor ``log1p(-exp(x))`` serves everywhere (Mächler 2012, "Accurately computing log(1 - exp(-abs(a)))");
here one logarithm takes ``1 - exp(x)`` in two terms.

Examples
--------
>>> import sigmax
>>> sigmax.log1mexp([-1e-20, -50.0]).tolist()
[-46.051701859880914, -1.9287498479639178e-22]
""",
)

logitexp: Elementwise = _link(
    "logitexp",
    "The log-odds of a log-probability: ``x - log(1 - exp(x))``.",
    "Log-probabilities, at most 0; above, the result is NaN and NumPy's 'invalid' warning is raised.",
    "Logits: +inf at 0, -inf at -inf.",
    """
See Also
--------
log_sigmoid : the inverse.
log1mexp : the log-probability of the complement.

Notes
-----
Near ``x = -log 2``, where the two terms cancel, the result is ``2 artanh(2 p - 1)`` with ``2 p - 1 = expm1(x + log 2)``.

Examples
--------
>>> import sigmax
>>> float(sigmax.logitexp(sigmax.log_sigmoid(-0.4)))
-0.4
""",
)
