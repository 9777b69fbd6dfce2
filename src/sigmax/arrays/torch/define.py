"""How an operator is made, so that autograd, torch.compile, vmap and meta tensors know it."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "apply_of",
    "are_transforms_active",
    "are_values_known",
    "define",
    "elementwise_vmap",
    "forward_ad",
    "forward_level",
    "in_front",
    "is_legacy_batched",
    "is_tracing",
    "may_be_derived",
    "modes_active",
    "ops",
    "remembered",
]

_library = torch.library.Library("sigmax", "DEF")
ops: Any = types.SimpleNamespace()  # the operators, as everything here calls them


def define(schema: str, run: Any, shape: Any, backward: Any = None, vmap: Any = None, forward_mode: Any = None) -> None:
    """
    Make an operator: what it does, what comes out, its derivatives, and how it takes one more axis.

    `backward` takes gradients by the results to gradients by the inputs; `forward_mode` takes inputs, results and directions of the
    inputs (None where one stands still) to directions of the results.
    """
    name = schema.partition("(")[0]
    vmap = vmap or functools.partial(_over_rows, name)
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"sigmax::{name}", shape, lib=_library)
    torch.library.register_vmap(f"sigmax::{name}", vmap, lib=_library)
    operator = getattr(torch.ops.sigmax, name).default
    if backward is None:
        setattr(ops, name, operator)
        return
    backward = _unless_unused(backward)
    torch.library.register_autograd(f"sigmax::{name}", backward, setup_context=_remember, lib=_library)

    def jvp(ctx: Any, *directions: Tensor | None) -> Any:
        values = remembered(ctx)
        return forward_mode(values[: ctx.inputs], values[ctx.inputs :], directions)

    parts = {"forward": operator, "setup_context": _remember, "backward": backward, "vmap": vmap, "jvp": jvp}
    mapped = type(name, (torch.autograd.Function,), {key: staticmethod(part) for key, part in parts.items()})

    def forward(ctx: Any, *args: Any) -> Any:
        output = run(*args)
        _remember(ctx, args, output)
        return output

    parts = {"forward": forward, "backward": backward, "jvp": jvp}
    direct = type(name, (torch.autograd.Function,), {key: staticmethod(part) for key, part in parts.items()})

    def apply(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return operator(*args)
        if are_transforms_active():  # they want a Function, but for the one that has no rule for it
            _refuse_forward_twice()
            return operator(*args) if _is_functionalized() else mapped.apply(*args)
        if _are_plain(args):  # past the dispatcher, which takes 50 us, where there is nobody that it would tell
            return direct.apply(*args)
        # the dispatcher knows of no derivative that goes forward, and would lose it without a word
        return operator(*args) if forward_level() < 0 else mapped.apply(*args)

    setattr(ops, name, apply)


# Private names of PyTorch. Without them a call takes the way that is right everywhere: by a Function that knows the transformations, through the
# dispatcher, whatever modes there are.
are_transforms_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
is_tracing = getattr(torch._C, "_is_tracing", lambda: True)  # by torch.jit
modes_active = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
forward_ad = torch.autograd.forward_ad
_FUNCTORCH = getattr(torch._C, "_functorch", None)
is_legacy_batched = getattr(_FUNCTORCH, "is_legacy_batchedtensor", lambda _: False)  # in gradients of several at once


def forward_level() -> int:
    """Return how many levels of derivatives that go forward are entered, less one."""
    return getattr(forward_ad, "_current_level", 0)


def apply_of(function: type[torch.autograd.Function]) -> Callable[..., Tensor]:
    """Return a Function's `apply` without its look at transformations, for whoever has looked: a fifth of what it takes."""
    found: Callable[..., Tensor] = getattr(super(torch.autograd.Function, function), "apply", function.apply)
    return found


def _is_functionalized() -> bool:
    kind = getattr(getattr(_FUNCTORCH, "TransformType", None), "Functionalize", None)
    top = getattr(_FUNCTORCH, "peek_interpreter_stack", lambda: None)()
    return kind is not None and top is not None and top.key() == kind


