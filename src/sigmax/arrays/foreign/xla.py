"""
The core inside of compiled JAX code: one primitive, which on a CPU calls the core and elsewhere is the formulas it was given.

On a CPU it is a call of a foreign function: the same bits as NumPy's arrays have, and no copy. Code that is exported, which may run where
nobody has imported sigmax, has the formulas too. Derivatives are the caller's: the primitive has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from sigmax.family import names_of
from sigmax.host.table import xla_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["call"]

Array = Any

_TARGET = "sigmax"
_primitive = Primitive("sigmax")
_primitive.multiple_results = True


def _register() -> bool:
    """Return whether this JAX takes the core: from 0.8 on it has all that is used here."""
    if not (hasattr(jax.lax, "pcast") and hasattr(mlir, "ir_attribute")):
        return False
    try:
        jax.ffi.register_ffi_target(_TARGET, xla_handler(), platform="cpu")
        jax.ffi.register_ffi_target_as_batch_partitionable(_TARGET)
    except (AttributeError, ValueError, RuntimeError):  # a JAX without these functions, or with another interface
        return False
    return True


_there = _register()
_ELEMENTWISE = {*names_of("elementwise"), *names_of("two classes")}


def call(
    function: str,
    takes: str,
    gives: str,
    *operands: Array,
    formulas: Callable[..., tuple[Array, ...]],
    dtype: Any,
    smoothing: float = 0.0,
) -> list[Array]:
    """
    Call a function of the core.

    Parameters
    ----------
    function : str
        Its name there.
    takes : str
        A letter for each operand: x, the scores; m, a mask; w, weights; l, labels; t, temperatures.
    gives : str
        A letter for each result: r, one number a row; s, one a score.
    *operands : array
        The scores, with the classes along the last axis, or any numbers; the others have the same rows. Labels have one number along it,
        and temperatures one or more, to be added up.
    formulas : callable
        The same in JAX's operations: ``formulas(*operands, function=, takes=, dtype=, smoothing=)``.
    dtype : dtype
        Of the results.
    smoothing : float
        Of labels.

    Returns
    -------
    list of array
    """
    if not _there:
        return list(formulas(*operands, function=function, takes=takes, dtype=dtype, smoothing=smoothing))
    alone = function in _ELEMENTWISE  # numbers, each a row of its own
    found: list[Array] = _primitive.bind(
        *_varying_alike([x[..., None] if alone else x for x in operands]),
        function=function,
        takes=takes,
        gives=gives,
        formulas=formulas,
        dtype=jnp.dtype(dtype),
        smoothing=float(smoothing),
    )
    return [y[..., 0] for y in found] if alone else found


def _varying_alike(operands: Sequence[Array]) -> Sequence[Array]:
    """Inside of `jax.shard_map`, say of each operand that it differs from device to device if one does."""
    axes = [_varying(jax.typeof(x)) for x in operands]
    whole: frozenset[Any] = frozenset().union(*axes)
    if all(a == whole for a in axes):
        return operands
    return [
        jax.lax.pcast(x, tuple(whole - a), to="varying") if a != whole else x
        for x, a in zip(operands, axes, strict=True)
    ]


def _varying(aval: Any) -> frozenset[Any]:
    kind = getattr(aval, "mat", None)
    return frozenset(getattr(aval if kind is None else kind, "vma" if kind is None else "varying", ()))


@_primitive.def_abstract_eval
def _shapes(x: Any, *_others: Any, gives: str, dtype: Any, **_rest: Any) -> list[Any]:
    row = {"shape": (*x.shape[:-1], 1)}
    sharding = getattr(x, "sharding", None)
    if x.shape and getattr(sharding, "spec", None):  # along the classes a result a row is whole
        row["sharding"] = sharding.update(spec=jax.sharding.PartitionSpec(*sharding.spec[: len(x.shape) - 1], None))
    return [x.update(dtype=dtype, weak_type=False, **(row if letter == "r" else {})) for letter in gives]


@_primitive.def_impl
def _now(*operands: Array, gives: str, formulas: Callable[..., Any], **rest: Any) -> Sequence[Array]:
    """Without jit."""
    if any(device.platform != "cpu" for x in operands for device in x.devices()):
        return list(formulas(*operands, **rest))
    shapes = _shapes(*(jax.typeof(x) for x in operands), gives=gives, **rest)
    results = [jax.ShapeDtypeStruct(s.shape, s.dtype) for s in shapes]
    attributes = {name: value for name, value in rest.items() if name != "dtype"}
    found: Sequence[Array] = jax.ffi.ffi_call(_TARGET, results)(*operands, **attributes)
    return found


def _batched(operands: Sequence[Array], axes: Sequence[int | None], **rest: Any) -> tuple[list[Array], list[int]]:
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    moved = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    ]
    found = _primitive.bind(*moved, **rest)
    return found, [0] * len(found)


batching.primitive_batchers[_primitive] = _batched


def _lower_formulas(ctx: Any, *operands: Any, gives: str, formulas: Callable[..., Any], **rest: Any) -> Any:
    return mlir.lower_fun(lambda *x: formulas(*x, **rest), multiple_results=True)(ctx, *operands)


def _lower_on_cpu(ctx: Any, *operands: Any, function: str, takes: str, smoothing: float, **rest: Any) -> Any:
    if getattr(ctx.module_context.lowering_parameters, "for_export", False):
        return _lower_formulas(ctx, *operands, function=function, takes=takes, smoothing=smoothing, **rest)
    rule = jax.ffi.ffi_lowering(_TARGET, extra_attributes=_shared_out(ctx))
    return rule(ctx, *operands, function=function, takes=takes, smoothing=smoothing)


_FACTORS = "ijklmnopqrstuvwxyz"


def _shared_out(ctx: Any) -> dict[str, Any]:
    """Return what tells XLA, for either of its ways to share out work, that devices may have rows each, and need those as a whole."""
    axes = len(ctx.avals_in[0].shape) - 1
    said = {"mhlo.frontend_attributes": mlir.ir_attribute({"num_batch_dims": str(axes)})}
    if axes < len(_FACTORS) - 2 and jax.config.jax_use_shardy_partitioner:
        said["sdy.sharding_rule"] = mlir.ir.Attribute.parse(_sharding_rule(ctx.avals_in, ctx.avals_out))
    return said


def _sharding_rule(operands: Sequence[Any], results: Sequence[Any]) -> str:
    """Return it for Shardy: a factor for each axis of the rows, and one for each length that there is along the last axis."""
    *rows, _ = operands[0].shape
    lasts = list(dict.fromkeys(a.shape[-1] for a in (*operands, *results)))
    factors = dict(zip(_FACTORS, (*rows, *lasts), strict=False))
    shared, whole = list(factors)[: len(rows)], dict(zip(lasts, list(factors)[len(rows) :], strict=True))

    def named(arrays: Sequence[Any]) -> str:
        return ", ".join("[" + ", ".join([*shared, whole[a.shape[-1]]]) + "]" for a in arrays)

    sizes = ", ".join(f"{name}={length}" for name, length in factors.items())
    needed = ", ".join(whole.values())
    return f"#sdy.op_sharding_rule<({named(operands)})->({named(results)}) {{{sizes}}} need_replication={{{needed}}}, custom>"


mlir.register_lowering(_primitive, _lower_formulas)
mlir.register_lowering(_primitive, _lower_on_cpu, platform="cpu")
