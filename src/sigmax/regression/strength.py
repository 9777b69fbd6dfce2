"""
How strong a ridge: as is best for rows that are left out.

What each row's loss would be for a fit without it is known from the second derivatives of one fit with all: one step of Newton's back
(approximate leave-one-out: Rad and Maleki, 2020). Where there are too many coefficients for that, rows are left out in three folds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.losses import binary_cross_entropy, cross_entropy
from sigmax.regression.dense import Dense
from sigmax.regression.newton import FEW, inverse_of
from sigmax.regression.rows import Rows, minimise_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["best_penalty"]

STRENGTHS = tuple(10.0**k for k in (4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0, -0.5, -1, -1.5, -2, -3, -4))
ENOUGH = 20_000  # rows to choose by
FOLDS = 3
AT_ONCE = 1 << 14  # rows
CLOSE = 1e-7  # nats that a fit may still gain


def best_penalty(made: Callable[..., Rows], rows: int) -> float:
    """
    Return the strength of least loss on rows that are left out.

    Parameters
    ----------
    made : callable
        Makes the objective, of a strength and, as a slice or an array of numbers, of some of the rows.
    rows : int
    """
    chosen = np.arange(rows)
    if rows > ENOUGH:
        chosen = np.sort(np.random.default_rng(0).permutation(rows)[:ENOUGH])
    of = made(1.0, chosen)
    held_out = _by_one if isinstance(of, Dense) and of.shape[0] * of.shape[1] <= FEW else _by_folds
    best, least, worse = STRENGTHS[0], np.inf, 0
    starts: dict[int, Any] = {}
    for strength in STRENGTHS:
        loss = held_out(made, chosen, strength, starts)
        if loss < least:
            best, least, worse = strength, loss, 0
        else:
            worse += 1
        if worse == 3:
            break
    return best


def _by_folds(made: Callable[..., Rows], chosen: NDArray[np.int64], strength: float, starts: dict[int, Any]) -> float:
    fold = np.random.default_rng(1).permutation(len(chosen)) % FOLDS
    total = weight = 0.0
    for k in range(FOLDS):
        fitted = minimise_rows(made(strength, chosen[fold != k]), start=starts.get(k), certified=CLOSE)
        starts[k] = fitted.theta
        out = made(strength, chosen[fold == k])
        total, weight = total + out.found(fitted.theta, None, curvature=False).losses, weight + out.total
    return total / weight


def _by_one(made: Callable[..., Rows], chosen: NDArray[np.int64], strength: float, starts: dict[int, Any]) -> float:
    rows = made(strength, chosen)
    solution = minimise_rows(rows, start=starts.get(0), certified=CLOSE)
    starts[0] = solution.theta
    inverse, _ = inverse_of(
        np.array(rows.found(solution.theta, None, curvature=True).hessian), rows.penalty, often=True
    )
    size, (features, columns) = rows.penalty.size, rows.shape
    square = np.stack([inverse(one.reshape(features, columns)).ravel() for one in np.eye(size)])
    held = ~np.isfinite(rows.penalty).ravel()
    square[held] = square[:, held] = 0
    square = square.reshape(features, columns, features, columns)
    total = 0.0
    for begin in range(0, len(chosen), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        x, w, q = rows.scaled(part), rows.weights[part], rows.target(part)
        z = rows.scores(part, solution.theta)
        z = z if rows.offset is None else z + rows.offset[part]
        p = rows.probabilities(z)
        moves = np.empty((len(x), columns, columns))
        for k in range(columns):
            for m in range(k, columns):
                moves[:, k, m] = moves[:, m, k] = w * np.einsum("ij,ij->i", x @ square[:, k, :, m], x)
        bent = np.einsum("ik,km->ikm", p, np.eye(columns)) - p[:, :, None] * p[:, None, :]
        step = np.linalg.solve(np.eye(columns) - np.matmul(bent, moves), (p - q)[:, :, None])
        out = z + np.matmul(moves, step)[:, :, 0]
        losses = binary_cross_entropy(out[:, 0], q[:, 0]) if columns == 1 else cross_entropy(out, rows.targets[part])
        total += float(w @ losses)
    return total / rows.total
