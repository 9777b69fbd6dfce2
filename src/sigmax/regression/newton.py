"""
The one solver: multinomial logistic regression with an offset and a penalty for each coefficient, by Newton's method.

Minimises F(theta) = sum_i w_i loss(o_i + A(theta)_i, q_i) + 1/2 sum L theta^2. Where there are few coefficients the step is a Cholesky
solution of the exact second derivatives, where there are many it is found by conjugate gradients. What the features are, and where, is an
objective's matter: a matrix made of a calibrator's scores, rows in memory, rows of a file.

The certificate is a duality gap. With a = p - q and G = A'(w a) any p gives F >= sum_i w_i (a_i . o_i + H(p_i)) - 1/2 sum G^2 / L, H the
entropy, which at p(theta) is F less 1/2 sum (L theta + G)^2 / L: nothing large is subtracted. An intercept without a penalty asks that the
sums of p are those of q (Jaakkola and Haussler, 1999, for two classes): a part e of another p makes them so, and as H is concave its price
is known without another look at the rows.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Dual", "Objective", "Point", "Solution", "duality_gap", "inverse_of", "is_even", "minimise"]

Floats = Any
FEW = 1_500  # coefficients whose second derivatives are kept and factorised
SINGULAR = 1e-13  # of the mean curvature: what is less is none
QUICK = 1e-2  # of what the last step gained: what a step of Newton's gains near the end
SETTLED = 1e-14  # nats a row that the last step gained: of what it left no probability shows the first eight digits
NOTHING = (1e-4, 1e-7, 1e-10, 1e-13)  # nats a row
UNSEEN = 1e-11  # of a sum of losses: what a sum of so many terms may be off by
NEAR = 1e-6  # nats a row that a step gains: the second derivatives of where it begins do for the next


@dataclass
class Point:
    """
    What is known where the solver is.

    Attributes
    ----------
    theta : ndarray of the coefficients' shape
    losses : float
        The sum of the weighted losses.
    pulled : ndarray of the coefficients' shape
        Its derivatives.
    """

    theta: Floats
    losses: float
    pulled: Floats


class Objective(ABC):
    """
    The losses of rows as a function of coefficients.

    Attributes
    ----------
    shape : tuple of int
        Of the coefficients: the features, and the intercept last, by the columns: one for two classes.
    penalty : ndarray of that shape
        L; infinite: the coefficient stays 0.
    total : float
        The sum of the rows' weights.
    """

    shape: tuple[int, int]
    penalty: NDArray[np.float64]
    total: float

    @abstractmethod
    def at(self, theta: Floats, *, curvature: bool) -> Any:
        """Return what is known at coefficients; the second derivatives are asked for next only if that is said."""

    @abstractmethod
    def hessian(self, point: Any) -> Floats | None:
        """Return the second derivatives of the losses, as a square matrix; None where they were not asked for."""

    @abstractmethod
    def bent(self, point: Any, v: Floats) -> Floats:
        """Return these times a vector."""

    @abstractmethod
    def around(self, point: Any) -> Callable[[Floats], Floats]:
        """Return what all but inverts these and the penalty."""

    @abstractmethod
    def bounded(self, g: Floats) -> Floats:
        """Return the step down a gradient by the largest curvature there can be (Böhning 1992), which is never too far."""

    @abstractmethod
    def is_separated(self, point: Any) -> bool:
        """Whether every row's class is ahead, by coefficients of which one has no penalty."""

    @abstractmethod
    def gap(self, point: Any) -> float:
        """Return how far the objective can be above the least one; NaN where a feature has no penalty."""

    @property
    def is_small(self) -> bool:
        """Whether the second derivatives are kept and factorised."""
        return math.prod(self.shape) <= FEW


