"""
The one solver: multinomial logistic regression with an offset and a penalty for each coefficient, by Newton's method.

Minimises F(theta) = sum_i w_i loss(o_i + A(theta)_i, q_i) + 1/2 sum L theta^2. Where there are few coefficients the step is a Cholesky
solution of the exact second derivatives, where there are many it is found by conjugate gradients, preconditioned by the features' squares and
the mean curvature of each class. Losses and slopes are the core's, in one pass; a step is shortened without a pass through the features.

The certificate is a duality gap (Jaakkola and Haussler, 1999, for one intercept free of penalty carried over to many classes): with
a = p - q and g = A'(w a), any p gives F >= sum_i w_i (a_i . o_i + H(p_i)) - 1/2 sum g^2 / L, H the entropy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.losses import binary_cross_entropy_and_grad, cross_entropy_and_grad

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sigmax.regression.designs import Design

__all__ = ["Problem", "Solution", "solve"]

Floats = Any
FEW = 1_500  # coefficients whose second derivatives are kept and factorised


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
class Solution:
    """
    Coefficients, and how sure it is that they are the best.

    Attributes
    ----------
    coefficients : ndarray of shape (features + 1, columns)
        Of the features as given; the intercept is the last row.
    objective : float
        The sum of the weighted losses and the penalty.
    gap : float
        At most so much, of the objective's mean over the weights, could still be gained. NaN where a feature has no penalty: there is no such
        bound then, and `decrement` tells.
    decrement : float
        What Newton's next step would gain to second order, of the mean.
    steps, passes : int
        Newton's steps, and how often all losses were found.
    separated : bool
        Whether a coefficient without a penalty grows for ever, because the features tell the classes apart without an error.
    """

    coefficients: NDArray[np.float64] = field(repr=False)
    objective: float
    gap: float
    decrement: float
    steps: int
    passes: int
    separated: bool


@dataclass
class _State:
    """Where the solver is."""

    theta: Floats
    z: Floats
    objective: float
    p: Floats
    slopes: Floats


class _Solver:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.design = problem.design
        given = problem.design.inner_penalty(problem.penalty)
        self.free = np.isfinite(given)
        self.penalty = np.where(self.free, given, 0.0)
        self.given = given
        self.total = max(float(problem.weights.sum()), np.finfo(float).tiny)
        self.passes = 0
        self.kept: tuple[Floats, Callable[[Floats], Floats]] | None = None

    def losses(self, z: Floats) -> tuple[float, Floats]:
        """Return the sum of losses, and each loss's slope by the scores."""
        self.passes += 1
        of = binary_cross_entropy_and_grad if z.shape[1] == 1 else cross_entropy_and_grad
        loss, slopes = of(z[:, 0] if z.shape[1] == 1 else z, self.problem.targets)
        kept = self.problem.weights > 0
        return float(self.problem.weights[kept] @ loss[kept]), slopes.reshape(z.shape)

    def at(self, theta: Floats) -> _State:
        z = self.problem.offset + self.design.scores(theta)
        losses, slopes = self.losses(z)
        return self.state(theta, z, losses, slopes)

    def state(self, theta: Floats, z: Floats, losses: float, slopes: Floats) -> _State:
        return _State(theta, z, losses + 0.5 * float((self.penalty * theta**2).sum()), slopes + self.target, slopes)

    @property
    def target(self) -> Floats:
        """The targets as probabilities of each column."""
        given = self.problem.targets
        if self.design.shape[1] == 1:
            return given.reshape(-1, 1)
        if given.ndim == 2:
            return given
        whole = np.zeros(self.problem.offset.shape)
        whole[np.arange(len(given)), given] = 1
        return whole

    def gradient(self, state: _State) -> Floats:
        g = self.design.pulled(self.problem.weights[:, None] * state.slopes) + self.penalty * state.theta
        return np.where(self.free, g, 0.0)

    def step(self, state: _State, g: Floats, eta: float) -> Floats:
        return self._exact_step(state, g) if state.theta.size <= FEW else self._step_by_gradients(state, g, eta)

    def _exact_step(self, state: _State, g: Floats) -> Floats:
        h = self.design.hessian(self.problem.weights, state.p)
        h[np.diag_indices(len(h))] += self.penalty.ravel()
        rows, columns = self.design.shape
        size = float(np.trace(h)) / len(h) or 1.0
        if columns > 1:  # a shift of all classes' coefficients of a feature without a penalty changes nothing
            blocks = h.reshape(rows, columns, rows, columns)
            for j in np.flatnonzero((self.given == 0).all(axis=1)):
                blocks[j, :, j, :] += size / columns
        fixed = np.flatnonzero(~self.free.ravel())
        h[fixed] = h[:, fixed] = 0
        h[fixed, fixed] = size
        more = 0.0
        for _ in range(20):
            try:
                factor = np.linalg.cholesky(h + more * np.eye(len(h)))
            except np.linalg.LinAlgError:
                more = max(4 * more, 1e-14 * size)
                continue
            return -np.linalg.solve(factor.T, np.linalg.solve(factor, g.ravel())).reshape(g.shape)
        return -g / size

    def _step_by_gradients(self, state: _State, g: Floats, eta: float) -> Floats:
        w = self.problem.weights[:, None]
        around = self._around(np.maximum((self.problem.weights @ (state.p * (1 - state.p))) / self.total, 1e-12))

        def bent(v: Floats) -> Floats:
            u = self.design.scores(v)
            t = state.p * u
            t -= state.p * t.sum(axis=1, keepdims=True)
            return np.where(self.free, self.design.pulled(w * t) + self.penalty * v, 0.0)

        d = np.zeros_like(g)
        r = -g
        y = np.where(self.free, around(r), 0.0)
        v, size = y, float((r * y).sum())
        enough = eta * eta * size
        for _ in range(500):
            b = bent(v)
            length = float((v * b).sum())
            if not length > 0:
                break
            a = size / length
            d = d + a * v
            r = r - a * b
            y = np.where(self.free, around(r), 0.0)
            after = float((r * y).sum())
            if after <= enough:
                break
            v, size = y + after / size * v, after
        return d

    def _around(self, curvature: Floats) -> Callable[[Floats], Floats]:
        """Return a preconditioner for that mean curvature of each column, or the one at hand if it was made for nearly that."""
        if self.kept is None or (np.abs(np.log(curvature / self.kept[0])) > 0.5).any():
            self.kept = curvature, self.design.preconditioner(curvature, self.given)
        return self.kept[1]

    def bounded_step(self, g: Floats) -> Floats:
        """Return a step by the largest curvature there can be (Böhning 1992): it always leads down, and never far."""
        half = np.full(self.design.shape[1], 0.5)
        return np.where(self.free, -self.design.preconditioner(half, self.given)(g), 0.0)

    def along(self, state: _State, d: Floats, slope: float) -> _State | None:
        """Return the state after the step, halved until the objective falls enough; None if it cannot."""
        u = self.design.scores(d)
        noise = 8 * np.finfo(float).eps * abs(state.objective)
        t = 1.0
        for _ in range(14):
            z, theta = state.z + t * u, state.theta + t * d
            losses, slopes = self.losses(z)
            after = self.state(theta, z, losses, slopes)
            if after.objective <= state.objective + 1e-4 * t * slope + noise:
                return after
            t /= 2
        return None

    def is_separated(self, state: _State) -> bool:
        """Whether every row's class is ahead, by coefficients of which one has no penalty."""
        counted = self.problem.weights > 0
        if not (self.given[:-1] == 0).any() or self.problem.targets.ndim == 2:
            return False
        z, y = state.z[counted], self.problem.targets[counted]
        if z.shape[1] == 1:
            return bool(len(y)) and bool((((y == 1) & (z[:, 0] > 0)) | ((y == 0) & (z[:, 0] < 0))).all())
        own = z[np.arange(len(y)), y].copy()
        others = z.copy()
        others[np.arange(len(y)), y] = -np.inf
        return bool(len(y)) and bool((own > others.max(axis=1)).all())

    def gap(self, state: _State) -> float:
        """Return how far the objective can be above the least one, by duality; NaN where a feature has no penalty."""
        if (self.given[:-1] == 0).any():
            return math.nan
        w, q, p = self.problem.weights, self.target, state.p
        two = p.shape[1] == 1
        if two:
            p, q = np.column_stack([1 - p, p]), np.column_stack([1 - q, q])
        free = (self.given[-1] == 0).all()
        if not free and (self.given[-1] == 0).any():
            return math.nan
        if free:  # the dual point must leave the sums as the labels have them
            of_p, of_q = w @ p / self.total, w @ q / self.total
            e = float(np.max((of_p - of_q) / np.maximum(of_p, np.finfo(float).tiny), initial=0.0))
            e = min(max(e, 0.0), 1.0)
            if e > 0:
                u = np.maximum((of_q - (1 - e) * of_p) / e, 0)
                p = (1 - e) * p + e * u
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(p > 0, p * np.log(p), 0.0).sum(axis=1)
        a = (p - q)[:, 1:] if two else p - q
        g = self.design.pulled(w[:, None] * a)
        bent = self.penalty > 0
        square = float((g[bent] ** 2 / self.penalty[bent]).sum())
        dual = float(w @ ((a * self.problem.offset).sum(axis=1) + entropy)) - 0.5 * square
        return max(state.objective - dual, 0.0) / self.total


