"""Scores of any form, as decisions take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.calibration.given import Form, as_logits, form_of, scores_of
from sigmax.links import log_sigmoid
from sigmax.rows import log_softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["log_odds_of", "log_probabilities_of", "shares_of"]


def log_odds_of(scores: Any, form: Form) -> NDArray[np.float64]:
    """Return the logit of the second of two classes, of shape (rows,), or log-probabilities of shape (rows, classes)."""
    x = scores_of(scores)
    z = as_logits(x, form_of(x, form))
    return z if z.ndim == 1 else np.asarray(log_softmax(z))


def log_probabilities_of(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities of each class, of what :func:`log_odds_of` returns."""
    return np.column_stack([log_sigmoid(-z), log_sigmoid(z)]) if z.ndim == 1 else z


def shares_of(name: str, shares: Any, classes: int) -> NDArray[np.float64]:
    """Return shares of classes: they are above 0 and add up to 1; one number is that of the second of two."""
    found = np.asarray(shares, np.float64)
    if found.ndim == 0 and classes == 2:
        found = np.array([1 - found, found])
    if found.shape != (classes,):
        raise ValueError(f"{name}={shares!r}: give a share for each of the {classes} classes")
    if not (found > 0).all() or not abs(found.sum() - 1) <= 1e-6:
        raise ValueError(f"{name}={found.tolist()}: shares are above 0 and add up to 1")
    return np.asarray(found / found.sum())