@dataclass(frozen=True)
class Solution:
    """
    Coefficients, and how sure it is that they are the best.

    Attributes
    ----------
    theta : ndarray of the coefficients' shape
        Of the objective's own features.
    point : object
        What the objective knows there.
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
    singular : bool
        Whether other coefficients do as well: some features are sums of others.
    inverse : function or None
        Solves with the last second derivatives that were found, where there are some.
    direction : ndarray of the coefficients' shape, or None
        The last step.
    drift : tuple of ndarray of the coefficients' shape
        How they moved while less and less was gained.
    """

    theta: NDArray[np.float64] = field(repr=False)
    point: Any = field(repr=False)
    objective: float
    gap: float
    decrement: float
    steps: int
    passes: int
    separated: bool
    singular: bool = False
    inverse: Callable[[Floats], Floats] | None = field(default=None, repr=False)
    direction: NDArray[np.float64] | None = field(default=None, repr=False)
    drift: tuple[NDArray[np.float64], ...] = field(default=(), repr=False)


class _Solver:
    def __init__(self, objective: Objective) -> None:
        self.of = objective
        self.free = np.isfinite(objective.penalty)
        self.penalty = np.where(self.free, objective.penalty, 0.0)
        self.total = max(objective.total, np.finfo(float).tiny)
        self.passes = 0
        self.singular = False
        self.factor: Callable[[Floats], Floats] | None = None

    def at(self, theta: Floats, *, curvature: bool) -> Any:
        self.passes += 1
        return self.of.at(theta, curvature=curvature)

    def value(self, point: Any) -> float:
        return float(point.losses) + 0.5 * float((self.penalty * point.theta**2).sum())

    def gradient(self, point: Any) -> Floats:
        return np.where(self.free, point.pulled + self.penalty * point.theta, 0.0)

    def step(self, point: Any, g: Floats, eta: float) -> Floats:
        if not self.of.is_small:
            return self._step_by_gradients(point, g, eta)
        h = self.of.hessian(point)
        if h is not None or self.factor is None:
            self.factor, singular = inverse_of(h, self.of.penalty)
            self.singular = self.singular or singular
        return -self.factor(g)

    def _step_by_gradients(self, point: Any, g: Floats, eta: float) -> Floats:
        around = self.of.around(point)
        d = np.zeros_like(g)
        r = -g
        y = np.where(self.free, around(r), 0.0)
        v, size = y, float((r * y).sum())
        enough = eta * eta * size
        for _ in range(500):
            b = np.where(self.free, self.of.bent(point, v) + self.penalty * v, 0.0)
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

    def lent_step(self, begin: Floats, lent: Callable[[Floats], Floats]) -> tuple[Any, float]:
        """Return the point after a step by second derivatives that are only much like these, and what it gains; None if it is none."""
        before = self.at(begin, curvature=False)
        g = self.gradient(before)
        d = np.where(self.free, -lent(g), 0.0)
        slope = float((g * d).sum())
        after = self.along(before, d, slope, curvature=True, tries=1) if slope < 0 else None
        return after, max(-slope / 2, 0.0) / self.total

    def along(self, point: Any, d: Floats, slope: float, *, curvature: bool, tries: int = 14) -> Any:
        """Return the point after the step, halved until the objective falls enough; None if it cannot."""
        before = self.value(point)
        noise = 8 * np.finfo(float).eps * abs(before)
        unseen = -slope <= UNSEEN * abs(before)  # what is gained is lost in the rounding of the sum; the gradient tells
        t = 1.0
        for _ in range(tries):
            after = self.at(point.theta + t * d, curvature=curvature)
            if self.value(after) <= before + 1e-4 * t * slope + noise or (
                unseen and self.size(after) < self.size(point)
            ):
                return after
            t /= 2
        return None

    def size(self, point: Any) -> float:
        """Return the size of the gradient, of the mean."""
        return float(np.sqrt((self.gradient(point) ** 2).sum())) / self.total


