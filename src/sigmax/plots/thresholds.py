"""Two classes at every threshold, drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.decisions import curves_of
from sigmax.plots.style import BLUE, GREEN, GREY, ORANGE, PALETTE, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sigmax.calibration import Evidence
    from sigmax.decisions import Costs, Realised

__all__ = ["decision_lines", "precision_recall_chart", "roc_chart", "threshold_costs"]

MOST_POINTS = 400


def roc_chart(false_alarm_rate: ArrayLike, recall: ArrayLike, area: float) -> Any:
    """Draw what share of one class is found over the share of the other that is taken for it, at all thresholds."""
    return _share_curve(
        false_alarm_rate,
        recall,
        ("false alarms, share of the first class", "found, share of the second class"),
        ("ROC curve", f"area {area:.4f}; the broken line is guessing, 0.5"),
        [(0.0, 0.0), (1.0, 1.0)],
    )


def precision_recall_chart(recall: ArrayLike, precision: ArrayLike, average: float, share: float) -> Any:
    """Draw how many of those that are said to be of the second class are, over the share of it that is found."""
    return _share_curve(
        recall,
        precision,
        ("found (recall)", "right among those said (precision)"),
        ("Precision and recall", f"average precision {average:.4f}; the broken line is guessing, {share:.4f}"),
        [(0.0, share), (1.0, share)],
    )


def threshold_costs(evidence: Evidence, costs: Costs, paid: Realised, chosen: tuple[float, float] | None = None) -> Any:
    """
    Draw what a row costs over the probability from which the other of two decisions is made.

    Parameters
    ----------
    evidence : Evidence
        The rows, of two classes.
    costs : Costs
        Of two decisions.
    paid : Realised
        What decisions by the costs cost on these rows.
    chosen : tuple of float, optional
        Another threshold, and what a row costs with it.
    """
    order = costs.thresholds()
    low = order[0][0]
    high = order[-1][0] if len(order) > 1 else 1 - low
    curves = curves_of(evidence)
    rows = curves.positives + curves.negatives
    first, second = costs.matrix
    saved = (curves.false_alarms * (first[high] - first[low]) + curves.hits * (second[high] - second[low])) / rows
    cost = (curves.negatives * first[low] + curves.positives * second[low]) / rows + saved
    at = np.minimum(curves.threshold, 1.0)
    kept = np.unique(np.linspace(0, at.size - 1, min(at.size, MOST_POINTS)).round().astype(int))
    begin = 1 / (1 + math.exp(-order[-1][1])) if len(order) > 1 and order[-1][1] > -700 else 0.0
    best = int(cost.argmin())

    across = alt.X("x:Q", title=f"“{costs.decisions[high]}” from a probability of", scale=alt.Scale(domain=[0, 1]))
    up = alt.Y("y:Q", title="cost of a row", scale=alt.Scale(zero=False))
    line = (
        alt.Chart(rows_of(x=at[kept], y=cost[kept]))
        .mark_line(strokeWidth=2.5, color=BLUE, interpolate="step-after")
        .encode(x=across, y=up)
    )
    points = {"by the costs": (begin, paid.mean.mean), "best for these rows": (float(at[best]), float(cost[best]))}
    if chosen is not None:
        points["chosen"] = chosen
    marks = rows_of(x=[x for x, _ in points.values()], y=[y for _, y in points.values()], what=list(points))
    told = ["by the costs", "best for these rows", "chosen"][: len(points)]
    colour = alt.Color("what:N", scale=alt.Scale(domain=told, range=[ORANGE, GREEN, GREY][: len(points)]))
    shape = alt.Shape("what:N", scale=alt.Scale(domain=told, range=["circle", "diamond", "square"][: len(points)]))
    dots = (
        alt.Chart(marks).mark_point(filled=True, size=110, opacity=1).encode(x=across, y=up, color=colour, shape=shape)
    )
    head = alt.TitleParams(
        "What decisions cost",
        subtitle=f"{paid.mean.mean:.4g} from {begin:.3g} on; the best, {cost[best]:.4g} from {at[best]:.3g} on",
    )
    return on_light((line + dots).properties(width=320, height=260, title=head))


def decision_lines(costs: Costs) -> Any:
    """
    Draw what each decision is expected to cost over the probability of the second of two classes: the lowest line is the decision.

    Parameters
    ----------
    costs : Costs
        Of two classes.
    """
    names = list(costs.decisions)
    first, second = costs.matrix
    ends = rows_of(
        p=[0.0, 1.0] * len(names), cost=np.column_stack([first, second]).ravel(), what=np.repeat(np.array(names), 2)
    )
    scale = alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])
    across = alt.X("p:Q", title=f"probability of “{costs.classes[1]}”", scale=alt.Scale(domain=[0, 1]))
    up = alt.Y("cost:Q", title="expected cost")
    colour = alt.Color("what:N", scale=scale, legend=alt.Legend(labelLimit=160, columns=3))
    lines = alt.Chart(ends).mark_line(strokeWidth=1.5, opacity=0.6).encode(x=across, y=up, color=colour)
    order = costs.thresholds()
    at = [0.0, *(1 / (1 + math.exp(-min(max(z, -700.0), 700.0))) for _, z in order[1:]), 1.0]
    parts = [(p, d) for (d, _), begin, end in zip(order, at[:-1], at[1:], strict=True) for p in (begin, end)]
    lowest = rows_of(
        p=[p for p, _ in parts],
        cost=[(1 - p) * first[d] + p * second[d] for p, d in parts],
        what=[names[d] for _, d in parts],
    )
    least = alt.Chart(lowest).mark_line(strokeWidth=4).encode(x=across, y=up, color=colour)
    rules = (
        alt.Chart(rows_of(p=at[1:-1])).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x=across)
        if len(order) > 1
        else None
    )
    begins = ", ".join(f"{p:.3g}" for p in at[1:-1])
    head = alt.TitleParams(
        "What each decision is expected to cost",
        subtitle=f"the lowest is made; it changes at {begins}" if begins else "one is the lowest everywhere",
    )
    drawn = lines + least if rules is None else lines + rules + least
    return on_light(drawn.properties(width=320, height=260, title=head))


def _share_curve(
    x: ArrayLike, y: ArrayLike, axes: tuple[str, str], title: tuple[str, str], guess: list[tuple[float, float]]
) -> Any:
    across, up = (alt.Scale(domain=[0, 1]) for _ in range(2))
    horizontal, vertical = alt.X("x:Q", title=axes[0], scale=across), alt.Y("y:Q", title=axes[1], scale=up)
    data = rows_of(x=x, y=y, order=np.arange(np.size(x)))
    curve = alt.Chart(data).mark_line(strokeWidth=2.5, color=BLUE).encode(x=horizontal, y=vertical, order="order:Q")
    ends = rows_of(x=[g[0] for g in guess], y=[g[1] for g in guess])
    line = alt.Chart(ends).mark_line(strokeDash=[4, 3], color=GREY, strokeWidth=1.5).encode(x=horizontal, y=vertical)
    head = alt.TitleParams(title[0], subtitle=title[1])
    return on_light((line + curve).properties(width=320, height=260, title=head))
