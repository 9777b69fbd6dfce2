"""A weighted sum, term by term, drawn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import altair as alt

from sigmax.errors import InputError
from sigmax.plots.style import BLUE, GREY, ORANGE, number, on_light, rows_of, text_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["terms_chart"]

MOST = 15  # terms that are drawn by themselves


def terms_chart(sums: Sequence[tuple[str, Sequence[tuple[str, float, float]], float]]) -> Any:
    """
    Draw weighted sums as steps from 0 to the score: each begins where the one above ends.

    Parameters
    ----------
    sums : sequence of (str, list of (str, float, float), float)
        Each has a title, its terms (a feature, its value, its weight) in the order in which they are drawn with the constant last, and what they add up to.
    """
    if not sums:
        raise InputError("there are no terms to draw")
    panels = [_steps(terms, total).properties(width=360, title=title) for title, terms, total in sums]
    return on_light(panels[0] if len(panels) == 1 else alt.concat(*panels, columns=2))


def _steps(terms: Sequence[tuple[str, float, float]], total: float) -> Any:
    steps = [(f"{name} = {number(x)}" if name != "(constant)" else "constant", x * w) for name, x, w in terms]
    if len(steps) > MOST:
        *own, last = steps
        rest = own[MOST - 2 :]
        steps = [*own[: MOST - 2], (f"{len(rest)} smaller ones", sum(v for _, v in rest)), last]
    ends = list(itertools.accumulate(v for _, v in steps))
    begins = [0.0, *ends[:-1]]
    kinds = ["adds", "takes away"]
    data = rows_of(
        term=[*(f"{i + 1}. {name}" for i, (name, _) in enumerate(steps)), "sum z"],  # two features may look alike
        begin=[*begins, 0.0],
        end=[*ends, total],
        right=[max(step) for step in zip([*begins, 0.0], [*ends, total], strict=True)],
        what=[*(kinds[v < 0] for _, v in steps), "the score"],
        told=[*(f"{'+' if v >= 0 else ''}{number(v)}" for _, v in steps), number(total)],
        order=list(range(len(steps) + 1)),
    )
    up = alt.Y("term:N", title=None, sort=alt.SortField("order"), axis=alt.Axis(labelLimit=220))
    across = alt.X("begin:Q", title="the score, from 0 on", scale=alt.Scale(padding=30))
    colour = alt.Color("what:N", scale=alt.Scale(domain=[*kinds, "the score"], range=[BLUE, ORANGE, GREY]))
    base = alt.Chart(data)
    zero = alt.Chart(rows_of(x=[0.0])).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="x:Q")
    bars = base.mark_bar(height={"band": 0.6}).encode(x=across, x2="end:Q", y=up, color=colour)
    told = text_mark(base, {"x": "right:Q", "y": up, "text": "told:N"}, align="left", dx=4)
    return zero + bars + told
