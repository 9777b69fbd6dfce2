"""What torch.compile and torch.fx are told: NumPy ufuncs are no functions to them, and calls are written down by name."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import torch

from sigmax.arrays.torch.calls import FUNCTIONS
from sigmax.host.links import LINKS
from sigmax.host.table import STRAIGHT, not_straight
from sigmax.imports import when_loaded

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["tell_dynamo", "traceable"]


@functools.cache
def traceable(name: str) -> Callable[..., Any]:
    """Return a function of the family on tensors as one of Python, which goes by its public name."""

    def function(*args: Any, **options: Any) -> Any:
        return FUNCTIONS[name](*args, **options)  # looked up here: dynamo does not follow one that is kept

    function.__python_implementation__ = function
    function.__name__ = function.__qualname__ = name
    function.__module__ = "sigmax"  # where whoever loads a graph that was written down finds it
    return function


def tell_dynamo() -> None:
    """Tell torch.compile about our functions, as soon as its machinery is loaded, which takes a second and is not always wanted."""
    when_loaded("torch._dynamo", _tell)


def _tell() -> None:
    """
    Tell dynamo that nothing goes straight while it traces, and put the ufuncs on its list of callables that it can trace though they are no functions.

    For the second there are only private names of PyTorch. Where a name is missing, the graph breaks at our functions and goes on behind them.
    """
    with contextlib.suppress(Exception):
        for straight in STRAIGHT.values():
            torch.compiler.substitute_in_graph(straight, skip_signature_check=True)(not_straight)
    with contextlib.suppress(Exception):  # whatever they raise is no reason for `import torch._dynamo` to fail
        from torch._dynamo.guards import GuardBuilder
        from torch._dynamo.variables import PolyfilledFunctionVariable
        from torch._dynamo.variables.builder import VariableBuilder

        handlers, dispatch = PolyfilledFunctionVariable._get_polyfill_handlers(), VariableBuilder._id_dispatch()

        def substitute(builder: Any, ufunc: Any) -> Any:
            guards = builder.install_guards(GuardBuilder.ID_MATCH)
            return PolyfilledFunctionVariable(ufunc, source=builder.source, **guards)

        for name, ufunc in LINKS.items():
            handlers[ufunc] = traceable(name)
            dispatch[id(ufunc)] = substitute