def inverse_of(h: Floats, penalty: Floats, *, often: bool = False) -> tuple[Callable[[Floats], Floats], bool]:
    """
    Return a function that solves with second derivatives and a penalty, and whether they are singular: then it gives the least solution.

    Parameters
    ----------
    h : ndarray
        The second derivatives of the losses, a square matrix, which is overwritten.
    penalty : ndarray of the coefficients' shape
        Infinite for those that stay 0.
    often : bool
        Whether it is called so often that an inverse is worth its price.
    """
    free = np.isfinite(penalty)
    rows, columns = penalty.shape
    h[np.diag_indices(len(h))] += np.where(free, penalty, 0.0).ravel()
    if columns > 1:  # a shift of all classes' coefficients changes no loss
        blocks = h.reshape(rows, columns, rows, columns)
        for j in np.flatnonzero(is_even(penalty)):
            blocks[j, :, j, :] += float(np.trace(blocks[j, :, j, :])) / columns**2
    fixed = np.flatnonzero(~free.ravel())
    h[fixed] = h[:, fixed] = 0
    h[fixed, fixed] = 1
    diagonal = np.diag(h)
    if not np.isfinite(h).all():
        bent = np.where(np.isfinite(diagonal) & (diagonal > 0), diagonal, 1.0)
        return (lambda g: g / bent.reshape(g.shape)), False
    root = 1 / np.sqrt(
        np.where(diagonal > 0, diagonal, 1.0)
    )  # scaled to a diagonal of 1: no penalty, however large, hides what another lacks
    h *= root[:, None]
    h *= root
    scaled, singular = _inverse(h, often=often)
    return lambda g: (root * scaled(root * g.ravel())).reshape(g.shape), singular


def _inverse(h: Floats, *, often: bool) -> tuple[Callable[[Floats], Floats], bool]:
    """Return a function that solves with a matrix whose diagonal is 1, and whether it is singular."""
    try:
        factor = np.linalg.cholesky(h)
        if np.diag(factor).min() ** 2 <= SINGULAR:
            raise np.linalg.LinAlgError
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(h)
        kept = values > SINGULAR * max(values[-1], np.finfo(float).tiny)
        values, vectors = values[kept], vectors[:, kept]
        return lambda g: np.asarray(vectors @ ((vectors.T @ g) / values)), True
    if not often:
        return lambda g: np.linalg.solve(h, g), False
    inverse = np.linalg.inv(factor)
    return lambda g: np.asarray(inverse.T @ (inverse @ g)), False


def is_even(penalty: Floats) -> Floats:
    """Return which features have one penalty for all classes: at the least objective their coefficients add up to 0."""
    return np.isfinite(penalty[:, 0]) & (penalty == penalty[:, :1]).all(axis=1) & (penalty.shape[1] > 1)


def minimise(
    objective: Objective,
    *,
    start: NDArray[np.float64] | None = None,
    lent: Callable[[Floats], Floats] | None = None,
    tolerance: float = 1e-12,
    certified: float | None = None,
    most: int = 300,
) -> Solution:
    """
    Return the coefficients of the least objective.

    Parameters
    ----------
    objective : Objective
    start : ndarray of the coefficients' shape, optional
        0 otherwise.
    lent : function, optional
        Solves with second derivatives that are much like those at the start, as a sample of the rows has them: for the first step.
    tolerance : float
        Newton's decrement to stop after, of the objective's mean over the weights: what is left then is of the order of its square.
    certified : float, optional
        A duality gap to stop at, in place of the decrement, where there is such a bound.
    most : int
        Steps.
    """
    solver = _Solver(objective)
    begin = np.zeros(objective.shape) if start is None else np.where(solver.free, start, 0.0)
    first = decrement = math.nan
    steps, separated, d, point = 0, False, None, None
    if lent is not None:
        point, decrement = solver.lent_step(begin, lent)
    if point is None:
        point = solver.at(begin, curvature=True)
    passed: list[Floats] = []  # where the last gains were nearly nothing: what still moves between them moves for ever
    while steps < most:
        g = solver.gradient(point)
        size = solver.size(point)
        first = size if steps == 0 else first
        if size == 0:
            decrement = 0.0
            break
        eta = min(0.1, max(math.sqrt(size / max(first, np.finfo(float).tiny)), 1e-3))
        d = solver.step(point, g, eta)
        slope = float((g * d).sum())
        before, decrement = decrement, max(-slope / 2, 0.0) / solver.total
        quick = 0 < decrement <= NEAR and decrement <= QUICK * before  # the second derivatives hardly change any more
        after = solver.along(point, d, slope, curvature=not quick) if slope < 0 else None
        if after is None and decrement <= tolerance and size <= tolerance:
            break
        if after is None:  # where curvature is next to nothing: by a bound on it, which no step overshoots
            d = np.where(solver.free, objective.bounded(g), 0.0)
            after = solver.along(point, d, float((g * d).sum()), curvature=True)
        if after is None:
            break
        if len(passed) < len(NOTHING) and decrement <= NOTHING[len(passed)]:
            passed.append(point.theta)
        gained, point, steps = solver.value(point) - solver.value(after), after, steps + 1
        if objective.is_separated(point):
            separated = True
            break
        gap = math.nan if certified is None or decrement > NEAR else objective.gap(point)
        if certified is not None and not math.isnan(gap):
            if gap <= certified and decrement <= max(SETTLED, certified / 100):
                break
            if decrement <= certified and solver.size(point) > size / 2:  # no digit is left to gain
                break
            continue
        if size <= tolerance or (decrement <= tolerance and gained <= max(1e-9, decrement * 4) * solver.total):
            break
        if gained <= 0 and decrement <= 1e-9:
            break
    even = is_even(objective.penalty)
    theta = np.where(even[:, None], point.theta - point.theta.mean(axis=1, keepdims=True), point.theta)
    return Solution(
        theta,
        point,
        solver.value(point),
        objective.gap(point),
        decrement,
        steps,
        solver.passes,
        separated,
        solver.singular,
        solver.factor,
        d,
        tuple(b - a for a, b in itertools.pairwise(passed)),
    )


