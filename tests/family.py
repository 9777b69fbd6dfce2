"""The whole family of functions under one way of calling, for the tests that hold for all of them."""

import ml_dtypes
import numpy as np

import sigmax
from sigmax.family import names_of
from sigmax.host.gradients import log_softmax_pullback, softmax_pullback

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]
NAMES = [d.name for d in DTYPES]

# Elementwise: every one takes an array and gives a tuple of arrays of its shape.
PROBABILITIES = {"logit", "odds"}
LOG_PROBABILITIES = {"log1mexp", "logitexp"}
LINKS = names_of("elementwise")


def _link(name):
    return lambda x: (getattr(sigmax, name)(x),)


ELEMENTWISE = {name: _link(name) for name in LINKS}
ELEMENTWISE["binary_cross_entropy"] = lambda x: (sigmax.binary_cross_entropy(x, 0.25),)
ELEMENTWISE["binary_cross_entropy_and_grad"] = lambda x: sigmax.binary_cross_entropy_and_grad(x, 0.25)


def in_domain(name, x):
    """Turn any scores into inputs of the function's domain, dtype kept."""
    wide = x.astype(np.float64)
    if name in PROBABILITIES:
        wide = 1 / (1 + np.exp(-np.clip(wide, -80, 80)))
    elif name == "from_odds" or name in LOG_PROBABILITIES:
        wide = np.abs(wide) * (-1 if name in LOG_PROBABILITIES else 1)
    return wide.astype(x.dtype)


# Over an axis: every one takes scores and options, and gives a tuple of arrays, of one number a row or one a score.
def weights_of(x, axis):
    shape = np.ones(x.ndim, int)
    shape[axis] = x.shape[axis]
    return (1 + np.arange(x.shape[axis]) % 3).reshape(shape).astype(np.float64) - 0.5


def class_labels(x, axis):
    rows = np.delete(x.shape, axis)
    return (np.arange(int(np.prod(rows))) * 0 + min(1, x.shape[axis] - 1)).reshape(rows)


def soft_labels(x, axis):
    weights = weights_of(x, axis)
    return np.broadcast_to((weights / weights.sum()).astype(x.dtype), x.shape)


def gradients_of(x, axis):
    """Gradients by the results: of both signs, and so that some entries cancel."""
    with np.errstate(under="ignore"):
        return (soft_labels(x, axis).astype(np.float64) - 1 / max(x.shape[axis], 1)).astype(x.dtype)


def _weighted(x, axis=-1, **options):
    return sigmax.logsumexp(x, axis=axis, weights=weights_of(x, axis), return_sign=True, **options)


ROWWISE = {
    "softmax": lambda x, **o: (sigmax.softmax(x, **o),),
    "softmax complement": lambda x, **o: (sigmax.softmax(x, complement=True, **o),),
    "log_softmax": lambda x, **o: (sigmax.log_softmax(x, **o),),
    "log_softmax complement": lambda x, **o: (sigmax.log_softmax(x, complement=True, **o),),
    "logit_softmax": lambda x, **o: (sigmax.logit_softmax(x, **o),),
    "logsumexp": lambda x, **o: (sigmax.logsumexp(x, **o),),
    "logsumexp, weights": _weighted,
    "cross_entropy": lambda x, axis=-1, **o: (sigmax.cross_entropy(x, class_labels(x, axis), axis=axis, **o),),
    "cross_entropy_and_grad, hard": lambda x, axis=-1, **o: sigmax.cross_entropy_and_grad(
        x, class_labels(x, axis), axis=axis, **o
    ),
    "cross_entropy_and_grad": lambda x, axis=-1, **o: sigmax.cross_entropy_and_grad(
        x, class_labels(x, axis), axis=axis, label_smoothing=0.1, **o
    ),
    "cross_entropy_and_grad, soft": lambda x, axis=-1, **o: sigmax.cross_entropy_and_grad(
        x, soft_labels(x, axis), axis=axis, **o
    ),
}
for _pull in (softmax_pullback, log_softmax_pullback):
    ROWWISE[_pull.__name__] = lambda x, axis=-1, pull=_pull, **o: (pull(x, gradients_of(x, axis), axis=axis, **o),)
UNTEMPERED = {"logsumexp", "logsumexp, weights"}
WITHOUT_DTYPE = {name for name in ROWWISE if "entropy" in name or "pullback" in name}
WITH_OUT = [name for name in ROWWISE if name not in WITHOUT_DTYPE | UNTEMPERED]


def bits(array):
    """The bits of an array, all NaNs alike: their sign and payload mean nothing."""
    array = np.asarray(array)
    array = np.where(np.isnan(array), array.dtype.type(7), array)
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def assert_same_bits(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(map(np.asarray, got), map(np.asarray, wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(bits(a), bits(b), strict=True)
