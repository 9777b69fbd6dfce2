"""
Polars: nulls stay nulls, expressions stay lazy.

A Series of numbers is one row of scores; one of lists, arrays or structs has a row in each of its values; a DataFrame has a row in
each row, its columns being the classes. An expression is whatever its column will be: ``sigmax.softmax(pl.col("score")).over("query")``
shares out each query's candidates, ``sigmax.softmax(pl.struct("a", "b")).struct.unnest()`` each row's classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sigmax.arrays.columns import pyarrow as arrow
from sigmax.arrays.columns.nulls import Column, columns_as_matrix, in_order_of, is_frame
from sigmax.arrays.columns.nulls import call as call_on_column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["as_column", "call", "from_column"]


def as_column(x: pl.Series, what: str = "scores") -> Column:
    """Return a Series as a column."""
    if x.dtype == pl.Null:
        return Column(np.zeros(len(x)), np.zeros(len(x), bool))
    if x.dtype.is_decimal() or x.dtype == pl.Boolean:
        x = x.cast(pl.Float64)
    if not x.dtype.is_numeric():
        raise TypeError(f"{what} of type {x.dtype} are not supported; pass integers, floats or decimals")
    if not x.null_count():
        return Column(x.to_numpy())
    return Column(x.fill_null(0).to_numpy(), x.is_not_null().to_numpy())


def _as_series(name: str, r: Column) -> pl.Series:
    made = pl.Series(name, np.ascontiguousarray(r.values))
    if r.valid is None:
        return made
    return pl.select(pl.when(pl.lit(pl.Series(r.valid))).then(pl.lit(made)).alias(name)).to_series()


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on a Series, frame or expression."""
    return _lazily(entry, args, options) if isinstance(args[0], pl.Expr) else _now(entry, args, options)


def _now(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    x, *rest = args
    of_rows = next((v for v in (*rest, *options.values()) if isinstance(v, pl.Expr)), None)
    if of_rows is not None:
        raise TypeError(
            f"{of_rows} is an expression and the scores are a {type(x).__name__}; pass both as expressions, or columns"
        )
    if isinstance(x, pl.LazyFrame):
        return x.map_batches(
            lambda frame: _as_frame(_now(entry, (frame, *rest), options)),
            schema=_schema_of(entry, x, rest, options),
        )
    if isinstance(x, pl.DataFrame):
        results = _on_frame(entry, x, *_beside(x.columns, rest, options))
    elif not isinstance(x, pl.Series):
        return NotImplemented
    elif x.dtype == pl.Struct:
        frame = x.struct.unnest()
        frames = _on_frame(entry, frame, *_beside(frame.columns, rest, options))
        results = [r.to_struct(x.name) if isinstance(r, pl.DataFrame) else r.alias(x.name) for r in frames]
    elif x.dtype in (pl.List, pl.Array):
        made = arrow.on_arrow(entry, (x.to_arrow(), *_labels(rest)), options)
        results = [pl.Series(x.name, r) for r in (made if isinstance(made, tuple) else (made,))]
        if x.dtype == pl.Array:
            results = [r.cast(pl.Array(r.dtype.inner, x.dtype.size)) if r.dtype == pl.List else r for r in results]
    else:
        results = [from_column(r, x) for r in call_on_column(entry, as_column(x), tuple(_labels(rest)), options)]
    return results[0] if len(results) == 1 else tuple(results)


def _beside(names: list[str], rest: list[Any], options: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return labels and options with the columns of each frame in the order of the scores."""

    def ordered(value: Any, what: str) -> Any:
        frame = value.struct.unnest() if isinstance(value, pl.Series) and value.dtype == pl.Struct else value
        return in_order_of(names, frame, what) if is_frame(frame) else value

    found = [ordered(v, "labels") for v in rest]
    labels = [
        columns_as_matrix(map(_label_column, v.get_columns())) if isinstance(v, pl.DataFrame) else v for v in found
    ]
    chosen = {k: ordered(v, k) for k, v in options.items()}
    return _labels(labels), {k: np.asarray(v) if is_frame(v) else v for k, v in chosen.items()}


def _label_column(column: pl.Series) -> Column:
    return as_column(column, "labels")


def _labels(values: list[Any]) -> list[Any]:
    return [as_column(v, "labels") if isinstance(v, pl.Series) else v for v in values]


def from_column(r: Column, x: pl.Series) -> Any:
    """Return results of the kind of `x`; one number as a scalar."""
    if r.values.ndim == 0:
        return None if r.valid is not None and not r.valid else r.values[()]
    return _as_series(x.name, r)


def _on_frame(entry: Function, x: pl.DataFrame, rest: list[Any], options: Mapping[str, Any]) -> list[Any]:
    matrix = columns_as_matrix(as_column(c, f"scores in column '{c.name}'") for c in x.get_columns())
    made: list[Any] = []
    for r in call_on_column(entry, matrix, tuple(rest), options):
        if r.values.shape == matrix.values.shape:
            parts = (Column(r.values[:, i], None if r.valid is None else r.valid[:, i]) for i in range(len(x.columns)))
            made.append(pl.DataFrame([_as_series(name, part) for name, part in zip(x.columns, parts, strict=True)]))
        else:
            made.append(_as_series(entry.name, r) if r.values.ndim == 1 else r.values)
    return made


def _as_frame(result: Any) -> pl.DataFrame:
    """Return a result as the frame that a lazy one has to be."""
    if isinstance(result, pl.DataFrame):
        return result
    if not isinstance(result, pl.Series):
        raise TypeError(
            f"the result is a {type(result).__name__}, and no column: collect the lazy frame first, or take one result a row"
        )
    return result.to_frame()


def _schema_of(entry: Function, x: pl.LazyFrame, rest: list[Any], options: Mapping[str, Any]) -> Any:
    """Return the columns that will come, found by trying it on a frame of one row."""
    one = pl.DataFrame([pl.Series(n, [None], kind) for n, kind in x.collect_schema().items()])
    first = [v[:1] if isinstance(v, pl.Series | pl.DataFrame | np.ndarray | list) else v for v in rest]
    few = {k: v[:1] if isinstance(v, pl.Series | pl.DataFrame) else v for k, v in options.items()}
    return _as_frame(_now(entry, (one, *first), few)).schema


def _lazily(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any]) -> pl.Expr:
    given = [*args, *options.values()]
    expressions = [v for v in given if isinstance(v, pl.Expr)]
    elementwise = entry.kind == "elementwise"

    def run(columns: list[pl.Series]) -> Any:
        found = iter(columns)
        values = [next(found) if isinstance(v, pl.Expr) else v for v in given]
        result = _now(entry, tuple(values[: len(args)]), dict(zip(options, values[len(args) :], strict=True)))
        if isinstance(result, tuple):
            return pl.DataFrame(
                [
                    r.alias(f"field_{i}") if isinstance(r, pl.Series) else pl.Series(f"field_{i}", r)
                    for i, r in enumerate(result)
                ]
            ).to_struct()
        return result if isinstance(result, pl.Series) else pl.Series([result])

    one = entry.kind == "per row"
    if len(expressions) == 1:
        return expressions[0].map_batches(
            lambda s: run([s]), is_elementwise=elementwise, returns_scalar=False if elementwise else one
        )
    return pl.map_batches(expressions, run, is_elementwise=elementwise)
