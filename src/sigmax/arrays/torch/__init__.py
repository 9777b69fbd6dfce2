"""
PyTorch: every function is an operator of its own, ``torch.ops.sigmax...``, so that autograd, torch.compile, vmap and meta tensors know it.

On the CPU an operator hands the tensor's own memory to the core; on any other device it uses torch's operations in the formulas of
:mod:`sigmax.arrays.foreign.formulas`. Derivatives are written with the operators again, which makes them differentiable in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sigmax.arrays.torch.calls import FUNCTIONS
from sigmax.arrays.torch.compiling import tell_dynamo, traceable
from sigmax.arrays.torch.straight import FOLLOWERS, FORWARD_LEVEL, other_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["STRAIGHT", "TYPES", "call"]

# known from the start, so that torch.compile, which cannot follow an import, finds this adapter at the first call
TYPES = (torch.Tensor, torch.nn.Parameter)
STRAIGHT = (torch.Tensor, FOLLOWERS, *FORWARD_LEVEL, other_tensors)


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on tensors; where a module is traced by torch.fx, write the call down."""
    traced = next((v for v in args if type(v).__module__ == "torch.fx.proxy"), None)
    if traced is not None:
        return traced.tracer.create_proxy("call_function", traceable(entry.name), args, dict(options))
    return FUNCTIONS[entry.name](*args, **options)


tell_dynamo()
