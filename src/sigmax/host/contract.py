"""
The one check of the contract: what each argument must be, and what is said where it is not.

It is written on the few operations that a library's arrays have in common, so that NumPy's arrays, tensors and those of the array API
standard are held to the same rules in the same words.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

__all__ = ["LEEWAY", "Axis", "Contract", "Operations", "axes_of", "check_smoothing"]

Array = Any
Axis = int | Sequence[int]
Shape = Sequence[int]

ACCEPTED = "bool, integers, float16, bfloat16, float32 or float64"
FLOATS = "float16, bfloat16, float32 or float64"
LEEWAY = 0.01  # by which rounded probabilities may miss 1 together


class Operations(Protocol):
    """What is asked of a library's arrays."""

    def kind(self, x: Array) -> Literal["float", "integer", "bool", "other"]:
        """Return what an array holds; "float" is one of the four types that the functions take."""

    def as_float(self, x: Array) -> Array:
        """Return integers and bool in the widest float."""

    def dtype(self, asked: Any) -> Any:
        """Return the type that the user asked for as the library knows it; None if it is not one of the four."""

    def spread(self, x: Array, shape: Shape) -> Array:
        """Return an array broadcast to a shape; raise a ValueError where it does not fit."""

    def first(self, bad: Array) -> int | None:
        """Return the number of the first True; None if there is none, or the values are not known."""

    def number(self, x: Array, i: int) -> Any:
        """Return the i-th number of an array."""

    def isinf(self, x: Array) -> Array:
        """Return which numbers are infinite."""


