"""
The functions, each in one line: what it takes, to what each of its results belongs, and what its slope is.

Whoever has to know which functions there are, or what one of them does with its arguments, asks here: the adapters of other
libraries, the functions for DuckDB, the tests and the benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FAMILY", "Function", "Kind", "Place", "entry_of", "names_of"]

# What a function works on: each number by itself; each number and its label; the scores of a row together, of which it makes one number
# a class, or one a row; the scores of a row and its label.
Kind = Literal["elementwise", "two classes", "per class", "per row", "loss"]
# What a result belongs to: each score, or each row of scores.
Place = Literal["score", "row"]


def _no_slope(_f: Any, _x: Any) -> Any:
    raise NotImplementedError("its derivatives are written where they are needed: they take more than one number")


@dataclass(frozen=True)
class Function:
    """
    One function.

    Parameters
    ----------
    name : str
        Its public name.
    kind : Kind
        What it works on.
    results : tuple of Place
        What each of its results belongs to.
    slope : callable, optional
        ``slope(f, x)``, the derivative of an elementwise function inside its domain, by the functions that `f` offers under their
        names and by `expm1`: right to the last digits where they are.
    """

    name: str
    kind: Kind
    results: tuple[Place, ...]
    slope: Callable[[Any, Any], Any] = field(default=_no_slope, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[[str], Function], tuple[str]]:
        """Go to other processes by name."""
        return _entry_named, (self.name,)

    @property
    def over_rows(self) -> bool:
        """Whether it has an axis of classes."""
        return self.kind in ("per class", "per row", "loss")

    @property
    def labelled(self) -> bool:
        """Whether labels follow the scores."""
        return self.kind in ("two classes", "loss")

    def places(self, options: Mapping[str, Any]) -> tuple[Place, ...]:
        """Return what each result of a call belongs to: a sign comes with the logarithm of a sum if it is asked for."""
        return self.results * 2 if options.get("return_sign") else self.results


FAMILY = {
    f.name: f
    for f in (
        Function("sigmoid", "elementwise", ("score",), lambda f, x: f.sigmoid(x) * f.sigmoid(-x)),
        Function("logit", "elementwise", ("score",), lambda _, p: 1 / (p * (1 - p))),
        Function("odds", "elementwise", ("score",), lambda _, p: 1 / ((1 - p) * (1 - p))),
        Function("from_odds", "elementwise", ("score",), lambda _, o: 1 / ((1 + o) * (1 + o))),
        Function("log_sigmoid", "elementwise", ("score",), lambda f, x: f.sigmoid(-x)),
        Function("softplus", "elementwise", ("score",), lambda f, x: f.sigmoid(x)),
        Function("log1mexp", "elementwise", ("score",), lambda f, x: -1 / f.expm1(-x)),
        Function("logitexp", "elementwise", ("score",), lambda f, x: -1 / f.expm1(x)),
        Function("softmax", "per class", ("score",)),
        Function("log_softmax", "per class", ("score",)),
        Function("logit_softmax", "per class", ("score",)),
        Function("logsumexp", "per row", ("row",)),
        Function("cross_entropy", "loss", ("row",)),
        Function("cross_entropy_and_grad", "loss", ("row", "score")),
        Function("binary_cross_entropy", "two classes", ("score",)),
        Function("binary_cross_entropy_and_grad", "two classes", ("score", "score")),
    )
}


def _entry_named(name: str) -> Function:
    return FAMILY[name]


def entry_of(function: Callable[..., Any]) -> Function:
    """Return the entry of a public function."""
    return FAMILY[function.__name__]


def names_of(*kinds: Kind) -> list[str]:
    """Return the names of the functions of some kinds, in their order."""
    return [f.name for f in FAMILY.values() if f.kind in kinds]
