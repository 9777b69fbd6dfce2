"""Fitted things as JSON: numbers by their shortest digits, read back to the same bits; nothing that runs, and nothing that is not known."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["checked", "listed", "number", "one_of", "read", "text", "texts", "truth", "written"]


def written(format: str, version: int, state: Mapping[str, Any]) -> str:  # noqa: A002
    """Return a state as text."""
    whole = {"format": format, "version": version, **state}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read(text: str, format: str, version: int, checks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:  # noqa: A002
    """
    Return the state that a text holds: all that it should, each checked, and nothing else.

    Parameters
    ----------
    text : str
    format : str
        What it must say that it is; its last word is what it is called.
    version : int
        The version that is known.
    checks : mapping of str to callable
        For each part what returns it as it should be, or raises an error.

    Raises
    ------
    ValueError
        If it is something else, of a version that is not known, or holds what it should not.
    """
    what = format.rpartition(" ")[2]

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands there twice")
        return dict(pairs)

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    try:
        state = json.loads(text, parse_constant=constant, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no {what}: {error}") from None
    if not isinstance(state, dict) or state.pop("format", None) != format:
        raise ValueError(f"this is no {what}: it does not say that its format is {format!r}")
    found = state.pop("version", None)
    if found != version:
        raise ValueError(f"the {what} is of version {found!r}; this release of sigmax reads version {version}")
    odd = sorted(set(state) ^ set(checks))
    if odd:
        raise ValueError(f"the {what} {'lacks' if odd[0] in checks else 'holds an unknown'} {odd[0]!r}")
    return {name: checked(what, name, check, state[name]) for name, check in checks.items()}


def checked(what: str, name: str, check: Callable[[Any], Any], value: Any) -> Any:
    """Return a part of a state as its check returns it; what is wrong with it is said under its name."""
    try:
        return check(value)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError) as error:
        raise ValueError(f"the {what}'s {name!r} is wrong: {error}") from None


# ---- checks of plain values ----


def text(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def listed(value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def texts(value: Any) -> list[str]:
    """Return a list of texts."""
    return [text(one) for one in listed(value)]


def truth(value: Any) -> bool:
    """Return what is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def number(value: Any) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def one_of(*names: str) -> Callable[[Any], Any]:
    """Return the check that a value is one of some names."""

    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError(f"{value!r} is none of {', '.join(names)}")
        return value

    return check
