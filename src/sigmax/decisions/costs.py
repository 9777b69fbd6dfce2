"""Decisions of least expected cost, and what they cost indeed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.sums import Mean
from sigmax.decisions.given import log_odds_of, log_probabilities_of
from sigmax.inputs import class_numbers, labels_of, names_of_columns, weights_of
from sigmax.links import sigmoid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from sigmax.calibration.given import Form

__all__ = ["Costs", "Decided", "Realised", "decide", "realised"]

LARGEST = 1e100  # cost: sums of such are numbers
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, eq=False)
class Costs:
    """
    What each decision costs for a row of each class.

    Parameters
    ----------
    matrix : array_like of shape (classes, decisions)
        In the order of the classes. There may be decisions that are no class, such as to ask a person.
    classes, decisions : sequence of str, optional
        What they are called; default: their numbers.
    """

    matrix: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers and the names."""
        names = names_of_columns(self.matrix)
        index = getattr(self.matrix, "index", None)  # of a table; that of a list is a method
        index = None if callable(index) else index
        given = np.array(self.matrix, np.float64)  # a copy, which nobody changes
        if given.ndim != 2 or given.shape[0] < 2 or given.shape[1] < 1:
            raise ValueError(f"costs of shape {given.shape}: give a line for each class and a column for each decision")
        if not (np.abs(given) <= LARGEST).all():
            raise ValueError(
                f"a cost is {given[~(np.abs(given) <= LARGEST)][0]}; costs are numbers of a size up to {LARGEST:g}"
            )
        given.flags.writeable = False
        object.__setattr__(self, "matrix", given)
        lines = (
            list(map(str, index))
            if index is not None and len(set(index)) == len(given)
            else list(map(str, range(len(given))))
        )
        for name, default, count in (("classes", lines, given.shape[0]), ("decisions", names, given.shape[1])):
            told = tuple(map(str, getattr(self, name) or default or range(count)))
            if len(told) != count or len(set(told)) < count or not all(told):
                raise ValueError(f"{name} {', '.join(told)}: give {count} different names")
            object.__setattr__(self, name, told)

    def thresholds(self) -> list[tuple[int, float]]:
        """
        Return which decision is best from which logit of the second class on, for two classes.

        Returns
        -------
        list of (int, float)
            The decisions in the order of the logit, and where each begins; the first at minus infinity. Between two decisions it lies at
            the logarithm of what they differ by for a row of the first class, less that for one of the second.
        """
        if len(self.matrix) != 2:
            raise ValueError(f"thresholds are those of two classes; there are {len(self.matrix)}")
        first, second = self.matrix
        here = min(range(len(first)), key=lambda d: (first[d], second[d], d))  # where the second class is impossible
        found, at = [(here, -math.inf)], -math.inf
        while True:
            nexts = []
            for d in range(len(first)):
                more, less = first[d] - first[here], second[here] - second[d]
                if less > 0 and more >= 0:
                    logit = math.log(more) - math.log(less) if more > 0 else -math.inf
                    nexts.append((logit, second[d], d))
            if not nexts:
                return found
            logit, _, here = min(nexts)
            at = max(at, logit)
            if at == found[-1][1]:
                found[-1] = (here, at)
            else:
                found.append((here, at))


@dataclass(frozen=True)
class Decided:
    """
    Decisions.

    Attributes
    ----------
    choice : ndarray of int of shape (rows,)
        Which decision is expected to cost least; of two equal ones the first.
    cost : ndarray of shape (rows,)
        What it is expected to cost.
    margin : ndarray of shape (rows,)
        How much more the next best one is; infinite where there is none.
    costs : Costs
    """

    choice: NDArray[np.int64]
    cost: NDArray[np.float64]
    margin: NDArray[np.float64]
    costs: Costs = field(repr=False)

    @property
    def names(self) -> NDArray[Any]:
        """The decisions by their names."""
        return np.asarray(self.costs.decisions, dtype=object)[self.choice]


def decide(scores: ArrayLike, costs: ArrayLike | Costs, *, form: Form = "auto") -> Decided:
    """
    Decide for each row what is expected to cost least.

    Parameters
    ----------
    scores : array_like of shape (rows, classes), or (rows,) for two classes
        Scores or probabilities; a single column is that of the second class.
    costs : Costs, or array_like of shape (classes, decisions)
        What each decision costs for a row of each class: rows in the order of the classes. A column may be 'ask a person'.
    form : {'auto', 'logits', 'log-probabilities', 'probabilities'}
        What the scores are; 'auto' tells by their values.

    Returns
    -------
    Decided

    Raises
    ------
    ValueError
        If costs and scores do not fit one another, or a cost is not finite.

    Notes
    -----
    Of two classes the choice is made by the logit, which tells rows apart whose probabilities are 1 for all digits.

    Examples
    --------
    To take a healthy person for ill costs 1, to miss an illness 20, and a test tells for 2:

    >>> from sigmax.decisions import Costs, decide
    >>> costs = Costs([[0, 1, 2], [20, 0, 2]], ["healthy", "ill"], ["leave", "treat", "test"])
    >>> decide([0.01, 0.2, 0.9], costs, form="probabilities").names.tolist()
    ['leave', 'treat', 'treat']
    """
    of = costs if isinstance(costs, Costs) else Costs(costs)  # type: ignore[arg-type]
    z = log_odds_of(scores, form)
    classes = 2 if z.ndim == 1 else z.shape[1]
    if len(of.matrix) != classes:
        raise ValueError(f"costs for {len(of.matrix)} classes, and scores of {classes}")
    p = np.column_stack([sigmoid(-z), sigmoid(z)]) if z.ndim == 1 else np.exp(z)
    expected = p @ of.matrix
    rows = np.arange(len(z))
    if z.ndim == 1:
        order = of.thresholds()
        begins = np.array([at for _, at in order])
        places = np.maximum(np.searchsorted(begins, z, side="right") - 1, 0)
        exact = begins[places] == z  # at even costs the first of the two
        choice = np.array([d for d, _ in order])[places]
        before = np.array([d for d, _ in order])[np.maximum(places - 1, 0)]
        choice = np.where(exact & np.isfinite(z), np.minimum(choice, before), choice)
    else:
        choice = expected.argmin(axis=1)
    cost = expected[rows, choice]
    others = expected.copy()
    others[rows, choice] = np.inf
    margin = np.maximum(others.min(axis=1) - cost, 0.0) if expected.shape[1] > 1 else np.full(len(z), np.inf)
    return Decided(choice.astype(np.int64), cost, margin, of)


