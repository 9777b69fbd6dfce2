"""What is done when a module of another library is loaded, by whoever it may be."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["when_loaded"]


def when_loaded(name: str, act: Callable[[], object]) -> None:
    """Call `act` as soon as the module `name` is loaded, at once if it is; what `act` raises is no reason for that import to fail."""
    if name in sys.modules:
        with contextlib.suppress(Exception):
            act()
    else:
        sys.meta_path.insert(0, _Waiting(name, act))


class _Waiting:
    """A finder that finds the one module as the others do, and sees it loaded."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self.name, self.act = name, act

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        if name != self.name:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_act(module: Any) -> None:
                load(module)
                with contextlib.suppress(Exception):
                    self.act()

            spec.loader.exec_module = load_and_act  # type: ignore[method-assign]
        return spec