def solve(
    problem: Problem, *, start: NDArray[np.float64] | None = None, tolerance: float = 1e-12, most: int = 300
) -> Solution:
    """
    Return the coefficients of the least objective.

    Parameters
    ----------
    problem : Problem
    start : ndarray of the coefficients' shape, optional
        Of the scaled features, as an earlier solution of the same design had them; 0 otherwise.
    tolerance : float
        Newton's decrement to stop at, of the objective's mean over the weights.
    most : int
        Steps.
    """
    solver = _Solver(problem)
    state = solver.at(np.zeros(problem.design.shape) if start is None else start)
    first = decrement = math.nan
    steps, separated = 0, False
    while steps < most:
        g = solver.gradient(state)
        size = float(np.sqrt((g**2).sum())) / solver.total
        first = size if steps == 0 else first
        if size == 0:
            decrement = 0.0
            break
        d = solver.step(state, g, min(0.1, math.sqrt(size / max(first, np.finfo(float).tiny))))
        slope = float((g * d).sum())
        decrement = max(-slope / 2, 0.0) / solver.total
        if not slope < 0:
            break
        after = solver.along(state, d, slope)
        if after is None:  # where curvature is next to nothing: by a bound on it, which no step overshoots
            d = solver.bounded_step(g)
            after = solver.along(state, d, float((g * d).sum()))
        if after is None:
            break
        gained, state, steps = state.objective - after.objective, after, steps + 1
        if solver.is_separated(state):
            separated = True
            break
        if size <= tolerance or (decrement <= tolerance and gained <= max(1e-9, decrement * 4) * solver.total):
            break
        if gained <= 0 and decrement <= 1e-9:
            break
    return Solution(
        problem.design.outer(state.theta),
        state.objective,
        solver.gap(state),
        decrement,
        steps,
        solver.passes,
        separated,
    )
