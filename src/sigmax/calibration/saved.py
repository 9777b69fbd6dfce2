"""
Calibrators as JSON: numbers by their shortest digits, read back to the same bits; nothing that runs, and nothing that is not known.

Never a pickle: what pickles of a calibrator hold is this text.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from sigmax import kept
from sigmax.calibration.fits import METHODS
from sigmax.calibration.given import Form
from sigmax.calibration.maps import Affine, Beta, Between, Map, OneVsRest, Polynomial, Steps, Tempered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORMAT", "VERSION", "checked", "map_of", "number_out", "or_none", "read", "state_of", "written"]

FORMAT, VERSION = "sigmax calibrator", 1
KINDS: dict[str, type[Map]] = {k.__name__: k for k in (Tempered, Polynomial, Beta, Steps, Between, Affine, OneVsRest)}


def written(state: Mapping[str, Any]) -> str:
    """Return a state as text."""
    return kept.written(FORMAT, VERSION, state)


def read(text: str) -> dict[str, Any]:
    """Return the state that a text holds; see :func:`sigmax.kept.read`."""
    return kept.read(text, FORMAT, VERSION, STATE)


def checked(name: str, check: Callable[[Any], Any], value: Any) -> Any:
    """Return a part of a state as its check returns it; what is wrong with it is said under its name."""
    return kept.checked("calibrator", name, check, value)


def number(value: Any) -> float:
    """Return a number, which may be written as 'inf' or '-inf'."""
    if value in ("inf", "-inf"):
        return float(value)
    return kept.number(value)


def number_out(value: float) -> Any:
    """Return a number as JSON has it."""
    return float(value) if math.isfinite(value) else str(float(value))


def state_of(fitted: Map) -> dict[str, Any]:
    """Return a map as JSON has it."""
    state: dict[str, Any] = {"kind": type(fitted).__name__}
    for field in fields(fitted):  # type: ignore[arg-type]
        value = getattr(fitted, field.name)
        if isinstance(value, tuple):
            state[field.name] = [state_of(one) for one in value]
        elif isinstance(value, np.ndarray):
            state[field.name] = value.tolist()
        else:
            state[field.name] = value if isinstance(value, bool) else number_out(value)
    return state


def map_of(state: Any, classes: int) -> Map:
    """Return the map that a state describes, for so many classes."""
    if not isinstance(state, dict) or not isinstance(state.get("kind"), str) or state["kind"] not in KINDS:
        raise ValueError(f"{state.get('kind') if isinstance(state, dict) else state!r} is no kind of map")
    kind = KINDS[state["kind"]]
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    if set(state) != {"kind", *names}:
        raise ValueError(f"a {kind.__name__} has {', '.join(names)}")
    given: dict[str, Any] = {}
    for name in names:
        value = state[name]
        if name == "maps":
            given[name] = tuple(map_of(one, 2) for one in kept.listed(value))
        elif name in ("at", "probability", "if_zero", "if_one", "weights", "bias"):
            array = np.asarray(kept.listed(value))
            if array.dtype.kind not in "if" or not np.isfinite(array).all():
                raise ValueError(f"{name} holds what is no number")
            given[name] = array.astype(np.float64)
        else:
            given[name] = kept.truth(value) if name == "centred" else number(value)
    _check_shapes(kind, given, classes)
    return kind(**given)


def _check_shapes(kind: type[Map], given: dict[str, Any], classes: int) -> None:
    two = kind in (Polynomial, Beta, Steps, Between)
    if two and classes != 2:
        raise ValueError(f"a {kind.__name__} is of two classes, and there are {classes}")
    if kind is OneVsRest and len(given["maps"]) != classes:
        raise ValueError(f"{len(given['maps'])} maps for {classes} classes")
    if kind is Steps:
        at, p = given["at"], given["probability"]
        good = at.ndim == 1 and at.shape == p.shape and at.size and (np.diff(at) >= 0).all() and (np.diff(p) >= 0).all()
        if not (good and ((p >= 0) & (p <= 1)).all()):
            raise ValueError("steps ascend, and are probabilities")
    if kind is Between:
        at, ends = given["at"], (given["if_zero"], given["if_one"])
        good = at.ndim == 1 and (np.diff(at) > 0).all() and all(e.shape == (at.size + 1,) for e in ends)
        if not (good and all(((e >= 0) & (e <= 1)).all() and (np.diff(e) >= 0).all() for e in ends)):
            raise ValueError("what either class would be given ascends, and is a probability")
        if not (ends[0] <= ends[1]).all() or ends[0][-1] == 1 or ends[1][0] == 0:
            raise ValueError("a row of the second class would be given less than one of the first, or nothing")
    if kind is Affine and (
        given["bias"].shape != (classes,) or given["weights"].shape not in ((classes,), (classes, classes))
    ):
        raise ValueError(
            f"weights of shape {given['weights'].shape} and bias of shape {given['bias'].shape} for {classes} classes"
        )
    if kind is Affine and not 0 < given["temperature"] < math.inf:
        raise ValueError(f"a temperature of {given['temperature']}")
    if kind in (Affine, OneVsRest) and classes == 2:
        raise ValueError(f"a map of kind {kind.__name__} is of more than two classes")
    finite = {Polynomial: ("shift", "slope", "curve"), Beta: ("shift", "yes", "no")}.get(kind, ())
    if not all(math.isfinite(given[name]) for name in finite):
        raise ValueError(f"{', '.join(finite)} are finite")
    if kind is Polynomial:
        curve, ends = given["curve"], (given["low"], given["high"])
        slopes = [given["slope"] + (2 * curve * end if curve else 0.0) for end in ends]
        if min(slopes) < 0 or not ends[0] <= ends[1] or math.isnan(min(slopes)):
            raise ValueError("the map falls somewhere")
    if kind is Beta and min(given["yes"], given["no"]) < 0:
        raise ValueError("the map falls somewhere")
    if kind is Tempered and not given["temperature"] >= 0:
        raise ValueError(f"a temperature of {given['temperature']}")


def or_none(value: float) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if np.isfinite(value) else None


def _names(value: Any) -> list[Any]:
    kinds = {type(one) for one in kept.listed(value)}
    if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
        raise TypeError("classes are all names, all numbers, or False and True")
    return list(value)


def _positive(value: Any) -> float:
    if not 0 < number(value) < math.inf:
        raise ValueError(f"{value!r} is not above 0")
    return number(value)


def _perhaps(value: Any) -> float:
    return float("nan") if value is None else number(value)


STATE: dict[str, Callable[[Any], Any]] = {
    "created_by": kept.text,
    "method": kept.one_of("auto", *METHODS),
    "used": kept.one_of("prior", *METHODS),
    "scores": kept.one_of(*get_args(Form)),
    "form": kept.one_of(*get_args(Form)[1:]),
    "classes": _names,
    "columns": lambda value: None if value is None else kept.texts(value),
    "single": kept.truth,
    "limit": _positive,
    "rows": _positive,
    "fingerprint": kept.text,
    "loss_before": _perhaps,
    "loss_after": _perhaps,
    "gap": _perhaps,
    "notes": kept.texts,
    "map": lambda value: value,
}
