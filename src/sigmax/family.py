"""
The functions, each in one line: what it takes, and to what each of its results belongs.

Whoever has to know which functions there are, or what one of them does with its arguments, asks here: the adapters of other
libraries, the functions for DuckDB, the tests and the benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FAMILY", "Function", "Kind", "Place", "entry_of", "names_of"]

# What a function works on: each number by itself; each number and its label; the scores of a row together, of which it makes one number
# a class, or one a row; the scores of a row and its label.
Kind = Literal["elementwise", "two classes", "per class", "per row", "loss"]
# What a result belongs to: each score, or each row of scores.
Place = Literal["score", "row"]


@dataclass(frozen=True)
class Function:
    """One function: its public name, what it works on, and what each of its results belongs to."""

    name: str
    kind: Kind
    results: tuple[Place, ...]

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
        Function("sigmoid", "elementwise", ("score",)),
        Function("logit", "elementwise", ("score",)),
        Function("odds", "elementwise", ("score",)),
        Function("from_odds", "elementwise", ("score",)),
        Function("log_sigmoid", "elementwise", ("score",)),
        Function("softplus", "elementwise", ("score",)),
        Function("log1mexp", "elementwise", ("score",)),
        Function("logitexp", "elementwise", ("score",)),
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


def entry_of(function: Callable[..., Any]) -> Function:
    """Return the entry of a public function."""
    return FAMILY[function.__name__]


def names_of(*kinds: Kind) -> list[str]:
    """Return the names of the functions of some kinds, in their order."""
    return [f.name for f in FAMILY.values() if f.kind in kinds]
