"""The elementwise functions as the core has them: NumPy ufuncs of one argument, and of logits and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigmax import _native
from sigmax.family import names_of
from sigmax.host.dtypes import BFLOAT16

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BINARY", "LINKS"]

LINKS: dict[str, np.ufunc] = {name: _native.link(name, BFLOAT16) for name in names_of("elementwise")}
# These check nothing: losses.py does.
BINARY: dict[str, np.ufunc] = {name: _native.link(name, BFLOAT16) for name in names_of("two classes")}
