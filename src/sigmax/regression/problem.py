"""A problem whose features are made of a calibrator's scores, and kept: a design, targets, weights, an offset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.losses import binary_cross_entropy_and_grad, cross_entropy_and_grad
from sigmax.regression.newton import Dual, Objective, Point, duality_gap, minimise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sigmax.regression.designs import Design

__all__ = ["Fit", "Problem", "solve", "targets_as_probabilities"]

Floats = Any


@dataclass(frozen=True)
class Problem:
    """
    What is to be minimised.

    Attributes
    ----------
    design : Design
        From coefficients to scores.
    targets : ndarray
        Of one column: the probability of the second class, of shape (rows,). Of more: class numbers of shape (rows,), or a probability for
        each class, of shape (rows, classes).
    weights : ndarray of shape (rows,)
        What each row counts for.
    penalty : ndarray of the coefficients' shape
        On the features as given: L. Infinite: the coefficient stays 0.
    offset : ndarray of shape (rows, columns)
        Scores to start from.
    """

    design: Design
    targets: NDArray[Any]
    weights: NDArray[np.float64]
    penalty: NDArray[np.float64]
    offset: NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """
    A solution, and its coefficients of the features as given.

    Attributes
    ----------
    coefficients : ndarray of shape (features + 1, columns)
        The intercept is the last row.
    objective, gap, decrement, steps, passes, separated
        As :class:`Solution` has them.
    """

    coefficients: NDArray[np.float64] = field(repr=False)
    objective: float
    gap: float
    decrement: float
    steps: int
    passes: int
    separated: bool


@dataclass
class _Point(Point):
    z: Floats
    p: Floats


def targets_as_probabilities(targets: NDArray[Any], columns: int) -> NDArray[np.float64]:
    """Return targets as probabilities of each column."""
    if columns == 1:
        return np.asarray(targets, np.float64).reshape(-1, 1)
    if targets.ndim == 2:
        return targets
    whole = np.zeros((len(targets), columns))
    whole[np.arange(len(targets)), targets] = 1
    return whole


class _Kept(Objective):
    """A problem as an objective."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.design = problem.design
        self.shape = problem.design.shape
        self.penalty = problem.design.inner_penalty(problem.penalty)
        self.total = float(problem.weights.sum())
        self._targets = targets_as_probabilities(problem.targets, self.shape[1])
        self._near: tuple[Floats, Callable[[Floats], Floats]] | None = None

    def at(self, theta: Floats, *, curvature: bool) -> _Point:  # noqa: ARG002 - the second derivatives are made of the point
        z = self.problem.offset + self.design.scores(theta)
        of = binary_cross_entropy_and_grad if z.shape[1] == 1 else cross_entropy_and_grad
        each, slopes = of(z[:, 0] if z.shape[1] == 1 else z, self.problem.targets)
        slopes = slopes.reshape(z.shape)
        w = self.problem.weights
        kept = w > 0
        losses = float(w[kept] @ each[kept])
        return _Point(theta, losses, self.design.pulled(w[:, None] * slopes), z, slopes + self._targets)

    def hessian(self, point: _Point) -> Floats:
        return self.design.hessian(self.problem.weights, point.p)

    def bent(self, point: _Point, v: Floats) -> Floats:
        u = self.design.scores(v)
        t = point.p * u
        t -= point.p * t.sum(axis=1, keepdims=True)
        return self.design.pulled(self.problem.weights[:, None] * t)

    def around(self, point: _Point) -> Callable[[Floats], Floats]:
        p = point.p
        curvature = np.maximum((self.problem.weights @ (p * (1 - p))) / max(self.total, np.finfo(float).tiny), 1e-12)
        if self._near is None or (np.abs(np.log(curvature / self._near[0])) > 0.5).any():
            self._near = curvature, self.design.preconditioner(curvature, self.penalty)
        return self._near[1]

    def bounded(self, g: Floats) -> Floats:
        return -self.design.preconditioner(np.full(self.shape[1], 0.5), self.penalty)(g)

    def is_separated(self, point: _Point) -> bool:
        counted = self.problem.weights > 0
        if not (self.penalty[:-1] == 0).any() or self.problem.targets.ndim == 2:
            return False
        z, y = point.z[counted], self.problem.targets[counted]
        if z.shape[1] == 1:
            return bool(len(y)) and bool((((y == 1) & (z[:, 0] > 0)) | ((y == 0) & (z[:, 0] < 0))).all())
        own = z[np.arange(len(y)), y].copy()
        others = z.copy()
        others[np.arange(len(y)), y] = -np.inf
        return bool(len(y)) and bool((own > others.max(axis=1)).all())

    def gap(self, point: _Point) -> float:
        w, offset = self.problem.weights[:, None], self.problem.offset
        q, p = self._targets, point.p
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(p > 0, p * np.log(p), 0.0).sum(axis=1)
            if p.shape[1] == 1:
                r = 1 - p
                entropy -= np.where(r > 0, r * np.log(r), 0.0)[:, 0]
        dual = Dual(
            float(self.problem.weights @ entropy),
            self.design.pulled(w * p),
            (w * q).sum(axis=0),
            self.design.pulled(np.broadcast_to(w, p.shape))[:, 0],
            float((w * p * offset).sum()),
            (w * offset).sum(axis=0),
        )
        return duality_gap(point, self.penalty, dual, max(self.total, np.finfo(float).tiny))


def solve(
    problem: Problem, *, start: NDArray[np.float64] | None = None, tolerance: float = 1e-12, most: int = 300
) -> Fit:
    """
    Return the coefficients of the least objective.

    Parameters
    ----------
    problem : Problem
    start : ndarray of the coefficients' shape, optional
        Of the scaled features, as an earlier solution of the same design had them; 0 otherwise.
    tolerance, most
        As for :func:`sigmax.regression.newton.minimise`.
    """
    found = minimise(_Kept(problem), start=start, tolerance=tolerance, most=most)
    return Fit(
        problem.design.outer(found.theta),
        found.objective,
        found.gap,
        found.decrement,
        found.steps,
        found.passes,
        found.separated,
    )
