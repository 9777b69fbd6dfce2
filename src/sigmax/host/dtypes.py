"""NumPy's arrays under the contract: the number types that the functions take and give, and how an array is asked about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import ml_dtypes
import numpy as np

from sigmax.host.contract import Contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

__all__ = ["BFLOAT16", "CONTRACT", "as_bits", "as_float", "result_dtype"]

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
_FLOATS = {np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)}
_KINDS: dict[str, Literal["integer", "bool"]] = {"i": "integer", "u": "integer", "b": "bool"}


class _OnNumPy:
    """NumPy's answers to what the contract asks."""

    def kind(self, x: NDArray[Any]) -> Literal["float", "integer", "bool", "other"]:
        kind = _KINDS.get(x.dtype.kind)
        if kind is not None:
            return kind
        return "float" if x.dtype in _FLOATS or x.dtype.newbyteorder("=") in _FLOATS else "other"

    def as_float(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.astype(np.float64)

    def dtype(self, asked: DTypeLike) -> np.dtype[Any] | None:
        found: np.dtype[Any] = np.dtype(asked).newbyteorder("=")
        return found if found in _FLOATS else None

    def spread(self, x: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
        spread: NDArray[Any] = np.broadcast_to(x, tuple(shape))
        return spread

    def first(self, bad: NDArray[Any]) -> int | None:
        return int(np.argmax(bad)) if np.count_nonzero(bad) else None

    def number(self, x: NDArray[Any], i: int) -> Any:
        return x.flat[i]

    def isinf(self, x: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[np.bool_] = np.isinf(x)
        return found


CONTRACT = Contract(_OnNumPy())


def as_float(values: NDArray[Any], what: str = "scores") -> NDArray[Any]:
    """Return `values` as they are if they are floats, integers and bool as float64; refuse anything else."""
    found: NDArray[Any] = values if values.dtype in _FLOATS else CONTRACT.floats(values, what)
    return found


def result_dtype(scores: NDArray[Any], asked: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of the result, in native byte order."""
    if asked is None and scores.dtype in _FLOATS:
        return scores.dtype
    found: np.dtype[Any] = CONTRACT.result_dtype(scores, asked)
    return found if found in _FLOATS else found.newbyteorder("=")


def as_bits(values: NDArray[Any]) -> NDArray[Any]:
    """Return bfloat16 as the uint16 that the core's gufuncs know it by; anything else as it is."""
    return values.view(np.uint16) if values.dtype == BFLOAT16 else values
