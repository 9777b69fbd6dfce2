"""The number types that the functions take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["BFLOAT16", "as_bits", "as_float", "result_dtype"]

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
_FLOATS = {np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)}
_ACCEPTED = "bool, integers, float16, bfloat16, float32 or float64"


def as_float(values: NDArray[Any], what: str = "scores") -> NDArray[Any]:
    """Return `values` as they are if they are floats, integers and bool as float64; refuse anything else."""
    if values.dtype in _FLOATS or values.dtype.newbyteorder("=") in _FLOATS:
        return values
    if values.dtype.kind in "biu":
        return values.astype(np.float64)
    raise TypeError(f"{what} of dtype {values.dtype} are not supported; pass {_ACCEPTED}")


def result_dtype(scores: np.dtype[Any], asked: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of the result, in native byte order."""
    if asked is None and scores in _FLOATS:
        return scores
    result = (scores if asked is None else np.dtype(asked)).newbyteorder("=")
    if result not in _FLOATS:
        raise TypeError(f"dtype={result} cannot hold probabilities; pass float16, bfloat16, float32 or float64")
    return result


def as_bits(values: NDArray[Any]) -> NDArray[Any]:
    """Return bfloat16 as the uint16 that the core's gufuncs know it by; anything else as it is."""
    return values.view(np.uint16) if values.dtype == BFLOAT16 else values
