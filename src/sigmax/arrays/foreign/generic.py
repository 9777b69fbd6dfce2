"""Arrays of any library that speaks the array API standard, CuPy's among them: our formulas in the library's own operations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

try:
    from array_api_compat import array_namespace
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "arrays of other libraries need 'array-api-compat'; install it with: pip install 'sigmax[arrays]'",
        name="array_api_compat",
    ) from None

from sigmax.arrays.foreign.delegated import Delegated, PlainKernels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["call"]


@functools.cache
def _library(xp: Any) -> Delegated:
    return Delegated(xp, PlainKernels(xp))


def call(entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
    """Call a function on arrays of one library."""
    arrays = [x for x in args if hasattr(x, "__array_namespace__") or type(x).__module__.startswith("cupy")]
    return _library(array_namespace(*arrays)).call(entry, args, options, run)
