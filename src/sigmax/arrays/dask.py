"""
Dask: lazy, chunk by chunk.

Where the axis of the classes is cut into chunks, these are joined and the rows cut more finely instead, so that chunks stay as
large as they were: whole rows are what gives the same bits as in memory, however the array was cut, and all functions alike. (Partial
maxima and sums, merged, would not: their rounding depends on the cuts.)
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from sigmax.host.contract import axes_of
from sigmax.host.dtypes import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sigmax.family import Function

__all__ = ["call"]


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on a Dask array, or on each partition of a Dask frame."""
    x, *rest = args
    function = functools.partial(run, entry)  # on what a chunk or a partition is
    if not isinstance(x, da.Array) and hasattr(x, "map_partitions"):
        if entry.over_rows and x.ndim == 1:
            raise TypeError(f"{entry.name} of a Dask Series would need all of it at once; pass a frame, or an array")
        if entry.over_rows and axes_of(options.get("axis", -1), 2) != (1,):
            raise TypeError(
                f"{entry.name} of a Dask frame works row by row; for axis={options['axis']!r} pass "
                "frame.to_dask_array(lengths=True)"
            )
        if len(entry.places(options)) == 2:
            raise TypeError(
                f"{entry.name} returns a pair, which no Dask frame holds; pass frame.to_dask_array(lengths=True)"
            )
        return x.map_partitions(function, *rest, **options)
    if not any(isinstance(v, da.Array) for v in args):
        return NotImplemented
    options = {k: v for k, v in options.items() if v is not None}
    if "out" in options:
        raise TypeError("Dask arrays are not written to; leave out= away and take the result")
    if entry.kind == "elementwise":
        return da.map_blocks(function, x, **options, meta=_meta(function, x, **options))
    x = x if isinstance(x, da.Array) else da.asarray(x)
    if entry.kind == "two classes":
        labels = da.asarray(rest[0])
        x, labels = da.broadcast_arrays(x, labels)
        return _results(function, [(x, range(x.ndim)), (labels, range(x.ndim))], [range(x.ndim) for _ in entry.results])
    return _over_rows(entry, function, x, rest, dict(options))


def _meta(function: Callable[..., Any], x: da.Array, **options: Any) -> Any:
    return function(x._meta, **options)


def _over_rows(
    entry: Function, function: Callable[..., Any], x: da.Array, rest: list[Any], options: dict[str, Any]
) -> Any:
    single = x.ndim == 0
    x = x.reshape(1) if single else x
    axes = axes_of(options.pop("axis", -1), x.ndim)
    rows = [i for i in range(x.ndim) if i not in axes]
    _check_lengths(x, axes, rest, options)
    x = _whole_rows(x, axes, rows)
    row_chunks = tuple(x.chunks[i] for i in rows)
    row_shape = tuple(x.shape[i] for i in rows)
    operands: list[tuple[Any, Sequence[int]]] = [(x, range(x.ndim))]
    names: list[str | None] = []
    for v in rest:
        each = np.ndim(v) == x.ndim
        labels = da.asarray(v)
        if tuple(labels.shape) != (x.shape if each else row_shape):
            raise ValueError(f"labels have shape {labels.shape}; the rows have {row_shape}")
        operands.append((labels.rechunk(x.chunks if each else row_chunks), range(x.ndim) if each else rows))
        names.append(None)
    for name in ("where", "weights"):
        if name in options:
            value = da.asarray(options.pop(name))
            CONTRACT.beside(_outline(value), x.shape, name)
            operands.append((da.broadcast_to(value, x.shape).rechunk(x.chunks), range(x.ndim)))
            names.append(name)
    if np.ndim(options.get("temperature", 1.0)) > 0:
        value = da.asarray(options.pop("temperature"))
        CONTRACT.temperature(_outline(value), row_shape)
        operands.append((da.broadcast_to(value, row_shape).rechunk(row_chunks), rows))
        names.append("temperature")
    keepdims = options.pop("keepdims", False)
    block = functools.partial(_block, function, tuple(names), axes, options)
    made = _results(block, operands, [range(x.ndim) if p == "score" else rows for p in entry.places(options)])
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        made = tuple(m.reshape(shape) for m in made) if isinstance(made, tuple) else made.reshape(shape)
    return made.reshape(()) if single and entry.kind == "per class" else made


