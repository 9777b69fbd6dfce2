"""How sure coefficients are: their covariance, by the second derivatives or by the sandwich of them and the rows' slopes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sigmax.regression.newton import FEW, inverse_of, is_even

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.regression.rows import Rows
    from sigmax.regression.scaling import Scaling

__all__ = ["covariance_by", "covariance_of"]


def covariance_of(rows: Rows, theta: NDArray[np.float64], *, robust: bool) -> NDArray[np.float64]:
    """
    Return the covariance of the coefficients of the features as given.

    Parameters
    ----------
    rows : Rows
    theta : ndarray of the coefficients' shape
        Where the objective is least.
    robust : bool
        The sandwich: right also where the model is not.

    Returns
    -------
    ndarray of shape (size, size)
        By features, the intercept last, and within each by the classes.
    """
    size = math.prod(rows.shape)
    if size > FEW:
        raise ValueError(f"standard errors of {size:,} coefficients; there may be {FEW:,} at most")
    hessian = rows.found(theta, None, curvature=True).hessian
    covariance = _inner(rows, np.array(hessian))
    if robust:
        covariance = covariance @ rows.slopes_squared(theta) @ covariance
    return _outer(rows, covariance)


class _Scaled(Protocol):
    """What the covariance is found of."""

    shape: tuple[int, int]
    penalty: NDArray[np.float64]
    scaling: Scaling


def covariance_by(rows: _Scaled, hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance by second derivatives of the losses that are known."""
    return _outer(rows, _inner(rows, hessian.copy()))


def _inner(rows: _Scaled, hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of the scaled features' coefficients; the second derivatives are overwritten."""
    size = math.prod(rows.shape)
    inverse, _ = inverse_of(hessian, rows.penalty, often=True)
    identity = np.eye(size).reshape(size, *rows.shape)
    covariance = np.stack([inverse(one).ravel() for one in identity])
    if rows.shape[1] > 1:  # of classes whose shift changes nothing, that of deviations from their mean
        around = np.eye(rows.shape[1]) - 1 / rows.shape[1]
        loose = is_even(rows.penalty)
        centre = np.kron(np.diag(loose), around) + np.kron(np.diag(~loose), np.eye(rows.shape[1]))
        covariance = centre @ covariance @ centre
    held = ~np.isfinite(rows.penalty).ravel()
    covariance[held] = covariance[:, held] = 0
    return np.asarray(covariance)


def _outer(rows: _Scaled, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a covariance of scaled features' coefficients for those of the features as given."""
    turn: Any = np.diag(np.append(rows.scaling.scale, 1.0))
    turn[-1, :-1] = -rows.scaling.shift * rows.scaling.scale
    turned = np.kron(turn, np.eye(rows.shape[1]))
    return np.asarray(turned @ covariance @ turned.T)
