"""From scores to probabilities.

A classifier ends in numbers on the whole real line. sigmax turns them into class probabilities: the sigmoid for two
classes, the softmax for many, with the odds and the log-odds in between.

The elementwise functions are NumPy ufuncs; the functions over an axis of class scores take ``axis``, ``temperature``,
``where`` and ``out``. What each of them means, special values included, is one contract for every dtype and CPU.
"""

from sigmax._native import cpu_level
from sigmax.links import from_odds, log_sigmoid, logit, odds, sigmoid, softplus
from sigmax.rows import log_softmax, logsumexp, softmax

__version__ = "0.1.0"

__all__ = [
    "cpu_level",
    "from_odds",
    "log_sigmoid",
    "log_softmax",
    "logit",
    "logsumexp",
    "odds",
    "sigmoid",
    "softmax",
    "softplus",
]
