"""The memory of tensors: as NumPy's arrays for the core, as rows for the formulas of other devices."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from sigmax.arrays.foreign.formulas import Formulas
from sigmax.host.table import ScoreTable, check_temperature, meet_team

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "FLOATS",
    "HALVES",
    "Flat",
    "as_array",
    "as_tensor",
    "check_heat",
    "formulas",
    "is_native",
    "on_kernels",
    "per_row",
    "row_shape",
    "scale_of",
    "table_of",
    "widened",
]

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HALVES = {torch.float16, torch.bfloat16}


def as_array(x: Tensor) -> np.ndarray[Any, Any]:
    """Return the memory of a CPU tensor as an array."""
    meet_team()
    x = x.detach().resolve_neg()
    if x.dtype == torch.bfloat16:
        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def as_tensor(x: Any) -> Tensor:
    """Return an array's memory as a CPU tensor."""
    x = np.asarray(x)
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def is_native(x: Tensor) -> bool:
    """Return whether the core can work on the memory of `x`."""
    return x.device.type == "cpu"


@functools.cache
def formulas() -> Formulas:
    """Return the formulas in PyTorch's operations."""
    try:
        from array_api_compat import torch as xp
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "tensors that are not on the CPU need 'array-api-compat'; install it with: pip install 'sigmax[arrays]'",
            name="array_api_compat",
        ) from None
    return Formulas(xp)


@functools.cache
def kernels() -> Any:
    """Return the kernels for GPUs, or None without Triton, which PyTorch for GPUs comes with: then the formulas do the work."""
    try:
        from sigmax.arrays.torch import kernels as found
    except ModuleNotFoundError:
        return None
    return found


def on_kernels(x: Tensor) -> Any:
    """Return the kernels if they work on the memory of `x`, else None."""
    return kernels() if x.device.type == "cuda" and x.numel() else None


def check_heat(temperature: Tensor | None) -> None:
    """Refuse temperatures below 0 and NaN, of which one is brought to the host only if there is any."""
    if temperature is not None and bool((~(temperature >= 0)).any()):
        scale_of(temperature.detach().cpu())


def widened(x: Tensor) -> Tensor:
    """Return 16-bit floats as float32, in which they are worked on; others as they are."""
    return x.float() if x.dtype in HALVES else x


def row_shape(x: Tensor, axes: Sequence[int]) -> list[int]:
    """Return the lengths of the axes that are not the classes'."""
    return [n for i, n in enumerate(x.shape) if i not in axes]


def per_row(value: Tensor, axes: Sequence[int]) -> Tensor:
    """Give one number a row back the axes of the classes, of length 1."""
    for i in sorted(axes):
        value = value.unsqueeze(i)
    return value


class Flat:
    """Rows for the formulas: the classes in one axis, the last."""

    def __init__(self, x: Tensor, axes: Sequence[int]) -> None:
        self.order = [i for i in range(x.ndim) if i not in axes] + list(axes)
        self.shape = [x.shape[i] for i in self.order]
        self.rows = self.shape[: x.ndim - len(axes)]

    def to(self, x: Tensor | None) -> Tensor | None:
        return None if x is None else x.permute(self.order).reshape(*self.rows, -1)

    def back(self, y: Tensor) -> Tensor:
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return y.reshape(self.shape).permute(inverse)

    def row(self, x: Tensor, temperature: Tensor | None, where: Tensor | None) -> Any:
        check_heat(temperature)
        t = None if temperature is None else temperature[..., None]
        return formulas().row(self.to(widened(x)), t, self.to(where))


def table_of(x: Tensor, where: Tensor | None, axis: Sequence[int], dtype: torch.dtype | None = None) -> ScoreTable:
    """Return scores as a table on the tensor's own memory."""
    out = None if dtype is None else as_array(torch.empty(0, dtype=dtype)).dtype
    return ScoreTable(as_array(x), tuple(axis), None if where is None else as_array(where), out)


def scale_of(temperature: Tensor | None) -> Any:
    """Return the temperature as the core takes it. Values are looked at in the operators, where they are known."""
    return 1.0 if temperature is None else check_temperature(as_array(temperature.double()), tuple(temperature.shape))
