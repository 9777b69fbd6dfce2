"""
Rows of features as an objective: passes over parts of them, in threads, whose sums are joined in a tree.

The parts hang on the shape of the rows alone and the tree on the number of parts, so that sums have the same bits whoever makes them. How the
rows lie is a matter of :mod:`sigmax.regression.dense` and :mod:`sigmax.regression.sparse`.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.links import LINKS
from sigmax.host.rows import logsumexp, softmax
from sigmax.parts import in_parts
from sigmax.regression.newton import FEW, Dual, Objective, Point, Solution, duality_gap, inverse_of, minimise
from sigmax.regression.problem import targets_as_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from sigmax.regression.scaling import Scaling

__all__ = ["AT_ONCE", "PointOfRows", "Rows", "Sums", "joined", "lent_by", "minimise_rows"]

sigmoid, softplus = LINKS["sigmoid"], LINKS["softplus"]

Floats = Any
AT_ONCE = 1 << 18  # numbers of a part of the features
QUICK = 150  # coefficients whose second derivatives cost next to nothing
PRECISE = 4  # rows for each coefficient, of which the second derivatives are much like those of all
SAMPLE = 5_000  # rows at least to find a start with
START = 1e-5  # nats a row that a start may be away from its own best


@dataclass
class Sums:
    """
    What a pass over rows finds; sums of parts add up.

    Attributes
    ----------
    losses, entropy, offset_p : float
        Weighted sums of the losses, of the entropy of p, and of the offset times p.
    pulled : ndarray of the coefficients' shape
        The features' sums with the losses' slopes.
    hessian : ndarray or None
        The second derivatives.
    ahead : float
        By how much a row's class is ahead of the others, in the row where that is least.
    """

    losses: float
    entropy: float
    offset_p: float
    pulled: Floats
    hessian: Floats | None
    ahead: float

    def __add__(self, other: Sums) -> Sums:
        bent = None if self.hessian is None or other.hessian is None else self.hessian + other.hessian
        return Sums(
            self.losses + other.losses,
            self.entropy + other.entropy,
            self.offset_p + other.offset_p,
            self.pulled + other.pulled,
            bent,
            min(self.ahead, other.ahead),
        )


def joined(parts: Iterable[Any]) -> Any:
    """Return the sum of parts, neighbours first, then neighbours of neighbours: in an order that hangs on their number alone."""
    waiting: list[tuple[int, Any]] = []  # sums of so many parts
    for part in parts:
        size, whole = 1, part
        while waiting and waiting[-1][0] == size:
            _, before = waiting.pop()
            size, whole = 2 * size, before + whole
        waiting.append((size, whole))
    whole = waiting.pop()[1]
    while waiting:
        whole = waiting.pop()[1] + whole
    return whole


@dataclass
class PointOfRows(Point):
    """Coefficients, and what a pass has found there."""

    sums: Sums
    p: Floats | None = None


class Rows(Objective):
    """
    Rows in memory.

    Parameters
    ----------
    x : array of shape (rows, features)
        Finite numbers.
    targets : ndarray
        Of two classes the probability of the second, of shape (rows,). Of more class numbers, or a probability for each class.
    weights : ndarray of shape (rows,)
        What each row counts for; above 0.
    offset : ndarray of shape (rows, columns), optional
        What is added to the scores.
    penalty : ndarray of shape (features + 1, columns)
        On the features as given; infinite holds a coefficient at 0. The intercept is the last.
    scaling : Scaling
    """

    def __init__(
        self,
        x: Any,
        targets: NDArray[Any],
        weights: NDArray[np.float64],
        offset: NDArray[np.float64] | None,
        penalty: NDArray[np.float64],
        scaling: Scaling,
    ) -> None:
        self.x, self.targets, self.weights = x, np.ascontiguousarray(targets), np.ascontiguousarray(weights)
        self.offset = None if offset is None else np.ascontiguousarray(offset)
        self.scaling, self.given = scaling, penalty
        self.shape = (penalty.shape[0], penalty.shape[1])
        self.penalty = scaling.inner_penalty(penalty)
        self.total = float(weights.sum())
        self.is_hard = targets.ndim == 1 and (self.shape[1] > 1 or bool(((targets == 0) | (targets == 1)).all()))
        of_features = self.penalty[:-1]
        free = (of_features == 0).any() and ((of_features == 0) | np.isinf(of_features)).all()
        self.may_separate = bool(free) and offset is None
        self._near: tuple[Floats, Callable[[Floats], Floats]] | None = None

    # ---- what a kind of features does with a part of the rows ----

    @abstractmethod
    def scores(self, part: slice, theta: Floats) -> Floats:
        """Return the scores of rows."""

    @abstractmethod
    def sums(self, part: slice, slopes: Floats | None, p: Floats | None, w: Floats | None) -> tuple[Floats, Floats]:
        """Return the features' sums with slopes, and the second derivatives of the losses of classes with such probabilities."""

    # ---- the objective ----

    @property
    def is_small(self) -> bool:  # noqa: D102
        size = self.shape[0] * self.shape[1]
        return size <= FEW and (self.shape[1] == 1 or size <= QUICK or self.x.shape[0] <= PRECISE * size)

    def _in_parts(self, of: Callable[[slice], Any]) -> list[Any]:
        return in_parts(of, self.x.shape[0], self.shape[0], at_once=AT_ONCE)

    def target(self, part: slice) -> Floats:
        """Return the targets of rows as probabilities of each column."""
        return targets_as_probabilities(self.targets[part], self.shape[1])

    def at(self, theta: Floats, *, curvature: bool) -> PointOfRows:  # noqa: D102
        p = None if self.is_small else np.empty((self.x.shape[0], self.shape[1]))
        found = self.found(theta, p, curvature=curvature and self.is_small)
        return PointOfRows(theta, found.losses, found.pulled, found, p)

    def found(self, theta: Floats, p: Floats | None, *, curvature: bool) -> Sums:
        """Return what a pass finds; probabilities are kept in `p`."""
        found: Sums = joined(self._in_parts(lambda part: self._sums(part, theta, p, curvature=curvature)))
        return found

    def _sums(self, part: slice, theta: Floats, kept: Floats | None, *, curvature: bool) -> Sums:
        z = self.scores(part, theta)
        if self.offset is not None:
            z += self.offset[part]
        y, w = self.targets[part], self.weights[part]
        ahead = 0.0
        if self.shape[1] == 1:
            logit = z[:, 0]
            p = sigmoid(z)
            own = y * logit
            losses = float(w @ softplus(logit)) - float(w @ own)
            if self.is_hard and self.may_separate:
                ahead = float((2 * own - logit).min())
            slopes = p - y[:, None]
        else:
            p = softmax(z)
            slopes = p.copy()
            if self.is_hard:
                rows = np.arange(len(y))
                own = z[rows, y]
                slopes[rows, y] -= 1
                if self.may_separate:
                    ahead = float((own - _others(z, y)).min()) if (own >= z.max(axis=1)).all() else -1.0
            else:
                own = np.einsum("ik,ik->i", y, z)
                slopes -= y
            losses = float(w @ (logsumexp(z, axis=1) - own))
        if kept is not None:
            kept[part] = p
        slopes *= w[:, None]
        pulled, hessian = self.sums(part, slopes, p if curvature else None, w if curvature else None)
        entropy = losses - float(np.vdot(slopes, z))
        offset_p = 0.0 if self.offset is None else float(w @ (p * self.offset[part]).sum(axis=1))
        return Sums(losses, entropy, offset_p, pulled, hessian, ahead)

    def hessian(self, point: PointOfRows) -> Floats | None:  # noqa: D102
        return point.sums.hessian

    def bent(self, point: PointOfRows, v: Floats) -> Floats:  # noqa: D102
        probabilities = point.p

        def of(part: slice) -> Floats:
            u, p = self.scores(part, v), probabilities[part]  # type: ignore[index]
            u -= np.einsum("ik,ik->i", p, u)[:, None]
            u *= p
            u *= self.weights[part][:, None]
            return self.sums(part, u, None, None)[0]

        return joined(self._in_parts(of))

    def around(self, point: PointOfRows) -> Callable[[Floats], Floats]:  # noqa: D102
        p = point.p
        mean = np.maximum(self.weights @ (p * (1 - p)) / self.total, 1e-12)  # type: ignore[operator]
        if self._near is None or (np.abs(np.log(mean / self._near[0])) > 0.5).any():
            self._near = mean, self._about(point.theta, mean)
        return self._near[1]

    def lend(self, some: Rows, share: float) -> None:
        """Take over what all but solves with the second derivatives of a sample."""
        if some._near is not None:
            mean, inverse = some._near
            self._near = mean, lambda g: share * inverse(g)

    def _about(self, theta: Floats, mean: Floats) -> Callable[[Floats], Floats]:
        """Return what all but solves with the second derivatives: those of a sample of the rows, or of the features alone."""
        rows, size = self.x.shape[0], self.shape[0] * self.shape[1]
        if size <= FEW:
            some = self.sample(max(round(rows / (PRECISE * size)), 1))
            h = some.found(theta, None, curvature=True).hessian
            return inverse_of(np.asarray(h) * (self.total / some.total), self.penalty, often=True)[0]
        return self._by_class(mean)

    def gram(self) -> Floats:
        """Return the weighted sums of products of features, the constant among them."""
        found: Floats = joined(self._in_parts(lambda part: self.sums(part, None, None, self.weights[part])[1]))
        return found

    def probabilities(self, z: Floats) -> Floats:
        """Return the probability of each column, of its scores."""
        found: Floats = sigmoid(z) if self.shape[1] == 1 else softmax(z)
        return found

    def slopes_squared(self, theta: Floats) -> Floats:
        """Return the sum of the squared derivatives of every row's loss: a matrix of the size of the coefficients."""
        size = self.shape[0] * self.shape[1]
        total = np.zeros((size, size))
        step = max(AT_ONCE // size, 1)
        for begin in range(0, self.x.shape[0], step):
            part = slice(begin, begin + step)
            z = self.scores(part, theta)
            z = z if self.offset is None else z + self.offset[part]
            slopes = self.weights[part][:, None] * (self.probabilities(z) - self.target(part))
            each = (self.scaled(part)[:, :, None] * slopes[:, None, :]).reshape(-1, size)
            total += each.T @ each
        return total

    def scaled(self, part: slice) -> Floats:
        """Return scaled features of rows with the constant behind them, as a matrix."""
        x = self.x[part]
        x = np.asarray(x.todense() if hasattr(x, "tocsr") else x, np.float64)
        return np.column_stack([(x - self.scaling.shift) * self.scaling.scale, np.ones(len(x))])

    def _by_class(self, mean: Floats) -> Callable[[Floats], Floats]:
        gram = self.gram()
        inverses = np.empty((self.shape[1], *gram.shape))
        for k, curvature in enumerate(mean):
            keep = np.isfinite(self.penalty[:, k])
            block = np.where(keep[:, None] & keep, gram * curvature, 0.0)
            diagonal = np.where(keep, self.penalty[:, k], 1.0) + 1e-12 * np.trace(block) / len(block)
            block[np.diag_indices(len(block))] += diagonal
            inverses[k] = np.linalg.inv(block)
        return lambda g: np.asarray(np.matmul(inverses, g.T[:, :, None])[:, :, 0].T)

    def bounded(self, g: Floats) -> Floats:  # noqa: D102
        return -self._by_class(np.full(self.shape[1], 0.5))(g)

    def is_separated(self, point: PointOfRows) -> bool:  # noqa: D102
        return self.is_hard and self.may_separate and point.sums.ahead > 0

    def leads(self, direction: Floats) -> tuple[float, float]:
        """Return by how much scores of a direction put a row's class ahead of each other one, of what they are made of: at least, and at most."""

        def of(part: slice) -> tuple[float, float]:
            x, y = self.scaled(part), self.targets[part]
            z, size = x @ direction, np.abs(x) @ np.abs(direction)
            if self.shape[1] == 1:
                ahead = (np.where(y == 1, 1.0, -1.0) * z[:, 0])[:, None]
            else:
                rows = np.arange(len(y))
                ahead, size = z[rows, y][:, None] - z, size + size[rows, y][:, None]
                ahead[rows, y] = 0.0
            ahead = ahead / np.where(size > 0, size, 1.0)
            return float(ahead.min()), float(ahead.max())

        step = max(AT_ONCE // (self.shape[0] * self.shape[1]), 1)
        found = [of(slice(begin, begin + step)) for begin in range(0, self.x.shape[0], step)]
        return min(low for low, _ in found), max(high for _, high in found)

    @functools.cached_property
    def _of_targets(self) -> Floats:
        """The features' sums with the targets."""
        found: Floats = joined(
            self._in_parts(lambda part: self.sums(part, self.weights[part][:, None] * self.target(part), None, None)[0])
        )
        return found

    def gap(self, point: PointOfRows) -> float:  # noqa: D102
        offset = np.zeros(self.shape[1]) if self.offset is None else self.weights @ self.offset
        of_q, scaling = self._of_targets, self.scaling
        ones = np.append((scaling.mean - scaling.shift) * scaling.scale, 1.0) * self.total
        dual = Dual(point.sums.entropy, point.pulled + of_q, of_q[-1], ones, point.sums.offset_p, offset)
        return duality_gap(point, self.penalty, dual, self.total)

    def sample(self, step: int) -> Rows:
        """Return one row in so many, with as much of the penalty as they are of the weight."""
        part = slice(None, None, step)
        w = self.weights[part]
        share = float(w.sum()) / self.total
        offset = None if self.offset is None else self.offset[part]
        return type(self)(self.x[part], self.targets[part], w, offset, self.given * share, self.scaling)


def _others(z: Floats, y: NDArray[np.int64]) -> Floats:
    """Return the largest score of the other classes."""
    other = z.copy()
    other[np.arange(len(y)), y] = -np.inf
    return other.max(axis=1)


def minimise_rows(rows: Rows, *, start: Floats | None = None, certified: float = 1e-12, most: int = 300) -> Solution:
    """Return the coefficients of the least objective, to a gap; of many rows, from those of a sample on."""
    size = rows.shape[0] * rows.shape[1]
    step = rows.x.shape[0] // max(SAMPLE, PRECISE * size)
    lent = None
    if start is None and step >= 4:
        some = rows.sample(step)
        of_some = minimise_rows(some, certified=max(START, certified), most=most)
        start, share = of_some.theta, some.total / rows.total
        if rows.is_small:
            lent = lent_by(of_some, share)
        else:
            rows.lend(some, share)
    return minimise(rows, start=start, lent=lent, tolerance=min(certified, 1e-17), certified=certified, most=most)


def lent_by(of_some: Solution, share: float) -> Callable[[Floats], Floats] | None:
    """Return how to solve with second derivatives as a share of the rows has them; None if they are none to rely on."""
    inverse = of_some.inverse
    return None if inverse is None or of_some.singular or share <= 0 else lambda g: share * inverse(g)
