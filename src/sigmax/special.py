"""
SciPy's names for these functions, with SciPy's signatures and defaults: change ``scipy`` to ``sigmax`` in an import.

``from sigmax.special import expit, logit, log_expit, softmax, log_softmax, logsumexp``. What differs from ``scipy.special``:
longdouble and complex numbers are refused with a TypeError, integers are float64 whatever their size, and results are right
to the last digits.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import links, rows
from sigmax.dispatch import adapter_of
from sigmax.host.dtypes import as_float

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from sigmax.typing import Elementwise

    Axis = int | Sequence[int] | None

__all__ = ["expit", "log_expit", "log_softmax", "logit", "logsumexp", "softmax"]

expit: Elementwise = links.sigmoid
log_expit: Elementwise = links.log_sigmoid
logit: Elementwise = links.logit


def softmax(x: ArrayLike, axis: Axis = None) -> Any:
    """
    Softmax as ``scipy.special.softmax`` has it: over all axes unless told otherwise.

    Parameters
    ----------
    x : array_like
        Class scores.
    axis : int or tuple of ints, optional
        The axis, or axes, of the classes; None for all.

    Returns
    -------
    ndarray or scalar
        Probabilities, of the shape of `x`.

    Raises
    ------
    TypeError, numpy.exceptions.AxisError
        As for :func:`sigmax.softmax`.

    Examples
    --------
    >>> from sigmax.special import softmax
    >>> softmax([[0.0, 0.0], [0.0, 0.0]]).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return rows.softmax(x, axis=_axes(_ndim(x, axis), axis))


def log_softmax(x: ArrayLike, axis: Axis = None) -> Any:
    """
    Logarithm of the softmax as ``scipy.special.log_softmax`` has it: over all axes unless told otherwise.

    Parameters
    ----------
    x, axis
        As for :func:`softmax`.

    Returns
    -------
    ndarray or scalar
        Log-probabilities, of the shape of `x`.

    Raises
    ------
    TypeError, numpy.exceptions.AxisError
        As for :func:`sigmax.log_softmax`.

    Examples
    --------
    >>> from sigmax.special import log_softmax
    >>> log_softmax([1000.0, 1.0]).tolist()
    [0.0, -999.0]
    """
    return rows.log_softmax(x, axis=_axes(_ndim(x, axis), axis))


def logsumexp(
    a: ArrayLike, axis: Axis = None, b: ArrayLike | None = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """
    Logarithm of a sum of exponentials as ``scipy.special.logsumexp`` has it: ``log(sum(b * exp(a)))``.

    Parameters
    ----------
    a : array_like
        The exponents.
    axis : int or tuple of ints, optional
        The axis, or axes, to sum over; None for all.
    b : array_like, optional
        Finite factors; `a` and `b` broadcast together.
    keepdims : bool, default False
        Leave the summed axes in the result with length 1.
    return_sign : bool, default False
        Also return the sign of the sum.

    Returns
    -------
    ndarray or scalar
        The logarithm: of the absolute value with `return_sign`, else NaN for a negative sum.
    sign : ndarray or scalar
        With `return_sign`: 1, 0 or -1.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As for :func:`sigmax.logsumexp`.

    Examples
    --------
    >>> from sigmax.special import logsumexp
    >>> float(logsumexp([1.0, 2.0], b=[1.0, -1.0]))
    nan
    >>> logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True)
    (np.float64(1.5413248546129181), np.float64(-1.0))
    """
    plain = adapter_of(type(a)) is None and adapter_of(type(b)) is None
    if plain:
        a = as_float(np.asarray(a))
        b = None if b is None else as_float(np.asarray(b), "b")
    options: dict[str, Any] = dict(keepdims=keepdims, return_sign=return_sign)
    if b is None:
        return rows.logsumexp(a, axis=_axes(_ndim(a, axis), axis), **options)
    if plain:
        options["dtype"] = np.result_type(a, b)
        a, b = np.broadcast_arrays(a, b)
    else:
        options["dtype"] = _joint_dtype(a, b)
        if np.broadcast_shapes(np.shape(a), np.shape(b)) != np.shape(a):
            # of the shape of both, on whatever array they are; the one with more axes first, which names them
            a = b * 0 + a if np.ndim(b) > np.ndim(a) else a + b * 0  # type: ignore[operator]
    options |= dict(axis=_axes(_ndim(a, axis), axis), weights=b, return_sign=True)
    value, sign = rows.logsumexp(a, **options)
    if return_sign:
        return value, sign
    with np.errstate(invalid="ignore"):
        return value + 0 / (sign + 1)  # NaN for a negative sum, and nothing else, in every library's own operations


def _joint_dtype(a: Any, b: Any) -> Any:
    """Return the type that a library gives what is made of both; None for the scores' own."""
    library = sys.modules.get({"torch": "torch", "jax": "jax.numpy", "jaxlib": "jax.numpy"}.get(_package(a), ""))
    kinds = [getattr(v, "dtype", None) for v in (a, b)]
    if any(k is None for k in kinds) or _package(a) in ("pandas", "polars") or _package(b) in ("pandas", "polars"):
        return None
    if library is not None:
        made = library.result_type(a, b)
        return made if "float" in str(made) else None
    if all(isinstance(k, np.dtype) for k in kinds):
        made = np.result_type(*kinds)
        return made if made.kind == "f" else None
    if not hasattr(a, "__array_namespace__"):
        return None
    xp = a.__array_namespace__()
    floats = [k for k in kinds if xp.isdtype(k, "real floating")]
    if len(floats) == 1:  # the standard joins no integers to floats: they are as numbers of the usual type
        floats.append(xp.asarray(1.0).dtype)
    return xp.result_type(*floats) if floats else None


def _package(x: Any) -> str:
    return type(x).__module__.partition(".")[0]


def _ndim(x: Any, axis: Axis) -> int:
    """Return the number of axes; of what does not tell, such as a lazy frame, only if it is not needed."""
    if axis is None and adapter_of(type(x)) is not None and not hasattr(x, "shape") and not hasattr(x, "type"):
        raise TypeError(f"a {type(x).__name__} does not tell its axes; name one, as in axis=-1")
    return int(np.ndim(x)) if axis is None else 0


def _axes(ndim: int, axis: Axis) -> int | Sequence[int]:
    return tuple(range(max(ndim, 1))) if axis is None else axis
