"""What the user gives, checked, as the operators take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from sigmax.arrays.torch.memory import FLOATS, row_shape
from sigmax.host.contract import Contract, axes_of
from sigmax.host.table import check_temperature

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CONTRACT", "Arguments", "as_floats", "check_probabilities", "into"]


class _OnTorch:
    """PyTorch's answers to what the contract asks."""

    def kind(self, x: Tensor) -> Literal["float", "integer", "bool", "other"]:
        if x.dtype in FLOATS:
            return "float"
        if x.dtype == torch.bool:
            return "bool"
        return "other" if x.dtype.is_floating_point or x.dtype.is_complex else "integer"

    def as_float(self, x: Tensor) -> Tensor:
        return x.double()

    def dtype(self, asked: Any) -> torch.dtype | None:
        found = asked if isinstance(asked, torch.dtype) else getattr(torch, np.dtype(asked).name, None)
        return found if found in FLOATS else None

    def spread(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        try:
            return x.expand(tuple(shape))
        except RuntimeError as wrong:
            raise ValueError(str(wrong)) from None

    def first(self, bad: Tensor) -> int | None:
        if bad.is_meta or not bad.any():
            return None
        return int(bad.reshape(-1).to(torch.uint8).argmax())

    def number(self, x: Tensor, i: int) -> Any:
        return x.reshape(-1)[i].item()

    def isinf(self, x: Tensor) -> Tensor:
        return torch.isinf(x)


CONTRACT = Contract(_OnTorch())


def as_floats(x: Any, what: str = "scores", like: Tensor | None = None) -> Tensor:
    """Return a tensor of floats, where `like` is."""
    found: Tensor = CONTRACT.floats(torch.as_tensor(x, device=None if like is None else like.device), what)
    return found


def into(out: Any, result: Tensor) -> Tensor:
    """Return a result, written to `out` if there is one."""
    if out is None:
        return result
    if not isinstance(out, Tensor):
        raise TypeError(f"out is a {type(out).__name__}; pass a tensor")
    CONTRACT.out(out, result.shape, result.dtype)
    return out.copy_(result)


def check_probabilities(y: Tensor, axis: Sequence[int] = ()) -> None:
    """Refuse labels that are no probabilities; where the classes have axes, those that do not sum to 1."""
    CONTRACT.probabilities(y)
    if axis and y.numel():
        CONTRACT.sums(y.sum(dim=list(axis), dtype=torch.float64))


class Arguments:
    """Scores and what belongs to them, checked but for the values, which are known in the operators alone."""

    def __init__(self, x: Any, axis: Any, temperature: Any, where: Any, dtype: Any) -> None:
        self.single = torch.as_tensor(x).ndim == 0
        self.x = torch.atleast_1d(as_floats(x))
        self.axis = axes_of(axis, self.x.ndim)
        self.dtype = CONTRACT.result_dtype(self.x, dtype)
        self.where = None if where is None else self.beside(self._mask(where), "where")
        self.temperature = self._temperature(temperature)

    def beside(self, value: Tensor, what: str) -> Tensor:
        """Return what goes with the scores in their shape."""
        spread: Tensor = CONTRACT.beside(value, self.x.shape, what)
        return spread

    def _mask(self, where: Any) -> Tensor:
        mask: Tensor = CONTRACT.mask(torch.as_tensor(where, device=self.x.device))
        return mask

    def _temperature(self, temperature: Any) -> Tensor | None:
        if isinstance(temperature, float | int) and temperature == 1:
            return None
        rows = tuple(row_shape(self.x, self.axis))
        if (
            isinstance(temperature, float | int) and temperature >= 0
        ):  # without NumPy, which torch.compile does not follow
            return torch.full((), float(temperature), dtype=torch.float64, device=self.x.device).expand(rows)
        if not isinstance(temperature, Tensor):
            checked = check_temperature(temperature, rows)
            return torch.as_tensor(checked, dtype=torch.float64, device=self.x.device).expand(rows)
        spread: Tensor = CONTRACT.temperature(temperature, rows)
        return spread.to(torch.promote_types(temperature.dtype, torch.float32))

    def result(self, y: Tensor) -> Tensor:
        """Return a result of one number for each score in the shape that the user's scores had."""
        return y[0] if self.single else y
