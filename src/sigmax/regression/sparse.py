"""Rows of features as a sparse matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.parts import in_parts
from sigmax.regression.newton import FEW
from sigmax.regression.rows import AT_ONCE, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Sparse"]

Floats = Any


class Sparse(Rows):
    """Rows of one of SciPy's sparse matrices, which stays sparse: means are taken away from sums, not from numbers."""

    def _in_parts(self, of: Callable[[slice], Any]) -> list[Any]:
        rows = self.x.shape[0]
        return in_parts(of, rows, self.x.nnz // rows + self.shape[1], at_once=AT_ONCE)

    def scores(self, part: slice, theta: Floats) -> Floats:  # noqa: D102
        given = self.scaling.outer(theta)
        return np.asarray(self.x[part] @ given[:-1]) + given[-1]

    def sums(  # noqa: D102
        self, part: slice, slopes: Floats | None, p: Floats | None, w: Floats | None
    ) -> tuple[Floats, Floats]:
        x = self.x[part]
        features, columns = self.shape
        pulled = None if slopes is None else self._pulled(x, slopes)
        if w is None:
            return pulled, None
        if p is None:
            return pulled, self._gram(x, w)
        hessian = np.empty((features, columns, features, columns))
        for k in range(columns):
            for m in range(k, columns):
                s = w * p[:, k] * ((k == m) - p[:, m])
                hessian[:, k, :, m] = hessian[:, m, :, k] = self._gram(x, s)
        return pulled, hessian.reshape(features * columns, -1)

    def _pulled(self, x: Any, slopes: Floats) -> Floats:
        sums = slopes.sum(axis=0)
        of_features = np.asarray(x.T @ slopes) - self.scaling.shift[:, None] * sums
        return np.vstack([of_features * self.scaling.scale[:, None], sums])

    def _gram(self, x: Any, s: Floats) -> Floats:
        shift, scale = self.scaling.shift, self.scaling.scale
        whole = np.asarray((x.T @ x.multiply(s[:, None]).tocsr()).todense(), np.float64)
        sums, total = np.asarray(x.T @ s), float(s.sum())
        whole -= np.outer(shift, sums) + np.outer(sums, shift) - total * np.outer(shift, shift)
        edge = (sums - total * shift) * scale
        return np.block([[whole * scale[:, None] * scale, edge[:, None]], [edge[None], np.array([[total]])]])

    def _by_class(self, mean: Floats) -> Callable[[Floats], Floats]:
        if self.shape[0] <= FEW:
            return super()._by_class(mean)
        diagonal = np.append(np.where(self.scaling.deviation > 0, 1.0, 1e-12), 1.0) * self.total  # a mean square of 1
        bent = diagonal[:, None] * mean + np.where(np.isfinite(self.penalty), self.penalty, 0.0)
        return lambda g: g / bent