@dataclass(frozen=True)
class Dual:
    """
    Sums over rows that the duality gap is made of, beside those of the objective; of two classes in one column, the second's.

    Attributes
    ----------
    entropy : float
        Of p, weighted.
    of_p : ndarray of the coefficients' shape
        The features' sums with p: A'(w p).
    of_q : ndarray of shape (columns,)
        The sums of the targets.
    ones : ndarray of shape (features + 1,)
        The sums of the features; the last is that of the weights.
    offset_p : float
        The sum of the offset times p.
    offset : ndarray of shape (columns,)
        The sums of the offset.
    """

    entropy: float
    of_p: Floats
    of_q: Floats
    ones: Floats
    offset_p: float = 0.0
    offset: Floats = 0.0


def duality_gap(point: Point, penalty: Floats, of: Dual, total: float) -> float:
    """Return a bound on how far the objective is above the least one, of its mean; NaN where a feature has no penalty."""
    if (penalty[:-1] == 0).any():
        return math.nan
    free = bool((penalty[-1] == 0).all())
    if not free and (penalty[-1] == 0).any():
        return math.nan
    theta, g = point.theta, point.pulled
    finite = np.isfinite(penalty) & (penalty > 0)
    bent = np.where(finite, penalty, 1.0)
    left = 0.0
    if free:  # the dual point must leave the sums as the labels have them
        p, q = of.of_p[-1] / total, np.asarray(of.of_q) / total
        if len(p) == 1:
            p, q = np.array([1 - p[0], p[0]]), np.array([1 - q[0], q[0]])
        e = min(max(float(np.max((p - q) / np.maximum(p, np.finfo(float).tiny), initial=0.0)), 0.0), 1.0)
        u = np.maximum((q - (1 - e) * p) / e, 0) if e > 0 else q
        u = u / u.sum()
        of_u = float(-(u[u > 0] * np.log(u[u > 0])).sum())
        own = u[1:] if len(point.theta[-1]) == 1 else u
        left += e * (of.entropy - total * of_u) + e * (of.offset_p - float(np.sum(own * of.offset)))
        left += float((theta[-1] * g[-1]).sum())
        changed = g - e * (of.of_p - of.ones[:, None] * own)
        left += float((theta * (g - changed))[finite].sum())
        g = changed
    left += 0.5 * float(((bent * theta + g)[finite] ** 2 / bent[finite]).sum())
    value = point.losses + 0.5 * float((bent * theta**2)[finite].sum())  # which is never below 0
    return min(max(left, 0.0), value) / total