def _check_lengths(x: da.Array, axes: tuple[int, ...], rest: list[Any], options: Mapping[str, Any]) -> None:
    """Refuse rows or classes of an unknown number where it is needed, as it is to cut what goes with them alike."""
    unknown = [i for i, n in enumerate(x.shape) if math.isnan(n)]
    besides = ["labels"] if rest else []
    besides += [name for name in ("where", "weights") if name in options]
    besides += ["temperature"] if np.ndim(options.get("temperature", 1.0)) > 0 else []
    besides += ["keepdims"] if options.get("keepdims") else []
    if unknown and (besides or set(unknown) & set(axes)):
        what = f"{besides[0]} need" if besides else "the classes need"
        raise ValueError(
            f"the Dask array has an unknown length along axis {unknown[0]}, which {what}; call x.compute_chunk_sizes() first, "
            "or make it with frame.to_dask_array(lengths=True)"
        )


def _outline(x: da.Array) -> np.ndarray[Any, Any]:
    """Return an array of the shape and the type of a lazy one, and of no memory, to be checked in its place."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def _whole_rows(x: da.Array, axes: tuple[int, ...], rows: list[int]) -> da.Array:
    """Join the chunks along the axes of the classes, and cut the rows so that no chunk is larger than the largest was."""
    joined = math.prod(len(x.chunks[i]) for i in axes)
    if joined == 1:
        return x
    chunks: dict[int, Any] = dict.fromkeys(axes, -1)
    for i in rows:  # as much as can be had of the first axis, then the next
        largest = max(x.chunks[i], default=1)
        cut = min(joined, max(largest, 1))
        chunks[i] = max(largest // cut, 1)
        joined = math.ceil(joined / cut)
    return x.rechunk(chunks)


def _block(
    function: Callable[..., Any],
    names: tuple[str | None, ...],
    axes: tuple[int, ...],
    options: dict[str, Any],
    x: Any,
    *rest: Any,
) -> Any:
    labels = [v for v, name in zip(rest, names, strict=True) if name is None]
    more = {name: v for v, name in zip(rest, names, strict=True) if name is not None}
    return function(x, *labels, axis=axes, **more, **options)


def _results(block: Callable[..., Any], operands: list[tuple[Any, Any]], axes: Sequence[Sequence[int]]) -> Any:
    """Return one array, or one of several for each of `axes`, the axes of the scores that a result has."""
    if len(axes) == 1:
        return _run(block, operands, axes[0])
    return tuple(_run(functools.partial(_part, block, i), operands, out) for i, out in enumerate(axes))


def _run(block: Callable[..., Any], operands: list[tuple[Any, Any]], out: Sequence[int]) -> da.Array:
    flat = [part for v, index in operands for part in (v, tuple(index))]
    return da.blockwise(block, tuple(out), *flat, concatenate=True, meta=_tried(block, operands))


def _tried(block: Callable[..., Any], operands: list[tuple[Any, Any]]) -> Any:
    """Return what comes of arrays without elements, but for one class."""
    tiny = [
        np.ones((1,) * v.ndim, v.dtype) if v.dtype.kind != "i" else np.zeros((1,) * v.ndim, v.dtype)
        for v, _ in operands
    ]
    result = block(*tiny)
    return result if isinstance(result, tuple) else np.asarray(result)[(slice(0, 0),) * np.ndim(result)]


def _part(block: Callable[..., Any], i: int, *args: Any) -> Any:
    return block(*args)[i]
