"""The functions on NumPy arrays: arguments checked, rows found, the core called. Knows of no other library and of nothing above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sigmax.host import losses, rows
from sigmax.host.links import LINKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigmax.family import Function

__all__ = ["FUNCTIONS", "run"]

# Every function of the family by its name.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **LINKS,
    "softmax": rows.softmax,
    "log_softmax": rows.log_softmax,
    "logit_softmax": rows.logit_softmax,
    "logsumexp": rows.logsumexp,
    "cross_entropy": losses.cross_entropy,
    "cross_entropy_and_grad": losses.cross_entropy_and_grad,
    "binary_cross_entropy": losses.binary_cross_entropy,
    "binary_cross_entropy_and_grad": losses.binary_cross_entropy_and_grad,
}


def run(entry: Function, *args: Any, **options: Any) -> Any:
    """Call a function of the family."""
    return FUNCTIONS[entry.name](*args, **options)
