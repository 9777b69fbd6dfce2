"""Scores of many classes, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

import sigmax
from sigmax.errors import InputError
from sigmax.plots.style import _PAPER, BLUE, GREY, ORANGE, class_scores, colours, number, on_light, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["sigmoid_each", "softmax_bars", "temperature_curves"]


def softmax_bars(scores: ArrayLike, names: Sequence[str] | None = None, *, temperature: float = 1.0) -> Any:
    """
    Draw the way from the scores of many classes through their odds to their probabilities.

    Parameters
    ----------
    scores : array_like of shape (classes,)
        One score a class.
    names : sequence of str, optional
        The classes' names.
    temperature : float, default 1
        What the scores are divided by.

    Returns
    -------
    altair.HConcatChart

    Examples
    --------
    >>> from sigmax import plots
    >>> chart = plots.softmax_bars([2.0, 1.0, 0.1], ["cat", "dog", "fox"])
    """
    x, classes = class_scores(scores, names)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        z = x / temperature
        odds = np.exp(z)
    p = sigmax.softmax(x, temperature=temperature)
    divided = "" if temperature == 1 else f" / {temperature:g}"
    order = alt.Y("name:N", sort=classes, title=None)

    def panel(title: str, values: NDArray[Any], colour: str, domain: list[float] | None) -> Any:
        data = rows_of(name=classes, value=values, at=np.maximum(values, 0), text=[number(v) for v in values])
        finite = values[np.isfinite(values)]
        low, high = min(0.0, *finite), max(0.0, *finite)
        room = 0.3 * (high - low or 1)  # for the numbers behind the bars
        scale = alt.Scale(domain=domain or [low, high + room], nice=False)
        base = alt.Chart(data, title=title, width=170, height=alt.Step(26))
        bars = base.mark_bar(color=colour).encode(x=alt.X("value:Q", title=None, scale=scale), y=order)
        text = base.mark_text(align="left", dx=4).encode(x="at:Q", y=order, text="text:N")
        return bars + text

    chart = alt.hconcat(
        panel(f"score x{divided}", z, GREY, None),
        panel(f"odds e^x, in all {odds.sum():.4g}", odds, ORANGE, None),
        panel("probability: odds / all odds", p, BLUE, [0, 1.15]),
    )
    return on_light(chart.properties(title="Many classes: the softmax shares out one whole"))


def sigmoid_each(scores: ArrayLike, names: Sequence[str] | None = None) -> Any:
    """
    Draw what a sigmoid of each score gives beside the softmax: it does not add up to 1, and the title says by how much.

    Parameters
    ----------
    scores : array_like of shape (classes,)
        One score a class.
    names : sequence of str, optional
        The classes' names.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> from sigmax import plots
    >>> plots.sigmoid_each([2.0, 1.0, 0.1]).to_dict()["title"]["text"]
    'A sigmoid of each score adds up to 2.137: 1.137 more than one whole'
    """
    x, classes = class_scores(scores, names)
    alone, shares = sigmax.sigmoid(x), sigmax.softmax(x)
    rows = ["a sigmoid each", "softmax"]
    ends = np.concatenate([alone.cumsum(), shares.cumsum()])
    sizes = np.concatenate([alone, shares])
    total = float(alone.sum())
    data = rows_of(
        how=np.repeat(rows, x.size),
        name=classes * 2,
        begin=ends - sizes,
        end=ends,
        middle=ends - sizes / 2,
        text=[f"{v:.2f}" if v >= 0.06 * max(total, 1) else "" for v in sizes],
    )
    horizontal = alt.X(
        "begin:Q", title="sum of the probabilities", scale=alt.Scale(domain=[0, max(total * 1.08, 1.15)])
    )
    vertical = alt.Y("how:N", sort=rows, title=None)
    bars = (
        alt.Chart(data)
        .mark_bar(stroke=_PAPER, strokeWidth=1)
        .encode(
            x=horizontal,
            x2="end:Q",
            y=vertical,
            color=alt.Color("name:N", sort=classes, scale=colours(classes)),
        )
    )
    inside = (
        alt.Chart(data).mark_text(color="#111111", fontWeight="bold").encode(x="middle:Q", y=vertical, text="text:N")
    )
    sums = alt.Chart(rows_of(how=rows, end=[total, 1.0], text=[f"{total:.4g}", "1"]))
    outside = sums.mark_text(align="left", dx=5, fontWeight="bold").encode(x="end:Q", y=vertical, text="text:N")
    one = alt.Chart(rows_of(one=[1.0])).mark_rule(strokeDash=[4, 3], strokeWidth=2).encode(x="one:Q")
    more = "more" if total >= 1 else "less"
    title = f"A sigmoid of each score adds up to {total:.4g}: {abs(total - 1):.4g} {more} than one whole"
    chart = alt.layer(bars, inside, one, outside).properties(
        width=480, height=alt.Step(46), title=alt.TitleParams(title)
    )
    return on_light(chart)


def temperature_curves(
    scores: ArrayLike, names: Sequence[str] | None = None, *, low: float = 0.1, high: float = 20.0
) -> Any:
    """
    Draw the softmax of the same scores over the temperature, from sharp to flat.

    Parameters
    ----------
    scores : array_like of shape (classes,)
        One score a class.
    names : sequence of str, optional
        The classes' names.
    low, high : float
        The range of temperatures, on a logarithmic scale.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> from sigmax import plots
    >>> chart = plots.temperature_curves([2.0, 1.0, 0.1])
    """
    x, classes = class_scores(scores, names)
    if not 0 < low < high:
        raise InputError(f"temperatures from {low} to {high}: 0 < low < high")
    t = np.geomspace(low, high, 161)
    p = sigmax.softmax(np.broadcast_to(x, (t.size, x.size)), temperature=t)
    data = rows_of(t=np.repeat(t, x.size), name=classes * t.size, p=p.ravel())
    base = alt.Chart(data)
    lines = base.mark_line(strokeWidth=2.5).encode(
        x=alt.X(
            "t:Q",
            title="temperature (logarithmic)",
            scale=alt.Scale(type="log", domain=[low, high], nice=False),
            axis=alt.Axis(format="~g"),
        ),
        y=alt.Y("p:Q", title="probability", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("name:N", sort=classes, scale=colours(classes)),
    )
    marks = alt.Chart(rows_of(t=[1.0], y=[0.97], text=["the scores as they are"]))
    one = marks.mark_rule(strokeDash=[4, 3]).encode(x="t:Q")
    flat = alt.Chart(rows_of(t=[high], p=[1 / x.size], text=[f"1/{x.size}"]))
    level = flat.mark_rule(strokeDash=[1, 3]).encode(y="p:Q")
    caption = marks.mark_text(align="left", dx=5).encode(x="t:Q", y="y:Q", text="text:N")
    chart = alt.layer(level, one, lines, caption).properties(
        width=480, height=260, title="Temperature: the same scores from sharp to flat"
    )
    return on_light(chart)
