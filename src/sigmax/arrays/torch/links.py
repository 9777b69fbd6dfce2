"""The elementwise functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sigmax.arrays.torch import memory
from sigmax.arrays.torch.arguments import CONTRACT, as_floats, into
from sigmax.arrays.torch.define import define, ops, remembered
from sigmax.arrays.torch.memory import as_array, as_tensor, formulas, widened
from sigmax.family import FAMILY, names_of
from sigmax.host.links import LINKS

__all__ = ["link", "slope"]


class _Differentiable:
    """The functions as the slopes of the family are written with: differentiable in turn."""

    expm1 = staticmethod(torch.expm1)

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


def slope(name: str, x: Tensor) -> Tensor:
    """Return the derivative of an elementwise function inside its domain."""
    found: Tensor = FAMILY[name].slope(_Differentiable(), x)
    return found


def _define_link(name: str) -> None:
    function = LINKS[name]

    def run(x: Tensor) -> Tensor:
        if memory.is_native(x):
            with np.errstate(all="ignore"):
                return as_tensor(function(as_array(x)))
        fast = memory.on_kernels(x)
        if fast is not None:
            found: Tensor = fast.link(name, x)
            return found
        return getattr(formulas(), name)(widened(x)).to(x.dtype)

    def moved(x: Tensor, y: Tensor, by: Tensor) -> Tensor:
        return (widened(by) * torch.where(torch.isnan(y), y, slope(name, widened(x)))).to(x.dtype)

    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, y = remembered(ctx)
        return moved(x, y, g)

    def vmap(_info: Any, in_dims: Any, x: Tensor) -> tuple[Tensor, int]:
        return getattr(ops, name)(x), in_dims[0]

    def forward_mode(inputs: list[Any], results: list[Any], directions: Any) -> Tensor:
        return moved(inputs[0], results[0], directions[0])

    define(f"{name}(Tensor x) -> Tensor", run, torch.empty_like, backward, vmap, forward_mode)


for _name in names_of("elementwise"):
    _define_link(_name)


def link(name: str, x: Any, out: Any = None, *, dtype: Any = None, where: Any = True, **more: Any) -> Tensor:
    """Return an elementwise function of whatever becomes a tensor."""
    if where is not True:
        raise TypeError("where= of an elementwise function is for NumPy arrays; use torch.where on the result")
    for option in more:
        raise TypeError(f"{option}= of {name} is for NumPy arrays; pass out or dtype")
    x = as_floats(x)
    if dtype is not None:
        x = x.to(CONTRACT.result_dtype(x, dtype))
    return into(out[0] if isinstance(out, tuple) else out, getattr(ops, name)(x))