def _refuse_forward_twice() -> None:
    """Refuse a forward derivative of a forward one: PyTorch gives 0 for that of any autograd.Function, without a word."""
    kind = getattr(getattr(_FUNCTORCH, "TransformType", None), "Jvp", None)
    levels = getattr(_FUNCTORCH, "get_interpreter_stack", lambda: None)() or ()
    if kind is not None and sum(level.key() == kind for level in levels) > 1:
        raise NotImplementedError(
            "a forward derivative of a forward one would be 0 in PyTorch, whatever it is; take one of the two backwards, as torch.func.hessian does"
        )


def _are_plain(args: tuple[Any, ...]) -> bool:
    tensors = [v for v in args if isinstance(v, Tensor)]
    kinds = {type(v) for v in tensors}
    return (
        kinds <= {Tensor, torch.nn.Parameter}
        and all(v.device.type == "cpu" for v in tensors)
        and modes_active() == 0
        and not any(map(is_legacy_batched, tensors))
    )


def _unless_unused(backward: Any) -> Any:
    """Let a derivative be called only where there is a gradient to begin with."""

    def derivative(ctx: Any, *gradients: Tensor | None) -> Any:
        if all(g is None for g in gradients):
            return (None,) * ctx.inputs if ctx.inputs > 1 else None
        return backward(ctx, *gradients)

    return derivative


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what a derivative may want: all inputs and results."""
    outputs = output if isinstance(output, tuple) else (output,)
    tensors = [v for v in (*inputs, *outputs) if isinstance(v, Tensor)]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)  # a result that nobody used has no gradient, not zeros to work on
    ctx.inputs = len(inputs)
    ctx.rest = [None if isinstance(v, Tensor) else (v,) for v in (*inputs, *outputs)]


def remembered(ctx: Any) -> list[Any]:
    """Return all inputs and results of an operator to its derivative."""
    tensors = iter(ctx.saved_tensors)
    return [next(tensors) if v is None else v[0] for v in ctx.rest]


def in_front(info: Any, in_dims: Any, args: Any) -> list[Any]:
    """Return the arguments with the mapped axis of every tensor in front, made for those that have none."""
    return [
        v if not isinstance(v, Tensor) else v.movedim(d, 0) if d is not None else v.expand(info.batch_size, *v.shape)
        for v, d in zip(args, in_dims, strict=True)
    ]


def _over_rows(name: str, info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    """Run an operator over rows with the mapped axis in front of all others."""
    moved = in_front(info, in_dims, args)
    # the axes of the classes are one further back
    moved = [[i + 1 for i in v] if isinstance(v, list | tuple) else v for v in moved]
    result = getattr(ops, name)(*moved)
    return result, (0,) * len(result) if isinstance(result, tuple | list) else 0


def elementwise_vmap(name: str, info: Any, in_dims: Any, *args: Any) -> tuple[Any, Any]:
    """Run an operator on arrays of one shape, the mapped axis in front."""
    moved = in_front(info, in_dims, args)
    result = getattr(ops, name)(*moved)
    return result, (0,) * len(result) if isinstance(result, tuple | list) else 0


def may_be_derived(*tensors: Tensor | None) -> bool:
    """Return whether a derivative may be asked for: backward, forward, or by a transformation that wraps what it differentiates by."""
    given = [t for t in tensors if t is not None]
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return True
    if torch.compiler.is_compiling():
        return False
    if (
        are_transforms_active() or is_tracing()
    ):  # a tensor inside vmap does not tell, nor does one that stands for others
        return True
    return any(forward_ad.unpack_dual(t).tangent is not None for t in given)


def are_values_known() -> bool:
    """Return whether numbers can be looked at outside of an operator: not while compiling, nor in a transformation."""
    return not (torch.compiler.is_compiling() or are_transforms_active())
