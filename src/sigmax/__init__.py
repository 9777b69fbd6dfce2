"""From scores to probabilities.

A classifier ends in numbers on the whole real line. sigmax turns them into class probabilities: the sigmoid for two
classes, the softmax for many, with the odds and the log-odds in between.

The elementwise functions are NumPy ufuncs; the functions over an axis of class scores take ``axis``, ``temperature``,
``where`` and ``out``. What each of them means, special values included, is one contract for every dtype and CPU.
"""

import importlib as _importlib
import sys as _sys

try:
    from sigmax._native import cpu_level
except ImportError as _wrong:
    # a wrong SIGMAX_... in the environment: the command, which comes by here first, says so in a line
    _command = _sys.argv[0].removesuffix(".exe").rpartition("/")[2] == "sigmax"
    if not _command and ("-m", "sigmax") not in zip(_sys.orig_argv, _sys.orig_argv[1:], strict=False):
        raise
    print(f"sigmax: {_wrong}", file=_sys.stderr)
    _sys.exit(2)
from sigmax.dispatch import meet_torch as _meet_torch
from sigmax.links import from_odds, log1mexp, log_sigmoid, logit, logitexp, odds, sigmoid, softplus
from sigmax.losses import (
    binary_cross_entropy,
    binary_cross_entropy_and_grad,
    cross_entropy,
    cross_entropy_and_grad,
)
from sigmax.rows import log_softmax, logit_softmax, logsumexp, softmax
from sigmax.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_and_grad",
    "cpu_level",
    "cross_entropy",
    "cross_entropy_and_grad",
    "from_odds",
    "get_num_threads",
    "log1mexp",
    "log_sigmoid",
    "log_softmax",
    "logit",
    "logit_softmax",
    "logitexp",
    "logsumexp",
    "odds",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "softplus",
]

_SUBMODULES = (
    "bench",
    "calibration",
    "decisions",
    "explain",
    "groups",
    "plots",
    "regression",
    "report",
    "special",
    "sql",
    "tables",
    "torch",
)


def __getattr__(name: str) -> object:
    """Load a part of the library when it is first asked for: ``import sigmax; sigmax.tables.score_file(...)``."""
    if name in _SUBMODULES:
        return _importlib.import_module(f"sigmax.{name}")
    raise AttributeError(f"module 'sigmax' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES})


_meet_torch()
