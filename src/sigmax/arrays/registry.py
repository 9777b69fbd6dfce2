"""
Which file serves which library.

An adapter is a module with ``call(function, args, options)``: `function` is one of ours, made for NumPy, and `args` and `options` are
what the user called it with. It returns an array of the user's kind, or NotImplemented for a type that it does not know after
all. An adapter is imported when the first array of its library is seen, so the library is there already.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np

from sigmax import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["adapter_of", "know", "meet_torch", "on_any_array"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Adapter(Protocol):
    """What a file of this folder offers."""

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function` on arrays of this library."""


# The top-level package of a type, or of one that it inherits from, and the adapter of its library.
_LIBRARIES = {
    "cupy": "generic",
    "dask": "dask",
    "jax": "jax",
    "jaxlib": "jax",
    "pandas": "pandas",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "torch": "torch",
    "xarray": "xarray",
}
_known: dict[type, Adapter | None] = dict.fromkeys((np.ndarray, list, tuple, float, int, bool, np.float64))


def adapter_of(kind: type) -> Adapter | None:
    """Return the adapter that serves arrays of type `kind`; None for what NumPy takes itself."""
    if kind not in _known:
        _known[kind] = _find(kind)
    return _known[kind]


def know(kind: type, adapter: Any) -> None:
    """Let an adapter serve arrays of type `kind` from now on."""
    _known[kind] = adapter


def meet_torch() -> None:
    """
    Load the adapter of PyTorch if that is loaded, so that torch.compile, which cannot follow an import, finds it at the first call.

    It is not loaded for anybody: whoever imports it after sigmax and compiles before the first call imports `sigmax.torch` once.
    """
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is not None:
        adapter_of(tensor)


def _find(kind: type) -> Adapter | None:
    if issubclass(kind, np.ma.MaskedArray):
        return importlib.import_module("sigmax.arrays.masked")
    if issubclass(kind, (np.ndarray, np.generic)):
        return None
    packages = [base.__module__.partition(".")[0] for base in kind.__mro__]
    name = next((_LIBRARIES[p] for p in packages if p in _LIBRARIES), None)
    if name is None and hasattr(kind, "__array_namespace__"):
        name = "generic"
    return None if name is None else importlib.import_module(f"sigmax.arrays.{name}")


def on_any_array(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let `function`, which takes NumPy arrays, take those of the other libraries too."""

    @functools.wraps(function)
    def dispatched(*args: _P.args, **options: _P.kwargs) -> _R:
        for x in args:
            if type(x) is not np.ndarray:
                adapter = adapter_of(type(x))
                if adapter is not None:
                    result = adapter.call(dispatched, args, options)
                    if result is not NotImplemented:
                        return result
        return function(*args, **options)

    return dispatched


def _elsewhere(ufunc: np.ufunc, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    for x in args[: ufunc.nin]:
        adapter = adapter_of(type(x))
        if adapter is not None:
            return adapter.call(ufunc, args, options)
    return NotImplemented


_native.set_elsewhere(_elsewhere)
