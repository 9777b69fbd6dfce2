"""
pyarrow: arrays, lists and tables; nulls stay nulls.

An array is one row of scores; an array of lists has a row in each list; a table or record batch has a row in each row, its columns
being the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.arrays.columns.nulls import Column, columns_as_matrix, in_order_of, is_frame, per_list
from sigmax.arrays.columns.nulls import call as call_on_column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["as_array", "as_column", "call", "from_column", "on_arrow"]


def as_column(x: pa.Array | pa.ChunkedArray, what: str = "scores") -> Column:
    """Return an array of numbers as a column."""
    kind = x.type
    if pa.types.is_null(kind):
        return Column(np.zeros(len(x)), np.zeros(len(x), bool))
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        x = pc.cast(x, pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"{what} of type {kind} are not supported; pass integers, floats or decimals")
    if isinstance(x, pa.ChunkedArray):
        x = x.combine_chunks()
        x = pa.concat_arrays(x.chunks) if isinstance(x, pa.ChunkedArray) else x
    if x.null_count == 0:
        return Column(x.to_numpy(zero_copy_only=False))
    zero = pa.scalar(0, x.type) if not pa.types.is_float16(x.type) else pa.scalar(np.float16(0), x.type)
    return Column(pc.fill_null(x, zero).to_numpy(zero_copy_only=False), x.is_valid().to_numpy(zero_copy_only=False))


def as_array(column: Column) -> pa.Array:
    """Return a column as an array with nulls."""
    return pa.array(np.ascontiguousarray(column.values), mask=column.missing)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on an array or a table."""
    return on_arrow(entry, args, options)


def on_arrow(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Call a function on an array or a table; for whoever has his data from Arrow."""
    x, *rest = args
    if isinstance(x, pa.Table | pa.RecordBatch):
        rest = [_as_matrix(in_order_of(x.schema.names, v, "labels")) if is_frame(v) else v for v in rest]
        options = {k: _as_array(in_order_of(x.schema.names, v, k)) if is_frame(v) else v for k, v in options.items()}
    rest = [as_column(v, "labels") if isinstance(v, pa.Array | pa.ChunkedArray) else v for v in rest]
    if isinstance(x, pa.Table | pa.RecordBatch):
        return _on_table(entry, x, tuple(rest), options)
    if not isinstance(x, pa.Array | pa.ChunkedArray):
        return NotImplemented
    if _is_list(x.type):
        return _on_lists(entry, x, tuple(rest), options)
    results = [from_column(r, x) for r in call_on_column(entry, as_column(x), tuple(rest), options)]
    return results[0] if len(results) == 1 else tuple(results)


def from_column(r: Column, x: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | pa.Scalar:
    """Return results of the kind of `x`; one number as a scalar."""
    if r.values.ndim == 0:
        there = r.valid is None or bool(r.valid)
        return pa.scalar(r.values[()] if there else None, pa.from_numpy_dtype(r.values.dtype))
    return pa.chunked_array([as_array(r)]) if isinstance(x, pa.ChunkedArray) else as_array(r)


def _as_array(table: Any) -> Any:
    return (
        np.stack([np.asarray(c) for c in table.columns], axis=1)
        if isinstance(table, pa.Table | pa.RecordBatch)
        else np.asarray(table)
    )


def _as_matrix(table: Any) -> Any:
    """Return a table of labels as a matrix, with what is missing in it."""
    if not isinstance(table, pa.Table | pa.RecordBatch):
        return np.asarray(table)
    return columns_as_matrix(as_column(c, "labels") for c in table.columns)


def _on_table(
    entry: Function, table: pa.Table | pa.RecordBatch, args: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    matrix = columns_as_matrix(
        as_column(table.column(i), f"scores in column '{n}'") for i, n in enumerate(table.schema.names)
    )
    made = []
    for r in call_on_column(entry, matrix, args, options):
        if r.values.shape != matrix.values.shape:
            made.append(as_array(r) if r.values.ndim == 1 else r.values)
            continue
        columns = [
            as_array(Column(r.values[:, i], None if r.valid is None else r.valid[:, i]))
            for i in range(r.values.shape[1])
        ]
        fields = [f.with_type(c.type).with_nullable(True) for f, c in zip(table.schema, columns, strict=True)]
        made.append(type(table).from_arrays(columns, schema=pa.schema(fields, _metadata_of(table.schema))))
    return made[0] if len(made) == 1 else tuple(made)


def _metadata_of(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return what a schema says beside its columns, but for pandas' account of their types, which are others now."""
    return {k: v for k, v in (schema.metadata or {}).items() if k != b"pandas"}


def _on_lists(entry: Function, x: pa.Array | pa.ChunkedArray, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if args:
        raise TypeError(f"{entry.name} does not take lists of scores; make a table or a matrix of them")
    if isinstance(x, pa.ChunkedArray):
        parts = [_on_lists(entry, part, args, options) for part in x.chunks] or [
            _on_lists(entry, pa.array([], x.type), args, options)
        ]
        return pa.chunked_array(parts)
    if pa.types.is_fixed_size_list(x.type):
        size = x.type.list_size
        values = x.values.slice(x.offset * size, len(x) * size)
        starts = np.arange(len(x), dtype=np.int64) * size
        lengths = np.full(len(x), size, np.int64)
    else:
        offsets = np.asarray(x.offsets, np.int64)
        values, starts, lengths = x.values, offsets[:-1], np.diff(offsets)
    there = x.is_valid().to_numpy(zero_copy_only=False) if x.null_count else None
    column = as_column(values)
    if entry.kind == "elementwise":
        results = [(r, True) for r in call_on_column(entry, column, (), options)]
    else:
        results = per_list(entry, column, starts, lengths, options)
    made = [_lists_of(as_array(r), x, there) if per_score else _with_nulls(r, there) for r, per_score in results]
    if options.get("keepdims"):
        made = [r if per_score else _lists_of_one(r) for r, (_, per_score) in zip(made, results, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


def _lists_of(values: pa.Array, x: pa.Array, there: np.ndarray[Any, Any] | None) -> pa.Array:
    mask = None if there is None else pa.array(~there)
    if pa.types.is_fixed_size_list(x.type):
        return pa.FixedSizeListArray.from_arrays(values, x.type.list_size, mask=mask)
    kind = pa.LargeListArray if pa.types.is_large_list(x.type) else pa.ListArray
    offsets = x.offsets if x.offset == 0 else pa.array(np.asarray(x.offsets), x.offsets.type)
    return kind.from_arrays(offsets, values, mask=mask)


def _lists_of_one(values: pa.Array) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(values, 1)


def _with_nulls(r: Column, there: np.ndarray[Any, Any] | None) -> pa.Array:
    if there is None:
        return as_array(r)
    return as_array(Column(r.values, there if r.valid is None else r.valid & there))
