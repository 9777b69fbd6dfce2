"""Fitted things as JSON: numbers by their shortest digits, read back to the same bits; nothing that runs, and nothing that is not known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["checked", "read", "written"]


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
