"""
How coefficients and features make scores: z = A(theta), and what Newton's method asks of A.

Features are scaled to a root mean square of 1 inside, and centred where the intercept is free to take the shift up: the coefficients that
come out are those of the features as they were given, exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Design", "Own", "Shared"]

Array = Any
AT_ONCE = 1 << 22  # numbers of a temporary array


class Design(ABC):
    """
    A linear map from coefficients to scores, a column of them for each class, or one column for two classes.

    Attributes
    ----------
    shape : tuple of int
        Of the coefficients: the features, and the intercept last, by the columns.
    """

    shape: tuple[int, int]

    @abstractmethod
    def scores(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return A(theta), of shape (rows, columns)."""

    @abstractmethod
    def pulled(self, slopes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the transpose of A, applied to something of the scores' shape."""

    @abstractmethod
    def hessian(self, weights: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the second derivatives of the sum of losses by all coefficients, as a square matrix."""

    @abstractmethod
    def preconditioner(
        self, curvature: NDArray[np.float64], penalty: NDArray[np.float64]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """Return a function that all but inverts the second derivatives, given the mean curvature of each column."""

    @abstractmethod
    def inner_penalty(self, penalty: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a penalty on the coefficients of the features as given, for those of the scaled ones."""

    @abstractmethod
    def outer(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients of the features as given, from those of the scaled ones."""

    @abstractmethod
    def inner(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients of the scaled features, from those of the features as given."""


def _scales(features: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the root mean square of each column; 1 for a column of zeros."""
    largest = np.abs(features).max(axis=0, initial=0)
    largest = np.where(largest > 0, largest, 1.0)  # squares of what is left are numbers
    mean = (weights @ (features / largest) ** 2) / max(float(weights.sum()), np.finfo(float).tiny)
    scale = largest * np.sqrt(mean)
    return np.where(scale > 0, scale, 1.0)


class Shared(Design):
    """
    The same features for every column: z_k = sum_j x_j W_jk + b_k.

    Parameters
    ----------
    features : ndarray of shape (rows, features)
    columns : int
    weights : ndarray of shape (rows,)
    centred : bool
        Whether the features are centred inside, which is exact where the intercept has no penalty.
    """

    def __init__(
        self, features: NDArray[np.float64], columns: int, weights: NDArray[np.float64], *, centred: bool
    ) -> None:
        total = max(float(weights.sum()), np.finfo(float).tiny)
        self._mean = (weights @ features) / total if centred else np.zeros(features.shape[1])
        moved = features - self._mean
        # of a constant column the mean leaves rounding errors, which are no feature
        moved = np.where(np.abs(moved).max(axis=0, initial=0) <= 1e-13 * np.abs(self._mean), 0.0, moved)
        self._scale = _scales(moved, weights)
        self._x = np.column_stack([moved / self._scale, np.ones(len(features))])
        self.shape = (self._x.shape[1], columns)
        self._gram: NDArray[np.float64] | None = None
        self._weights = weights

    def scores(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.asarray(self._x @ theta)

    def pulled(self, slopes: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.asarray(self._x.T @ slopes)

    def hessian(self, weights: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        features, columns = self.shape
        if columns == 1:
            bent = self._x.T @ (self._x * (weights * p[:, 0] * (1 - p[:, 0]))[:, None])
            return np.asarray(bent, np.float64)
        blocks = np.zeros((features, columns, features, columns))
        for k in range(columns):
            blocks[:, k, :, k] = self._x.T @ (self._x * (weights * p[:, k])[:, None])
        whole: NDArray[np.float64] = blocks.reshape(features * columns, -1)
        step = max(AT_ONCE // (features * columns), 1)
        for begin in range(0, len(p), step):
            part = slice(begin, begin + step)
            q = (self._x[part, :, None] * (np.sqrt(weights[part])[:, None] * p[part])[:, None, :]).reshape(
                -1, features * columns
            )
            whole -= q.T @ q
        return np.asarray(whole)

    def preconditioner(  # noqa: D102
        self, curvature: NDArray[np.float64], penalty: NDArray[np.float64]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        if self._gram is None:
            self._gram = self._x.T @ (self._x * self._weights[:, None])
        features, columns = self.shape
        free = np.isfinite(penalty)
        inverses = np.empty((columns, features, features))
        for k in range(columns):
            keep = free[:, k]
            block = np.where(keep[:, None] & keep, self._gram * curvature[k], 0.0)
            block[np.diag_indices(features)] += np.where(keep, penalty[:, k], 1.0)
            block[np.diag_indices(features)] += 1e-12 * np.trace(block) / features
            inverses[k] = np.linalg.inv(block)
        return lambda g: np.asarray(np.matmul(inverses, g.T[:, :, None])[:, :, 0].T)

    def inner_penalty(self, penalty: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.asarray(penalty / np.append(self._scale, 1.0)[:, None] ** 2)

    def outer(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        given = theta[:-1] / self._scale[:, None]
        return np.vstack([given, theta[-1] - self._mean @ given])

    def inner(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.vstack([theta[:-1] * self._scale[:, None], theta[-1] + self._mean @ theta[:-1]])


class Own(Design):
    """
    One feature for each column alone: z_k = x_k a_k + b_k.

    Parameters
    ----------
    features : ndarray of shape (rows, columns)
    weights : ndarray of shape (rows,)
    """

    def __init__(self, features: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        self._scale = _scales(features, weights)
        self._x = features / self._scale
        self._square = weights @ self._x**2
        self._sum = weights @ self._x
        self._total = float(weights.sum())
        self.shape = (2, features.shape[1])

    def scores(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.asarray(self._x * theta[0] + theta[1])

    def pulled(self, slopes: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.stack([np.einsum("ik,ik->k", self._x, slopes), slopes.sum(axis=0)])

    def hessian(self, weights: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        columns = self.shape[1]
        root = np.sqrt(weights)[:, None] * p
        parts = [self._x * root, root]
        whole = np.empty((2, columns, 2, columns))
        for i in range(2):
            for j in range(2):
                whole[i, :, j, :] = -(parts[i].T @ parts[j])
        of_x, of_xx = (np.einsum("i,ik,ik->k", weights, p, part) for part in (self._x, self._x**2))
        k = np.arange(columns)
        whole[0, k, 0, k] += of_xx
        whole[0, k, 1, k] += of_x
        whole[1, k, 0, k] += of_x
        whole[1, k, 1, k] += weights @ p
        return whole.reshape(2 * columns, -1)

    def preconditioner(  # noqa: D102
        self, curvature: NDArray[np.float64], penalty: NDArray[np.float64]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        a = curvature * self._square + penalty[0] + 1e-12
        b, c = curvature * self._sum, curvature * self._total + penalty[1] + 1e-12
        b = np.where(np.isfinite(a) & np.isfinite(c), b, 0.0)
        determinant = np.where(b == 0, 1.0, a * c - b * b)
        plain = (b == 0) | ~(determinant > 0)

        def solved(g: NDArray[np.float64]) -> NDArray[np.float64]:
            both = np.stack([(c * g[0] - b * g[1]) / determinant, (a * g[1] - b * g[0]) / determinant])
            return np.where(plain, np.stack([g[0] / a, g[1] / c]), both)

        return solved

    def inner_penalty(self, penalty: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.stack([penalty[0] / self._scale**2, penalty[1]])

    def outer(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.stack([theta[0] / self._scale, theta[1]])

    def inner(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: D102
        return np.stack([theta[0] * self._scale, theta[1]])
