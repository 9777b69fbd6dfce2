"""
Which adapter serves which library's arrays, and the way of every call: to the adapter, or to the functions on NumPy arrays.

An adapter is a module with ``call(entry, args, options, run)``: the function by its entry in the family, what the user called it with,
and what runs a function on any array, for adapters of things that hold another library's arrays. It returns an array of the user's
kind, or NotImplemented for a type that it does not know after all. An adapter is imported when the first array of its library is seen,
so the library is there already; types that it lists in ``TYPES`` are known from then on. One with ``is_traced(value)`` also gets the calls on
NumPy arrays of which an option (a temperature that is learned, a mask) is no value yet. What it gives as ``STRAIGHT`` is told to the core
(see ``set_tensors`` there), which then takes these tensors itself where a function is called with nothing but one.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sigmax import _native, host
from sigmax.family import FAMILY, entry_of
from sigmax.host.table import STRAIGHT, not_straight
from sigmax.imports import when_loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["Adapter", "adapter_of", "meet_torch", "on_any_array", "run"]


class Adapter(Protocol):
    """What an adapter offers."""

    def call(self, entry: Function, args: tuple[Any, ...], options: Mapping[str, Any], run: Callable[..., Any]) -> Any:
        """Call a function on arrays of this library."""


# The top-level package of a type, or of one that it inherits from, and the adapter of its library.
_LIBRARIES = {
    "cupy": "foreign.generic",
    "dask": "dask",
    "jax": "foreign.jax",
    "jaxlib": "foreign.jax",
    "pandas": "columns.pandas",
    "polars": "columns.polars",
    "pyarrow": "columns.pyarrow",
    "torch": "torch",
    "xarray": "xarray",
}
_known: dict[type, Adapter | None] = dict.fromkeys((np.ndarray, list, tuple, float, int, bool, np.float64))


def adapter_of(kind: type) -> Adapter | None:
    """Return the adapter that serves arrays of type `kind`; None for what NumPy takes itself."""
    if kind not in _known:
        _known[kind] = _find(kind)
    return _known[kind]


def meet_torch() -> None:
    """
    Load the adapter of PyTorch if that is loaded, or else when its compiler is, which cannot follow an import: it finds the adapter at the first call.

    PyTorch itself is not loaded for anybody.
    """
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is not None:
        adapter_of(tensor)
    else:
        when_loaded("torch._dynamo", lambda: adapter_of(sys.modules["torch"].Tensor))


def _find(kind: type) -> Adapter | None:
    if issubclass(kind, np.ma.MaskedArray):
        return _load("columns.masked")
    if issubclass(kind, (np.ndarray, np.generic)):
        return None
    packages = [base.__module__.partition(".")[0] for base in kind.__mro__]
    name = next((_LIBRARIES[p] for p in packages if p in _LIBRARIES), None)
    if name is None and hasattr(kind, "__array_namespace__"):
        name = "foreign.generic"
    return None if name is None else _load(name)


def _load(name: str) -> Adapter:
    adapter: Any = importlib.import_module(f"sigmax.arrays.{name}")
    _known.update(dict.fromkeys(getattr(adapter, "TYPES", ()), adapter))
    if hasattr(adapter, "STRAIGHT"):
        _native.set_tensors(*adapter.STRAIGHT)
    found: Adapter = adapter
    return found


def run(entry: Function, *args: Any, **options: Any) -> Any:
    """Call a function of the family on whatever arrays it is given."""
    for x in args:
        adapter = adapter_of(type(x))
        if adapter is not None:
            result = adapter.call(entry, args, options, run)
            if result is not NotImplemented:
                return result
    return _on_numpy(entry, args, options)


def _on_numpy(entry: Function, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call a function on what NumPy takes, unless one of the options stands for a value that is not known yet."""
    for value in options.values():
        adapter: Any = adapter_of(type(value))
        is_traced = getattr(adapter, "is_traced", None)
        if is_traced is not None and is_traced(value):
            return adapter.call(entry, args, options, run)
    return host.FUNCTIONS[entry.name](*args, **options)


def on_any_array(signature: Callable[..., Any]) -> Any:
    """Return the function of the family of that name, with its signature and documentation, for arrays of all libraries."""
    entry = FAMILY[signature.__name__]
    straight: Callable[..., Any] = STRAIGHT.get(entry.name, not_straight)
    parameters = inspect.signature(signature).parameters
    known, arrays = frozenset(parameters), sum(p.kind is p.POSITIONAL_ONLY for p in parameters.values())

    @functools.wraps(signature)
    def function(*args: Any, **options: Any) -> Any:
        result = straight(args, options)
        if result is not None:
            return result
        if len(args) != arrays or not options.keys() <= known:
            signature(*args, **options)  # which says so
        for x in args:
            if type(x) is not np.ndarray:
                return run(entry, *args, **options)
        return _on_numpy(entry, args, options)

    return function


# What NumPy's ufuncs take.
_OF_UFUNCS = frozenset(["out", "where", "axes", "axis", "keepdims", "casting", "order", "dtype", "subok", "signature"])


def _elsewhere(ufunc: np.ufunc, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    for name in options.keys() - _OF_UFUNCS:
        raise TypeError(f"{ufunc.__name__}() got an unexpected keyword argument '{name}'")
    for x in args[: ufunc.nin]:
        adapter = adapter_of(type(x))
        if adapter is not None:
            return adapter.call(entry_of(ufunc), args, options, run)
    return NotImplemented


_native.set_elsewhere(_elsewhere)
