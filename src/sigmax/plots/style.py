"""Colours, type sizes and what else all pictures share."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BLUE",
    "FARTHEST",
    "GREEN",
    "GREY",
    "HORSE",
    "ORANGE",
    "PALETTE",
    "class_scores",
    "colours",
    "light_and_dark",
    "number",
    "on_dark",
    "on_light",
    "rows_of",
    "text_mark",
]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8a8a8a"
# in an order that keeps neighbours apart; more classes than colours repeat them
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8a8a8a"]
HORSE = 3 / 11  # the probability at odds of 3 : 8
FARTHEST = 50  # logit that is drawn
_INK, _GRID, _PAPER = "#222222", "#e2e2e2", "#ffffff"
_DARK_INK, _DARK_GRID, _DARK_PAPER = "#e6e6e6", "#3c4048", "#15181d"
# the same colours, lighter where they would not stand out from the dark
_ON_DARK = {
    BLUE: "#56b4e9",
    ORANGE: "#ff8f3f",
    GREEN: "#2fc79a",
    GREY: "#a0a4aa",
    "#56B4E9": "#a3d8f7",
    _PAPER: _DARK_PAPER,
}


def _config(ink: str, grid: str, paper: str) -> dict[str, Any]:
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    return {
        "background": paper,
        "font": "Helvetica, Arial, sans-serif",
        "axis": {**text, "gridColor": grid, "domainColor": ink, "tickColor": ink, "labelFlush": False},
        "header": text,
        "legend": {**text, "orient": "top", "title": None},
        "title": {"color": ink, "subtitleColor": ink, "anchor": "start", "fontSize": 14, "subtitleFontSize": 12},
        "text": {"color": ink, "fontSize": 12},
        "rule": {"color": ink},
        "view": {"stroke": None},
    }


def on_light(chart: Any) -> Any:
    """Return a chart in the colours of a light page, which the charts of this module have from the start."""
    return chart.configure(**_config(_INK, _GRID, _PAPER))


def on_dark(chart: Any) -> Any:
    """
    Return a chart in the colours of a dark page.

    Parameters
    ----------
    chart : altair.Chart
        One that a function of this module returned.

    Returns
    -------
    altair.Chart
        The same data and marks on a dark ground, in lighter colours.

    Examples
    --------
    >>> from sigmax import plots
    >>> plots.on_dark(plots.sigmoid_curve()).to_dict()["config"]["background"]
    '#15181d'
    """
    dark = type(chart).from_dict(_lighter(chart.to_dict()))
    return dark.configure(**_config(_DARK_INK, _DARK_GRID, _DARK_PAPER))


def _lighter(part: Any, key: str = "") -> Any:
    """Return a part of a specification with the colours for a dark ground; what readers wrote, in its data, stays."""
    if isinstance(part, dict):
        return {k: v if k in ("data", "datasets", "title", "domain") else _lighter(v, k) for k, v in part.items()}
    if isinstance(part, list):
        return [_lighter(v, key) for v in part]
    return _ON_DARK.get(part, part) if key in ("color", "fill", "range", "stroke", "value") else part


def light_and_dark(chart: Any) -> tuple[str, str]:
    """Return a chart as SVG, for a light page and for a dark one: drawn once, which is slow, and the same in other colours."""
    import vl_convert

    light = vl_convert.vegalite_to_svg(chart.to_dict())
    other = {k.lower(): v for k, v in {**_ON_DARK, _INK: _DARK_INK, _GRID: _DARK_GRID}.items()}

    def lighter(colour: re.Match[str]) -> str:
        return f'{colour[1]}="{other.get(colour[2].lower(), colour[2])}"'

    def tag(found: re.Match[str]) -> str:  # not what a reader wrote, which stands between tags or in quotes
        named = re.sub(r'( id="|url\(#)', r"\1dark-", found[0])
        return re.sub(r'(?<= )(fill|stroke)="(#[0-9a-fA-F]{6})"', lighter, named)

    return light, re.sub(r'<(?:[^<>"]|"[^"]*")*>', tag, light)


def rows_of(**columns: Any) -> Any:
    """Return data for a chart from columns of equal length; numbers that JSON lacks become null."""
    lists = {name: np.asarray(values).tolist() for name, values in columns.items()}
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return alt.Data(values=json.loads(json.dumps(rows), parse_constant=lambda _: None))


def number(value: float) -> str:
    """Return a number as it stands in a picture: four digits, and a minus that is one."""
    return f"{value:.4g}".replace("-", "\u2212")


def text_mark(chart: Any, encoding: dict[str, Any], **mark: Any) -> Any:
    """Return text that stays legible on a line: on a rim of the colour of the paper."""
    rim = chart.mark_text(stroke=_PAPER, strokeWidth=4, strokeJoin="round", **mark).encode(**encoding)
    return rim + chart.mark_text(**mark).encode(**encoding)


def class_scores(scores: ArrayLike, names: Sequence[str] | None) -> tuple[NDArray[np.float64], list[str]]:
    """Return one score a class, and the names of the classes; refuse what no picture can show."""
    x = np.asarray(scores, np.float64)
    if x.ndim != 1 or not 2 <= x.size <= 40:
        raise InputError(f"scores of shape {x.shape}: give one vector of 2 to 40 scores, one a class")
    if np.isnan(x).any():
        raise InputError("a score is nan; scores are real numbers")
    classes = [f"class {k + 1}" for k in range(x.size)] if names is None else [str(n) for n in names]
    if len(classes) != x.size or len(set(classes)) < x.size:
        raise InputError(f"{len(classes)} names for {x.size} scores; each class needs a name of its own")
    return x, classes


def colours(names: list[str]) -> Any:
    """Return the colours of classes."""
    return alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])
