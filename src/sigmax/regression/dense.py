"""Rows of features as a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import _native
from sigmax.regression.rows import Rows, Sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from sigmax.regression.rows import PointOfRows

__all__ = ["Dense"]

Floats = Any


class Dense(Rows):
    """Rows of a matrix of float32 or float64, of any strides: what is asked of them is the core's work."""

    def _in_parts(self, of: Callable[[slice], Any]) -> list[Any]:
        return [of(slice(None))]  # the core has parts and threads of its own

    @property
    def _scaled(self) -> tuple[Any, Any, int]:
        return self.scaling.shift, self.scaling.scale, self.shape[1]

    def scores(self, part: slice, theta: Floats) -> Floats:  # noqa: D102
        x = self.x[part]
        z = np.empty((len(x), self.shape[1]))
        _native.feature_scores(x, *self._scaled, np.ascontiguousarray(theta), z)
        return z

    @staticmethod
    def plain_scores(x: Any, coefficients: Floats) -> Floats:
        """Return the scores of features as given; the intercepts are the last coefficients."""
        features, columns = coefficients.shape[0] - 1, coefficients.shape[1]
        z = np.empty((len(x), columns))
        given = np.ascontiguousarray(coefficients)
        _native.feature_scores(x, np.zeros(features), np.ones(features), columns, given, z)
        return z

    def found(self, theta: Floats, p: Floats | None, *, curvature: bool) -> Sums:  # noqa: D102
        targets, label = (None, self.targets) if self.shape[1] > 1 and self.targets.ndim == 1 else (self.targets, None)
        pulled = np.empty(self.shape)
        hessian = np.empty((pulled.size,) * 2) if curvature else None
        losses, entropy, offset_p, ahead = _native.feature_losses(
            self.x,
            *self._scaled,
            np.ascontiguousarray(theta),
            self.offset,
            targets,
            label,
            self.weights,
            p,
            pulled,
            hessian,
        )
        return Sums(losses, entropy, offset_p, pulled, hessian, ahead)

    def bent(self, point: PointOfRows, v: Floats) -> Floats:  # noqa: D102
        pulled = np.empty(self.shape)
        _native.feature_bent(self.x, *self._scaled, point.p, self.weights, np.ascontiguousarray(v), pulled)
        return pulled

    def sums(  # noqa: D102
        self, part: slice, slopes: Floats | None, p: Floats | None, w: Floats | None
    ) -> tuple[Floats, Floats]:
        features, columns = self.shape
        pulled = hessian = None
        if slopes is not None:
            pulled = np.empty((features, columns))
            _native.feature_sums(self.x[part], *self._scaled, np.ascontiguousarray(slopes), pulled, None, None, None)
        if w is not None:  # of the weights alone: one square, whatever the classes
            hessian = np.empty((features, features))
            shift, scale, _ = self._scaled
            _native.feature_sums(self.x[part], shift, scale, 1, None, None, p, np.ascontiguousarray(w), hessian)
        return pulled, hessian
