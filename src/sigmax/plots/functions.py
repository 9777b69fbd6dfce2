"""The functions of two classes, drawn."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

import sigmax
from sigmax.errors import InputError
from sigmax.plots.style import BLUE, FARTHEST, HORSE, ORANGE, number, on_light, rows_of, text_mark

__all__ = ["odds_and_log_odds", "sigmoid_curve"]


def sigmoid_curve(logit: float | None = None, *, low: float = -6.0, high: float = 6.0) -> Any:
    """
    Draw the probabilities of two classes over the logit: the sigmoid, and 1 minus it.

    Parameters
    ----------
    logit : float, optional
        A logit to mark on both curves.
    low, high : float
        The range of logits.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> from sigmax import plots
    >>> chart = plots.sigmoid_curve(logit=-0.98)
    """
    if not low < high:
        raise InputError(f"logits from {low} to {high}: low must be below high")
    if logit is not None and not low <= logit <= high:
        if not abs(logit) <= FARTHEST:
            raise InputError(f"the logit is {logit:g}; the picture reaches from {-FARTHEST} to {FARTHEST}")
        low, high = min(low, -1.2 * abs(logit)), max(high, 1.2 * abs(logit))
    x = np.linspace(low, high, 241)
    names = ["P(class 1) = sigmoid(x)", "P(class 2) = 1 − P(class 1)"]
    data = rows_of(
        x=np.tile(x, 2), p=np.concatenate([sigmax.sigmoid(x), sigmax.sigmoid(-x)]), curve=np.repeat(names, x.size)
    )
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    colour = alt.Color("curve:N", scale=alt.Scale(domain=names, range=[BLUE, ORANGE]), legend=legend)
    dash = alt.StrokeDash("curve:N", scale=alt.Scale(domain=names, range=[[1, 0], [6, 3]]), legend=legend)
    horizontal = alt.X("x:Q", title="logit x, any real number", scale=alt.Scale(domain=[low, high], nice=False))
    vertical = alt.Y("p:Q", title="probability", scale=alt.Scale(domain=[0, 1]))
    curves = alt.Chart(data).mark_line(strokeWidth=2.5).encode(x=horizontal, y=vertical, color=colour, strokeDash=dash)
    layers = [curves]
    if logit is not None:
        p = sigmax.sigmoid(np.array([logit, -logit]))
        marked = alt.Chart(rows_of(x=[logit, logit], p=p, curve=names, text=[number(v) for v in p]))
        layers.append(marked.mark_rule(strokeDash=[2, 2]).encode(x="x:Q"))
        layers.append(marked.mark_point(filled=True, size=70, opacity=1).encode(x="x:Q", y="p:Q", color=colour))
        near = 0 <= p[0] - p[1] < 0.2  # where the dots lie side by side, each number stands on its own side
        for name, below in zip(names, (-8, 14) if near else (14, -8), strict=True):  # beside the curve, not on it
            value = marked.transform_filter(alt.datum.curve == name)
            layers.append(text_mark(value, dict(x="x:Q", y="p:Q", text="text:N"), align="left", dx=8, dy=below))
    chart = alt.layer(*layers).properties(width=480, height=260, title="Two classes: the sigmoid of a logit")
    return on_light(chart)


def odds_and_log_odds(probability: float = HORSE) -> Any:
    """
    Draw the odds p / (1 - p) over the probability, on a linear and on a logarithmic scale, and the log-odds.

    The second and the third picture have the same shape: the logit is the odds on a logarithmic scale.

    Parameters
    ----------
    probability : float
        The one to mark, above 0 and below 1; 3/11 is a horse at odds of 3 : 8.

    Returns
    -------
    altair.HConcatChart

    Examples
    --------
    >>> from sigmax import plots
    >>> chart = plots.odds_and_log_odds(0.5)
    """
    if not 0 < probability < 1:
        raise InputError(f"the probability is {probability}; it must lie between 0 and 1")
    if not 0.005 <= probability <= 0.995:
        raise InputError(f"the probability is {probability}; the picture reaches from 0.005 to 0.995")
    p = np.linspace(0.005, 0.995, 199)
    marked = np.array([probability])

    def panel(title: str, name: str, function: Any, scale: Any, ticks: list[float]) -> Any:
        horizontal = alt.X("p:Q", title="probability p", scale=alt.Scale(domain=[0, 1]))
        vertical = alt.Y("y:Q", title=name, scale=scale, axis=alt.Axis(format="~g", values=ticks))
        curve = alt.Chart(rows_of(p=p, y=function(p))).mark_line(clip=True, strokeWidth=2.5, color=BLUE)
        value = function(marked)
        point = alt.Chart(rows_of(p=marked, y=value, text=[number(value[0])]))
        dots = point.mark_point(clip=True, filled=True, size=70, color=ORANGE, opacity=1).encode(
            x=horizontal, y=vertical
        )
        below = 10 if value[0] < 0 or scale.type == "log" else -10  # beside the curve, not on it
        text = text_mark(point, dict(x=horizontal, y=vertical, text="text:N"), clip=True, align="left", dx=8, dy=below)
        return alt.layer(curve.encode(x=horizontal, y=vertical), dots, text).properties(
            width=200, height=220, title=title
        )

    chart = alt.hconcat(
        panel("odds", "p / (1 − p)", sigmax.odds, alt.Scale(type="linear", domain=[0, 21]), [0, 5, 10, 15, 20]),
        panel(
            "odds, logarithmic scale",
            "p / (1 − p)",
            sigmax.odds,
            alt.Scale(type="log", domain=[0.005, 200]),
            [0.01, 0.1, 1, 10, 100],
        ),
        panel(
            "log-odds: the logit",
            "log(p / (1 − p))",
            sigmax.logit,
            alt.Scale(type="linear", domain=[-5.3, 5.3]),
            [-4, -2, 0, 2, 4],
        ),
        bounds="flush",
        spacing=70,
    )
    return on_light(chart)
