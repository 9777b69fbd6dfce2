"""The straight way of a tensor that nobody watches to the core and back: two microseconds, where the dispatcher takes tens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sigmax.arrays.torch.define import (
    apply_of,
    are_transforms_active,
    forward_ad,
    forward_level,
    is_legacy_batched,
    is_tracing,
    modes_active,
    ops,
)
from sigmax.arrays.torch.memory import FLOATS, on_kernels
from sigmax.family import FAMILY, names_of
from sigmax.host.links import LINKS
from sigmax.host.table import core, direct, join_team, on_tensor, pull_on_tensors, set_exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["FOLLOWERS", "FORWARD_LEVEL", "are_plain_values", "is_straight", "other_tensors"]

join_team("libtorch_cpu")
# looked up once: a look costs a tenth of the call
_core = {name: direct(name) for name in names_of("elementwise", "per class", "per row")}
# the same from a tensor's memory to a tensor, where PyTorch offers that
set_exchange(getattr(torch.Tensor, "__dlpack_c_exchange_api__", None))
_array, _from_numpy, _is_compiling = np.ndarray, torch.from_numpy, torch.compiler.is_dynamo_compiling
# what the core asks before it works on a tensor; dynamo follows the Python around it, and takes the long way there: see compiling.py
FOLLOWERS = (are_transforms_active, modes_active, is_tracing)
FORWARD_LEVEL = (forward_ad.__dict__, "_current_level")


def is_straight() -> bool:
    """Return whether nobody follows what is done with tensors: no tracer, no transformation, no mode, no derivatives that go forward."""
    return not (_is_compiling() or are_transforms_active() or modes_active() or forward_level() >= 0 or is_tracing())


def are_plain_values(g: Tensor) -> bool:
    """Return whether a gradient may be worked on as numbers: nothing is derived from it in turn, and it is one by itself, as it lies in memory."""
    return not torch.is_grad_enabled() and is_straight() and not is_legacy_batched(g) and not g.is_neg()


def other_tensors(name: str, x: Tensor) -> Tensor | None:
    """Return a function of a tensor that nobody follows and whose memory the core does not take as it is; None for the long way."""
    if x.requires_grad:
        return _derived(name, x) if torch.is_grad_enabled() else _by_array(name, x.detach())
    return _on_gpu(name, x) if x.is_cuda else _by_array(name, x)


def _by_array(name: str, x: Tensor) -> Tensor | None:
    core = _core.get(name)
    try:
        y = None if core is None else core(x.numpy(), None)
    except (RuntimeError, TypeError):  # of another device or layout, or of a type that NumPy has not
        return None
    if type(y) is _array:
        return _from_numpy(y)
    return None if y is None else torch.tensor(y.item(), dtype=x.dtype)


def _derived(name: str, x: Tensor) -> Tensor | None:
    if name not in _pulled or not x.is_cpu or x.itemsize < 4:
        return None
    y = on_tensor(name, x)
    if y is None:
        y = _by_array(name, x.detach())
    if y is None:
        return None
    return _apply_straight(x, (y,), name)


def _on_gpu(name: str, x: Tensor) -> Tensor | None:
    fast = on_kernels(x)
    if fast is None or x.dtype not in FLOATS or (x.ndim == 0 and name not in fast.LINKS):
        return None
    found: Tensor
    if name in fast.LINKS:
        found = fast.link(name, x)
    elif name == "logsumexp":
        found = fast.logsumexp(x, None, [x.ndim - 1], x.dtype)
    else:
        found = fast.per_class(name, x, None, None, [x.ndim - 1], x.dtype)
    return found


class _Straight(torch.autograd.Function):
    """A function whose result is known already, and its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, known: tuple[Tensor], name: str) -> Tensor:
        ctx.save_for_backward(x)  # and not the result, which its reader may change
        ctx.name = name
        return known[0]  # an argument itself would come out as a view of it

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        if are_plain_values(g):
            if ctx.name not in LINKS:
                pulled = pull_on_tensors(f"{ctx.name}_pullback", x, g)
                if pulled is not None:
                    return pulled, None, None
            return _from_numpy(_pulled[ctx.name](x.detach().numpy(), g.numpy())), None, None
        with torch.enable_grad():  # the operator, which knows how it is derived in turn
            again = x.view_as(x)
            more = () if ctx.name in LINKS else (None, None, [x.ndim - 1], x.dtype)
            y = getattr(ops, ctx.name)(again, *more)
        return torch.autograd.grad(y, again, g, create_graph=torch.is_grad_enabled())[0], None, None


_apply_straight = apply_of(_Straight)


class _OnNumPy:
    """The functions as the slopes of the family are written with."""

    expm1 = staticmethod(np.expm1)

    def __getattr__(self, name: str) -> Any:
        return LINKS[name]


def _pull_link(name: str) -> Callable[[Any, Any], Any]:
    slope, functions = FAMILY[name].slope, _OnNumPy()

    def pull(x: Any, g: Any) -> Any:
        with np.errstate(all="ignore"):
            y = LINKS[name](x)
            return np.asarray(g * np.where(np.isnan(y), y, slope(functions, x)), x.dtype)

    return pull


def _pull_rows(name: str) -> Callable[[Any, Any], Any]:
    def pull(x: Any, g: Any) -> Any:
        found = np.empty_like(x)
        # one number for many scores, as a sum sends it back, would be gathered for each
        core(f"{name}_pullback", x.dtype)(x, g if 0 not in g.strides else np.ascontiguousarray(g), 1.0, out=(found,))
        return found

    return pull


_pulled = {
    **{name: _pull_link(name) for name in LINKS},
    **{name: _pull_rows(name) for name in ("softmax", "log_softmax")},
}
