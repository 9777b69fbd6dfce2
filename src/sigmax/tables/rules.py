"""Decisions on the way of a file: other base rates, the decision of least cost, the set of classes that may be."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sigmax.decisions import Costs, Decided, PredictionSets, decide
from sigmax.tables.dialect import NUMBER
from sigmax.tables.errors import TableError
from sigmax.tables.labels import ClassNames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Rule", "Settled", "read_costs", "shares"]


@dataclass(frozen=True)
class Rule:
    """
    What is decided of each row.

    Parameters
    ----------
    costs : Costs, optional
        What each decision costs for a row of each class, by the classes' names.
    threshold : float, optional
        In place of costs, of two classes: the probability from which the second is said.
    before, after : mapping of str to float, optional
        The shares of the classes where the model was fitted, and where it is used.
    sets : PredictionSets, optional
        Fitted sets, of scores as they are without other shares.
    """

    costs: Costs | None = None
    threshold: float | None = None
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    sets: PredictionSets | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if self.costs is not None and self.threshold is not None:
            raise TableError("costs have thresholds of their own; give either costs or a threshold")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise TableError(f"the threshold is {self.threshold}; it must be a probability between 0 and 1")

    def settled(self, classes: Sequence[str]) -> Settled:
        """Return the rule for classes in an order."""
        costs = self.costs
        if self.threshold is not None:
            if len(classes) != 2:
                raise TableError(f"a threshold decides between two classes, and there are {len(classes)}: give costs")
            costs = Costs(np.array([[0, self.threshold], [1 - self.threshold, 0]]), tuple(classes), tuple(classes))
        elif costs is not None:
            place = {
                k: i for i, name in enumerate(costs.classes) if (k := ClassNames(classes, False).find(name)) is not None
            }
            if sorted(place) != list(range(len(classes))) or len(costs.classes) != len(classes):
                raise TableError(
                    f"the costs are those of {', '.join(costs.classes[:8])}, and the classes are {', '.join(list(classes)[:8])}"
                )
            order = [place[k] for k in range(len(classes))]
            costs = Costs(costs.matrix[order], tuple(classes), costs.decisions)
        change = new = None
        if self.after:
            old, new = (shares(of, classes, name) for of, name in ((self.before, "before"), (self.after, "after")))
            change = np.log(new) - np.log(old)
        if self.sets is not None and len(self.sets.classes_) != len(classes):
            raise TableError(f"the sets are those of {len(self.sets.classes_)} classes, and there are {len(classes)}")
        return Settled(costs, change, self.sets, tuple(classes), priced=self.threshold is None, after=new)


def shares(given: Mapping[str, float], classes: Sequence[str], name: str) -> NDArray[np.float64]:
    """Return shares that were given by the names of classes in the order of these; `name` says which, in messages."""
    if not given:
        raise TableError(
            "other shares are reached from those where the model was fitted: say them too, with --prior-before"
        )
    found = np.full(len(classes), math.nan)
    names = ClassNames(classes, False)
    for word, share in given.items():
        k = names.find(word)
        if k is None:
            raise TableError(f"'{word}' is none of the classes: {', '.join(list(classes)[:8])}")
        found[k] = share
    if np.isnan(found).sum() == 1:  # the last is what is left
        found[np.isnan(found)] = 1 - np.nansum(found)
    if np.isnan(found).any():
        raise TableError(f"the shares {name} name {len(given)} of {len(classes)} classes; say all, or all but one")
    if not (found > 0).all() or abs(found.sum() - 1) > 1e-6:
        raise TableError(
            f"the shares {name} are {', '.join(f'{v:g}' for v in found)}; they are above 0 and add up to 1"
        )
    return found


@dataclass(frozen=True)
class Settled:
    """A rule for classes in an order; see :class:`Rule`."""

    costs: Costs | None
    change: NDArray[np.float64] | None
    sets: PredictionSets | None
    classes: tuple[str, ...]
    priced: bool
    after: NDArray[np.float64] | None = None

    def shifted(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return scores of shape (classes, rows), or (1, rows) for a logit, for the other shares."""
        if self.change is None:
            return x
        return x + (self.change[1] - self.change[0] if len(x) == 1 else self.change[:, None])

    def decided(self, x: NDArray[Any]) -> Decided | None:
        """Return the decisions on shifted scores; of rows without scores they mean nothing."""
        if self.costs is None:
            return None
        z = np.nan_to_num(x.astype(np.float64), nan=0.0)
        return decide(z[0] if len(z) == 1 else z.T, self.costs, form="logits")

    def inside(self, x: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which classes are in the set of each row, by scores that are not shifted."""
        if self.sets is None:
            return None
        z = np.nan_to_num(x.astype(np.float64), nan=0.0)
        return self.sets.predict(z[0] if len(z) == 1 else z.T)

    def fields(self, *, text: bool) -> list[pa.Field]:
        """Return the columns that are added."""
        found = []
        if self.costs is not None:
            found.append(pa.field("decision", pa.string()))
            if self.priced:
                found += [pa.field("expected_cost", pa.float64()), pa.field("margin", pa.float64())]
        if self.sets is not None:
            found.append(pa.field("set", pa.string() if text else pa.list_(pa.string())))
        return found

    def columns(
        self,
        made: Decided | None,
        inside: NDArray[np.bool_] | None,
        mask: NDArray[np.bool_] | None,
        *,
        text: bool,
    ) -> list[pa.Array]:
        """Return the columns that are added; masked rows, which have no scores, have none."""
        found: list[pa.Array] = []
        if made is not None:
            names = pa.array(list(made.costs.decisions), pa.string())
            found.append(names.take(pa.array(made.choice, mask=mask)))
            if self.priced:
                margin = np.where(np.isinf(made.margin), np.nan, made.margin)
                found += [pa.array(made.cost, mask=mask), pa.array(margin, mask=mask)]
        if inside is not None:
            sets = [[c for c, yes in zip(self.classes, row, strict=True) if yes] for row in inside.tolist()]
            words: list[Any] = [";".join(s) for s in sets] if text else list(sets)
            found.append(pa.array(words, pa.string() if text else pa.list_(pa.string()), mask=mask))
        return found


def read_costs(path: Path) -> Costs:
    """
    Read a table of costs: a line for each class, whose name stands first, and a column for each decision, whose names are the first line.

    Raises
    ------
    TableError
        If the file is no such table.
    """
    try:
        lines = [
            line
            for line in csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
            if any(w.strip() for w in line)
        ]
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is no text: {error}") from None
    if len(lines) < 3 or len({len(line) for line in lines}) != 1 or len(lines[0]) < 2:
        raise TableError(
            f"{path} is no table of costs, with commas between its fields: its first line names the decisions, and a line for each class begins with its name, as in "
            "class,leave,treat / healthy,0,1 / ill,20,0"
        )
    rows = []
    for line in lines[1:]:
        for word in line[1:]:
            if not NUMBER.fullmatch(word.strip()):
                raise TableError(f"{path}: the cost '{word}' of '{line[0]}' is no number")
        rows.append([float(word) for word in line[1:]])
    try:
        return Costs(
            np.array(rows), tuple(line[0].strip() for line in lines[1:]), tuple(w.strip() for w in lines[0][1:])
        )
    except ValueError as error:
        raise TableError(f"{path}: {error}") from None
