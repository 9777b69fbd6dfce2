"""The functions of the family on tensors, by their names."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sigmax.arrays.torch.links import link
from sigmax.arrays.torch.losses import cross_entropy
from sigmax.arrays.torch.rows import per_class
from sigmax.arrays.torch.sums import logsumexp
from sigmax.arrays.torch.two_classes import binary_cross_entropy
from sigmax.family import names_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS"]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: functools.partial(link, name) for name in names_of("elementwise")},
    **{name: functools.partial(per_class, name) for name in names_of("per class")},
    "logsumexp": logsumexp,
    "cross_entropy": cross_entropy,
    "cross_entropy_and_grad": functools.partial(cross_entropy, with_gradient=True),
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_and_grad": functools.partial(binary_cross_entropy, with_gradient=True),
}
