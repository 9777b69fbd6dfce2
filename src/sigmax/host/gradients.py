"""The gradients by the scores that automatic differentiation asks for: of softmax and log_softmax, from the gradient by their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.table import ScoreTable, check_temperature

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.host.contract import Axis

__all__ = ["log_softmax_pullback", "softmax_pullback"]


def softmax_pullback(
    x: ArrayLike, g: NDArray[Any], axis: Axis = -1, temperature: ArrayLike = 1.0, where: ArrayLike | None = None
) -> NDArray[Any]:
    """
    Pull a gradient back through the softmax: ``p (g - sum(p g)) / T``.

    Parameters
    ----------
    x : array_like
        The scores that the softmax had, and its `axis`, `temperature` and `where`.
    g : ndarray
        The gradient by its results, of the shape of `x`; not looked at where a class is impossible.

    Returns
    -------
    ndarray
        The gradient by the scores, in the dtype of `x`: 0 for an impossible class.

    Notes
    -----
    The largest class's g is taken from all others first, which changes nothing but the digits: the gradient of a confident row is
    the small number that it is, not 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sigmax.host.gradients import softmax_pullback
    >>> softmax_pullback([50.0, 0.0], np.array([1.0, 0.0])).tolist()
    [1.9287498479639178e-22, -1.9287498479639178e-22]
    """
    return _pulled("softmax_pullback", x, g, axis, temperature, where)


def log_softmax_pullback(
    x: ArrayLike, g: NDArray[Any], axis: Axis = -1, temperature: ArrayLike = 1.0, where: ArrayLike | None = None
) -> NDArray[Any]:
    """
    Pull a gradient back through log_softmax: ``(g - p sum(g)) / T``.

    Parameters
    ----------
    x, g, axis, temperature, where
        As for :func:`softmax_pullback`.

    Returns
    -------
    ndarray
        The gradient by the scores, in the dtype of `x`: 0 for an impossible class.

    Examples
    --------
    >>> import numpy as np
    >>> from sigmax.host.gradients import log_softmax_pullback
    >>> log_softmax_pullback([50.0, 0.0], np.array([1.0, 0.0])).tolist()
    [1.9287498479639178e-22, -1.9287498479639178e-22]
    """
    return _pulled("log_softmax_pullback", x, g, axis, temperature, where)


def _pulled(
    name: str, x: ArrayLike, g: NDArray[Any], axis: Axis, temperature: ArrayLike, where: ArrayLike | None
) -> NDArray[Any]:
    table = ScoreTable(x, axis, where, None)
    y = np.empty(table.shape, table.dtype)
    table.call(name, check_temperature(temperature, table.rows), weights=table.per_score(g, "the gradient"), y=y)
    return y
