"""What all derivatives over rows share: how a temperature takes part, and sums that do not cancel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sigmax.arrays.torch.memory import Flat, per_row, widened

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["by_temperature", "direction", "divisor", "sum_of_others"]


def divisor(temperature: Tensor | None, axes: Sequence[int]) -> Any:
    """Return what a derivative by x / T is divided by, one number a row or 1; at T = 0 results are steps, whose derivative is 0."""
    if temperature is None:
        return 1
    return _stepwise(per_row(temperature, axes))


def _stepwise(temperature: Tensor) -> Tensor:
    return torch.where(temperature == 0, math.inf, temperature)


def by_temperature(
    gx: Tensor, x: Tensor, temperature: Tensor | None, where: Tensor | None, axis: Sequence[int]
) -> Tensor | None:
    """Return the gradient by the temperature, from the one by the scores."""
    if temperature is None or not temperature.requires_grad:
        return None
    possible = torch.isfinite(x) if where is None else torch.isfinite(x) & where
    terms = torch.where(possible, widened(gx) * torch.where(possible, widened(x), 0), 0)
    return (-terms.sum(dim=list(axis)) / _stepwise(temperature)).to(temperature.dtype)


def direction(
    x: Tensor,
    dx: Tensor | None,
    temperature: Tensor | None,
    dt: Tensor | None,
    where: Tensor | None,
    axis: Sequence[int],
) -> Tensor:
    """Return the direction of the scores that has the effect of directions of scores and temperature; 0 for an impossible class."""
    possible = torch.isfinite(x) if where is None else torch.isfinite(x) & where
    moved = torch.zeros_like(x) if dx is None else dx
    if dt is not None and temperature is not None:
        moved = moved - (torch.where(possible, x, 0) * per_row(dt / _stepwise(temperature), axis)).to(x.dtype)
    return torch.where(possible, moved, 0)


def sum_of_others(values: Tensor, axis: Sequence[int]) -> Tensor:
    """Return for each class the sum over all others, without that of the largest cancelling."""
    rows = Flat(values, axis)
    flat = rows.to(values)
    first = flat.abs().argmax(-1, keepdim=True)
    is_first = torch.zeros_like(flat, dtype=torch.bool).scatter(-1, first, True)
    rest = torch.where(is_first, 0, flat).sum(-1, keepdim=True)
    own = torch.where(is_first, flat, 0).sum(-1, keepdim=True)
    return rows.back(torch.where(is_first, rest, (rest - flat) + own))
