"""What to do with the reader's probabilities: costs that are dragged, the decisions that follow, and what they cost on labelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sigmax import plots
from sigmax.decisions import Costs, Realised, decide, realised
from sigmax.errors import InputError
from sigmax.explore.shown import chart, table
from sigmax.links import logit, sigmoid
from sigmax.tables.rules import Rule, read_costs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sigmax.explore.own import OwnScores

__all__ = [
    "ASK",
    "Deciding",
    "confusion",
    "costs_at_first",
    "costs_named",
    "deciding",
    "decision_charts",
    "decision_figures",
    "decision_table",
    "moved_to",
    "on_track",
    "step_of",
    "threshold_of",
    "thresholds_told",
    "with_asking",
]

ASK = "ask a person"
MOST_CLASSES = 12  # whose costs fit on a page


@dataclass(frozen=True)
class Deciding:
    """
    Decisions on the reader's rows.

    Attributes
    ----------
    costs : Costs
    counts : ndarray of int of shape (classes, decisions)
        The rows of each class by what was decided.
    found : Realised
        What the decisions of least expected cost cost.
    cost : float
        What a row costs as it was decided, which may be by another threshold.
    """

    costs: Costs
    counts: NDArray[np.int64]
    found: Realised
    cost: float


def costs_at_first(own: OwnScores, given: str | None, of_model: Costs | None = None) -> tuple[Costs | None, str]:
    """Return the costs that the command named, or its model has, or 1 for every mistake; and what is wrong with them, if anything."""
    right = 1.0 - np.eye(len(own.classes))
    plain = Costs(right, tuple(own.classes), tuple(own.classes)) if len(own.classes) <= MOST_CLASSES else None
    try:
        asked = of_model if given is None else read_costs(Path(given))
        return (plain if asked is None else Rule(asked).settled(own.classes).costs), ""
    except (InputError, OSError) as error:
        return plain, str(error)


def costs_named(own: OwnScores, decisions: Sequence[str], matrix: Sequence[Sequence[float]]) -> Costs:
    """Return the costs of the reader's classes."""
    return Costs(np.array(matrix, np.float64), tuple(own.classes), tuple(decisions))


def with_asking(costs: Costs, *, asking: bool) -> Costs:
    """Return costs with or without a last decision that is to ask a person; it begins at half of what the worst costs of the class that it is least bad for."""
    lines, names = costs.matrix, list(costs.decisions)
    if asking and ASK not in names:
        lines = np.column_stack([lines, np.full(len(lines), lines.max(axis=1).min() / 2)])
        names.append(ASK)
    elif not asking and ASK in names and len(names) > 1:
        lines = np.delete(lines, names.index(ASK), axis=1)
        names.remove(ASK)
    return Costs(lines, costs.classes, tuple(names))


def step_of(costs: Costs) -> float:
    """Return by how much a drag of a few pixels changes a cost: a round hundredth of the largest, or less."""
    largest = float(np.abs(costs.matrix).max()) or 1.0
    return float(10.0 ** np.floor(np.log10(largest / 10)))


def threshold_of(costs: Costs) -> float | None:
    """Return the probability of the second class from which the other decision is made, of two classes and two decisions."""
    if costs.matrix.shape != (2, 2) or len(order := costs.thresholds()) < 2:
        return None
    return float(sigmoid(order[1][1]))


def on_track(threshold: float) -> float:
    """Return where a threshold lies on the slider's track, in steps of 0.005 from 0.005 to 0.995."""
    return min(0.995, max(0.005, round(threshold / 0.005) * 0.005))


def moved_to(value: float, threshold: float) -> float | None:
    """Return where the slider was moved; None where it still stands at the costs' threshold, which is then right to its last digit."""
    return value if abs(value - on_track(threshold)) > 1e-9 else None


def thresholds_told(costs: Costs) -> str:
    """Return in words from which probability on which decision is made, of two classes."""
    order = costs.thresholds()
    names = [f"“{costs.decisions[d]}”" for d, _ in order]
    if len(order) == 1:
        return f"With these costs {names[0]} is best whatever the probability."
    begins = [
        f"{name} from **{float(sigmoid(at)):.4g}** on" for name, (_, at) in zip(names[1:], order[1:], strict=True)
    ]
    return f"By the probability of “{costs.classes[1]}”: {names[0]} below, {', '.join(begins)}."


def deciding(own: OwnScores, temperature: float, costs: Costs, threshold: float | None = None) -> Deciding:
    """Decide for every row, by the costs or from another threshold on."""
    z = own.scores[:, 1] - own.scores[:, 0] if len(own.classes) == 2 else own.scores
    z = z / temperature
    choice = decide(z, costs, form="logits").choice
    if threshold is not None:
        order = costs.thresholds()
        choice = np.where(z >= float(logit(threshold)), order[-1][0], order[0][0])
    k, d = costs.matrix.shape
    counts = np.bincount(own.truth * d + choice, minlength=k * d).reshape(k, d)
    found = realised(z, own.truth, costs, form="logits", classes=list(range(k)))
    return Deciding(costs, counts, found, float(costs.matrix[own.truth, choice].mean()))


def decision_figures(of: Deciding, *, moved: bool = False) -> dict[str, float]:
    """Return what the decisions of least expected cost cost, beside what else one could do; and what those of another threshold do."""
    name, constant = of.found.constant
    mean = of.found.mean
    shown = {"by this threshold": of.cost} if moved else {}
    shown |= {"cost of a row": mean.mean, "95 %, from": mean.low, "to": mean.high, "expected": of.found.expected}
    shown |= {f"always “{name}”": constant.mean}
    if of.found.hindsight is not None:
        shown["best in hindsight"] = of.found.hindsight[1]
    return shown


def decision_table(own: OwnScores, of: Deciding) -> Any:
    """Show what was decided of the rows of each class, and what that cost."""
    paid = (of.counts * of.costs.matrix).sum(axis=1)
    rows = [
        [escape(c), *(f"{n:,}" for n in line), f"{cost:,.6g}"]
        for c, line, cost in zip(own.classes, of.counts.tolist(), paid.tolist(), strict=True)
    ]
    rows.append(["all", *(f"{n:,}" for n in of.counts.sum(axis=0).tolist()), f"{paid.sum():,.6g}"])
    return table(["true class", *map(escape, of.costs.decisions), "cost"], rows, "decisions")


def decision_charts(own: OwnScores, temperature: float, of: Deciding, threshold: float | None = None) -> list[Any]:
    """Draw, of two classes, what each decision is expected to cost, and what a row costs over all thresholds."""
    if len(own.classes) != 2:
        return []
    drawn = [plots.decision_lines(of.costs)]
    if threshold_of(of.costs) is not None:
        chosen = None if threshold is None else (threshold, of.cost)
        drawn.append(plots.threshold_costs(own.evidence(temperature), of.costs, of.found, chosen))
    return [chart(one) for one in drawn]


def confusion(own: OwnScores) -> Any:
    """Show what is taken for what: a line for each true class, a column for each prediction."""
    k = len(own.classes)
    counts = np.bincount(own.truth * k + own.scores.argmax(axis=1), minlength=k * k).reshape(k, k)
    rows = [[escape(c), *(f"{n:,}" for n in row)] for c, row in zip(own.classes, counts.tolist(), strict=True)]
    return table(["true class", *map(escape, own.classes)], rows[:40], "confusion")
