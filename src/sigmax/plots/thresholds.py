"""Two classes at every threshold, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.plots.style import BLUE, GREEN, GREY, ORANGE, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["cost_chart", "precision_recall_chart", "roc_chart"]


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


def cost_chart(
    probability: ArrayLike,
    cost: ArrayLike,
    decided: tuple[float, float],
    best: tuple[float, float],
    names: tuple[str, str],
) -> Any:
    """
    Draw what a row costs over the probability from which the second decision is made.

    Parameters
    ----------
    probability, cost : array_like of shape (points,)
    decided, best : tuple of float
        The threshold that the costs ask for, and the one that would have been the best for these rows; and what a row costs with each.
    names : tuple of str
        Of the decisions.
    """
    across = alt.X("x:Q", title=f"'{names[1]}' from a probability of", scale=alt.Scale(domain=[0, 1]))
    up = alt.Y("y:Q", title="cost of a row", scale=alt.Scale(zero=False))
    line = (
        alt.Chart(rows_of(x=probability, y=cost))
        .mark_line(strokeWidth=2.5, color=BLUE, interpolate="step-after")
        .encode(x=across, y=up)
    )
    told = ["by the costs", "best for these rows"]
    marks = rows_of(x=[decided[0], best[0]], y=[decided[1], best[1]], what=told)
    colour = alt.Color("what:N", scale=alt.Scale(domain=told, range=[ORANGE, GREEN]))
    shape = alt.Shape("what:N", scale=alt.Scale(domain=told, range=["circle", "diamond"]))
    dots = (
        alt.Chart(marks).mark_point(filled=True, size=110, opacity=1).encode(x=across, y=up, color=colour, shape=shape)
    )
    head = alt.TitleParams(
        "What decisions cost",
        subtitle=f"{decided[1]:.4g} from {decided[0]:.3g} on; the best, {best[1]:.4g} from {best[0]:.3g} on",
    )
    return on_light((line + dots).properties(width=320, height=260, title=head))


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
