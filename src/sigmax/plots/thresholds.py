"""Two classes at every threshold, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.plots.style import BLUE, GREY, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["precision_recall_chart", "roc_chart"]


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