@dataclass(frozen=True)
class Realised:
    """
    What decisions cost on rows whose class is known.

    Attributes
    ----------
    mean : Mean
        The cost of a row, with its 95 % interval.
    expected : float
        What the probabilities made of it; if they hold, about the same.
    constant : tuple of (str, Mean)
        The best single decision for all rows, and what that costs.
    gain : Mean
        How much less than that the decisions cost, row by row.
    hindsight : tuple of (float, float) or None
        Of two classes and two decisions: the logit that would have been the best threshold for these rows, and what a row costs with it. The difference from
        `mean` is what probabilities that do not hold cost.
    """

    mean: Mean
    expected: float
    constant: tuple[str, Mean]
    gain: Mean
    hindsight: tuple[float, float] | None


def realised(
    scores: ArrayLike,
    labels: ArrayLike,
    costs: ArrayLike | Costs,
    *,
    sample_weight: ArrayLike | None = None,
    form: Form = "auto",
    classes: Sequence[Any] | None = None,
) -> Realised:
    """
    Return what decisions cost on rows whose class is known, beside the best single decision and the best threshold in hindsight.

    Parameters
    ----------
    scores, costs, form
        As for :func:`decide`.
    labels : array_like of shape (rows,)
        The true classes: by number from 0, or by the names in `classes`.
    sample_weight : array_like of shape (rows,), optional
        What each row counts for.
    classes : sequence, optional
        The classes in the order of the scores; default: the numbers from 0, or their names in `costs`.

    Returns
    -------
    Realised

    Examples
    --------
    >>> import numpy as np, sigmax
    >>> from sigmax.decisions import realised
    >>> rng = np.random.default_rng(0)
    >>> logits = 2 * rng.normal(size=5000)
    >>> labels = (rng.random(5000) < sigmax.sigmoid(logits)).astype(int)
    >>> found = realised(logits, labels, [[0, 1], [5, 0]])
    >>> round(found.mean.mean, 2), round(found.constant[1].mean, 2)
    (0.38, 0.5)
    """
    decided = decide(scores, costs, form=form)
    of = decided.costs
    raw = labels_of(labels, len(decided.choice))
    if classes is None:
        classes = np.arange(len(of.matrix)).tolist() if raw.dtype.kind in "iub" else list(of.classes)
    y = class_numbers(raw, np.asarray(classes))
    w = weights_of(sample_weight, len(y))
    if not (w > 0).any():
        raise ValueError("all sample weights are zero: no row counts")
    paid = of.matrix[y, decided.choice]
    all_of_one = of.matrix[y]  # what each single decision would have cost
    best = int((w @ all_of_one).argmin())
    return Realised(
        mean_of(paid, w),
        float(np.average(decided.cost, weights=w)),
        (of.decisions[best], mean_of(all_of_one[:, best], w)),
        mean_of(all_of_one[:, best] - paid, w),
        _hindsight(log_odds_of(scores, form), y, w, of) if of.matrix.shape == (2, 2) else None,
    )


def mean_of(x: NDArray[np.float64], w: NDArray[np.float64]) -> Mean:
    """Return a weighted mean over rows with its 95 % interval."""
    total = float(w.sum())
    mean = float(w @ x) / total
    rows = int((w > 0).sum())
    if rows < 2:
        return Mean(mean, -math.inf, math.inf)
    half = Z * math.sqrt(float(((w * (x - mean)) ** 2).sum()) * rows / (rows - 1)) / total
    return Mean(mean, mean - half, mean + half)


def _hindsight(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64], of: Costs) -> tuple[float, float]:
    """Return the threshold of the logit that would have cost least, and what a row costs with it; equal logits stay together."""
    z = z if z.ndim == 1 else np.diff(log_probabilities_of(z), axis=1)[:, 0]
    order = np.argsort(z, kind="stable")
    z, y, w = z[order], y[order], w[order]
    low, high = (0, 1) if of.thresholds()[0][0] == 0 else (1, 0)  # the decision below, and above
    below = np.concatenate([[0.0], np.cumsum(w * of.matrix[y, low])])
    above = np.concatenate([np.cumsum((w * of.matrix[y, high])[::-1])[::-1], [0.0]])
    begins = np.concatenate([[True], z[1:] > z[:-1], [True]])
    cost = np.where(begins, below + above, np.inf)
    k = int(cost.argmin())
    ends = np.clip(z[[max(k - 1, 0), min(k, len(z) - 1)]], -1e300, 1e300)
    at = -math.inf if k == 0 else math.inf if k == len(z) else float(ends[0] / 2 + ends[1] / 2)
    return at, float(cost[k] / w.sum())
