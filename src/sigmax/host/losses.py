"""The losses of a classifier."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax.host.contract import check_smoothing
from sigmax.host.dtypes import CONTRACT, as_float
from sigmax.host.links import BINARY
from sigmax.host.table import ScoreTable, check_temperature

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sigmax.host.contract import Axis

__all__ = ["binary_cross_entropy", "binary_cross_entropy_and_grad", "cross_entropy", "cross_entropy_and_grad"]


def cross_entropy(
    x: ArrayLike,
    y: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Return the loss of each row."""
    loss, _ = _cross_entropy(x, y, axis, temperature, where, label_smoothing, with_gradient=False)
    return loss


def cross_entropy_and_grad(
    x: ArrayLike,
    y: ArrayLike,
    /,
    *,
    axis: Axis = -1,
    temperature: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Any, Any]:
    """Return the loss of each row, and its derivative by the scores."""
    return _cross_entropy(x, y, axis, temperature, where, label_smoothing, with_gradient=True)


def _cross_entropy(
    x: ArrayLike,
    y: ArrayLike,
    axis: Axis,
    temperature: ArrayLike,
    where: ArrayLike | None,
    label_smoothing: float,
    *,
    with_gradient: bool,
) -> tuple[Any, Any]:
    table = ScoreTable(x, axis, where, None)
    scale = check_temperature(temperature, table.rows)
    smoothing = check_smoothing(label_smoothing)
    labels = np.asarray(y)
    loss = np.empty(table.rows, table.dtype)
    gradient = np.empty(table.shape, table.dtype) if with_gradient else None
    name = "cross_entropy_and_grad" if with_gradient else "cross_entropy"
    if CONTRACT.are_classes(labels, table.rows, table.shape):
        CONTRACT.classes(labels, math.prod(table.classes))
        table.call(name, labels.astype(np.int64, copy=False), scale, smoothing, results=[loss], y=gradient)
    else:
        CONTRACT.probabilities(labels)
        weights = table.per_score(labels, "labels")
        CONTRACT.sums(weights.sum(axis=-1, dtype=np.float64) if weights.size else np.ones(()))
        table.call(f"target_{name}", scale, smoothing, weights=weights, results=[loss], y=gradient)
    return loss[()], None if gradient is None else gradient[()]


def binary_cross_entropy(x: ArrayLike, y: ArrayLike, /) -> Any:
    """Return the loss of each logit."""
    return BINARY["binary_cross_entropy"](*_two_classes(x, y))


def binary_cross_entropy_and_grad(x: ArrayLike, y: ArrayLike, /) -> tuple[Any, Any]:
    """Return the loss of each logit, and its derivative."""
    loss, gradient = BINARY["binary_cross_entropy_and_grad"](*_two_classes(x, y))
    return loss, gradient


def _two_classes(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    logits = as_float(np.asarray(x), "logits")
    labels = as_float(np.asarray(y), "labels").astype(np.float64, copy=False)
    CONTRACT.probabilities(labels)
    CONTRACT.two_classes(logits, labels)
    return logits, labels
