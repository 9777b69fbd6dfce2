"""Where nothing holds the weights: features that tell the classes apart without an error, and features that are sums of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sigmax.regression.newton import Solution
    from sigmax.regression.scaling import Scaling

__all__ = ["SeparationError", "least_norm", "separated"]

LARGE = 1e-5  # of a coefficient: a last step that does not end at a solution
NONE = 1e-5  # of what a row's lead is made of: as much as none


class _Rows(Protocol):
    """What is looked at."""

    is_hard: bool
    penalty: NDArray[np.float64]
    scaling: Scaling

    def leads(self, direction: Any) -> tuple[float, float]: ...
    def gram(self) -> Any: ...


class SeparationError(InputError):
    """
    Features tell the classes apart without an error, and nothing holds their weights.

    Attributes
    ----------
    features : list of (name or int, float)
        Which features, and their shares of the direction in which the weights grow, the largest first.
    """

    def __init__(self, message: str, features: Sequence[tuple[Any, float]] = ()) -> None:
        super().__init__(message)
        self.features = list(features)

    @classmethod
    def of(cls, direction: NDArray[np.float64], names: Sequence[str] | None, classes: Any) -> SeparationError:
        """Return the error for a direction of the scaled features' coefficients."""
        size = np.abs(direction[:-1]).sum(axis=1)
        total = float(size.sum())
        order = np.argsort(-size, kind="stable")
        shares = [
            (names[j] if names is not None else int(j), float(size[j] / total))
            for j in order
            if total and (size[j] > 0.01 * total or j == order[0])
        ]
        told = ", ".join(
            f"{name if names is not None else f'feature {name}'} ({100 * share:.0f} %)" for name, share in shares[:4]
        )
        more = "" if len(shares) <= 4 else f" and {len(shares) - 4} more"
        few = ", ".join(map(str, list(classes)[:4])) + (", ..." if len(classes) > 4 else "")
        return cls(
            f"the classes ({few}) are told apart without an error by {told}{more}: without a penalty these weights grow for ever; "
            "give a penalty, as in C=1.0",
            shares,
        )


def separated(rows: _Rows, solution: Solution) -> NDArray[np.float64] | None:
    """Return a direction of coefficients without a penalty along which no row's loss rises, and some fall; None if none was met."""
    if not rows.is_hard:
        return None
    free = rows.penalty == 0
    tried = [solution.theta] if solution.separated else []
    size = np.abs(np.where(free, solution.theta, 0.0)).max(initial=0.0)
    moved = [*reversed(solution.drift), *([] if solution.direction is None else [solution.direction])]
    if any(np.abs(np.where(free, d, 0.0)[:-1]).max(initial=0.0) > LARGE * size for d in moved):
        tried += [*moved, solution.theta]
    for given in tried:
        d = np.where(free, given, 0.0)
        d = d - d.mean(axis=1, keepdims=True) if d.shape[1] > 1 else d
        low, high = rows.leads(d)
        if high > 10 * NONE and low >= -NONE:
            return d
    return None


def least_norm(rows: _Rows, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients that give the same scores and whose squares, on the features as given, have the least sum."""
    free = np.flatnonzero((rows.penalty[:-1] == 0).all(axis=1))
    gram = rows.gram()[np.ix_(free, free)]
    values, vectors = np.linalg.eigh(gram)
    null = vectors[:, values <= 1e-12 * max(values[-1], np.finfo(float).tiny)]
    if not null.shape[1]:
        return theta
    scale = rows.scaling.scale[free][:, None]
    basis, _ = np.linalg.qr(null * scale)
    found = theta.copy()
    given = theta[free] * scale
    found[free] = (given - basis @ (basis.T @ given)) / scale
    return found