@dataclass(frozen=True)
class Contract:
    """The check, on the arrays of one library."""

    on: Operations

    def floats(self, x: Array, what: str = "scores") -> Array:
        """Return floats as they are, integers and bool as the widest float; refuse anything else."""
        kind = self.on.kind(x)
        if kind == "float":
            return x
        if kind == "other":
            raise TypeError(f"{what} of dtype {x.dtype} are not supported; pass {ACCEPTED}")
        return self.on.as_float(x)

    def result_dtype(self, x: Array, asked: Any) -> Any:
        """Return the type of the result: the scores', or what was asked for."""
        if asked is None:
            return x.dtype
        dtype = self.on.dtype(asked)
        if dtype is None:
            raise TypeError(f"dtype={asked} cannot hold probabilities; pass {FLOATS}")
        return dtype

    def mask(self, where: Array) -> Array:
        """Return a mask; refuse what is none."""
        if self.on.kind(where) != "bool":
            raise TypeError(f"where has dtype {where.dtype}; pass booleans, True for a class that is possible")
        return where

    def beside(self, value: Array, shape: Shape, what: str) -> Array:
        """Return what goes with the scores in their shape."""
        try:
            return self.on.spread(value, shape)
        except ValueError:
            raise ValueError(
                f"{what} of shape {tuple(value.shape)} does not broadcast to the scores' shape {tuple(shape)}"
            ) from None

    def temperature(self, t: Array, rows: Shape) -> Array:
        """Return temperatures, one for each row; their values are checked by themselves."""
        if self.on.kind(t) == "other":
            raise TypeError(f"temperature has dtype {t.dtype}; pass a real number, or one for each row")
        try:
            return self.on.spread(t, rows)
        except ValueError:
            raise ValueError(
                f"temperature of shape {tuple(t.shape)} does not fit the rows' shape {tuple(rows)}; "
                "pass one number, or one for each row"
            ) from None

    def temperature_values(self, t: Array) -> None:
        """Refuse temperatures that are negative or NaN."""
        i = self.on.first(~(t >= 0))
        if i is not None:
            raise ValueError(
                f"temperature is {self.on.number(t, i)}; it must be at least 0 (1 leaves the scores as they are)"
            )

    def no_weights(self, w: Array, where: Array | None, signed: bool) -> Array:
        """Return what cannot be a weight of an element that counts."""
        bad = self.on.isinf(w) if signed else self.on.isinf(w) | (w < 0)
        return bad if where is None else bad & where

    def weights(self, w: Array, where: Array | None, signed: bool) -> None:
        """Refuse what cannot be a weight of an element that counts; `where` has the shape of `w`."""
        i = self.on.first(self.no_weights(w, where, signed))
        if i is not None:
            first = self.on.number(w, i)
            remedy = "a weight must be finite" if math.isinf(first) else "pass return_sign=True for negative weights"
            raise ValueError(f"weights hold {first}; {remedy}")

    def are_classes(self, y: Array, rows: Shape, scores: Shape) -> bool:
        """Return whether labels are the numbers of classes, one a row, and not a probability for each class; refuse what is neither."""
        kind = self.on.kind(y)
        shape, rows, scores = tuple(y.shape), tuple(rows), tuple(scores)
        if kind == "bool":
            raise TypeError(
                "labels have dtype bool; pass integers, the number of each class, or floats, its probability"
            )
        if kind == "integer":
            if shape != rows:
                hint = "; pass probabilities as floats" if shape == scores else ""
                raise ValueError(f"labels have shape {shape}; the rows have {rows}{hint}")
            return True
        self.floats(y, "labels")
        if shape != scores:
            if shape == rows and math.prod(rows):
                missing = self.on.first(y != y)
                if missing is not None:
                    raise ValueError(
                        f"the label{_in_row(missing, shape)} is NaN, as a missing one is; leave such rows out, "
                        "and pass the others as integers"
                    )
                raise TypeError(
                    f"labels of dtype {y.dtype} are not integers; pass the number of each row's class, "
                    "or a probability for each class"
                )
            raise ValueError(f"labels of shape {shape} are not probabilities of the scores' shape {scores}")
        return False

    def classes(self, y: Array, count: int) -> None:
        """Refuse labels that are not the numbers of classes."""
        i = self.on.first((y < 0) | (y >= count))
        if i is not None:
            at = _in_row(i, y.shape)
            raise ValueError(f"label {self.on.number(y, i)}{at} is not a class; it must be in 0 ... {count - 1}")

    def no_probabilities(self, y: Array) -> Array:
        """Return what is outside [0, 1]."""
        return ~((y >= 0) & (y <= 1))

    def probabilities(self, y: Array) -> None:
        """Refuse labels outside [0, 1]."""
        i = self.on.first(self.no_probabilities(y))
        if i is not None:
            place = _position(i, y.shape)
            at = f" at {place}" if place else ""
            raise ValueError(f"label {self.on.number(y, i)}{at} is not a probability; it must be in [0, 1]")

    def sums(self, sums: Array) -> None:
        """Refuse labels whose probabilities, summed up row by row, are not the whole."""
        i = self.on.first(abs(sums - 1) > LEEWAY)
        if i is not None:
            at = _position(i, sums.shape)
            row = f" of row {', '.join(map(str, at))}" if at else ""
            raise ValueError(
                f"the probabilities{row} sum to {float(self.on.number(sums, i)):.6g}, and those of a label sum to 1; "
                "divide by the sum, or multiply the loss by it"
            )

    def two_classes(self, x: Array, y: Array) -> tuple[int, ...]:
        """Return the shape that logits and labels have together."""
        try:
            return _together(tuple(x.shape), tuple(y.shape))
        except ValueError:
            raise ValueError(
                f"labels of shape {tuple(y.shape)} do not broadcast with logits of {tuple(x.shape)}"
            ) from None

    def out(self, out: Array, shape: Shape, dtype: Any) -> None:
        """Refuse an `out` of another shape or type than the result's."""
        if tuple(out.shape) != tuple(shape):
            raise ValueError(f"out has shape {tuple(out.shape)}; the result has {tuple(shape)}")
        if self.on.dtype(out.dtype) != dtype:
            raise TypeError(f"out has dtype {out.dtype}; the result has {dtype}")


def _together(a: Shape, b: Shape) -> tuple[int, ...]:
    """Return the shape that two broadcast to; lengths may be symbols, of which NumPy would make numbers."""
    if len(a) < len(b):
        a, b = b, a
    b = (1,) * (len(a) - len(b)) + tuple(b)
    if not all(m == n or m == 1 or n == 1 for m, n in zip(a, b, strict=True)):
        raise ValueError
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


def _position(i: int, shape: Shape) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(i, tuple(shape)))


def _in_row(i: int, shape: Shape) -> str:
    row = _position(i, shape)
    return f" in row {', '.join(map(str, row))}" if row else ""


def check_smoothing(value: Any) -> float:
    """Return the part of a label that is spread over the classes; refuse what is none."""
    smoothing = float(value)
    if not 0 <= smoothing < 1:
        raise ValueError(f"label_smoothing is {value}; it must be in [0, 1)")
    return smoothing


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that are meant, counted from the front."""
    try:
        asked = tuple(axis) if isinstance(axis, Iterable) else (axis,)
        found = tuple(operator.index(i) + ndim * (i < 0) for i in asked)
    except TypeError:
        raise TypeError(
            f"axis is {axis!r}; pass the number of the axis of the classes, or a tuple of several"
        ) from None
    if not all(0 <= i < ndim for i in found) or len(set(found)) < len(found):
        return normalize_axis_tuple(asked, ndim)  # raises, in NumPy's words
    return found
