"""
Pictures of the functions and of scores, as Altair charts: every number in them is computed by this library.

The functions take plain arrays and return charts that a notebook shows as they are; :func:`save` writes PNG, SVG, PDF or a page
of HTML that needs no network. Colours are those of Okabe and Ito, which colour-blind readers tell apart; :func:`on_dark` turns
a chart for a dark page. Needs ``pip install 'sigmax[plot]'``.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.calibration import CalibrationError, Reliability, bin_of, calibration_error, confidence_of, reliability
from sigmax.host.dtypes import BFLOAT16
from sigmax.writing import write_whole

try:
    import altair as alt
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"sigmax.plots needs '{missing.name}'; install it with: pip install 'sigmax[plot]'", name=missing.name
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "confidence_histogram",
    "formula_errors",
    "odds_and_log_odds",
    "on_dark",
    "on_light",
    "reliability_diagram",
    "save",
    "sigmoid_curve",
    "sigmoid_each",
    "softmax_bars",
    "temperature_curves",
]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8a8a8a"
# in an order that keeps neighbours apart; more classes than colours repeat them
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8a8a8a"]
HORSE = 3 / 11  # the probability at odds of 3 : 8

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
    """Return a chart as SVG, for a light page and for a dark one."""
    import vl_convert

    light, dark = (vl_convert.vegalite_to_svg(c.to_dict()) for c in (chart, on_dark(chart)))
    return light, dark


MOST_PIXELS = 20  # of a PNG for one of the picture
FARTHEST = 50  # logit that is drawn


def save(chart: Any, path: str | Path, *, scale: float = 2.0) -> None:
    """
    Write a chart to a file; the ending names the format.

    Parameters
    ----------
    chart : altair.Chart
        What to write.
    path : str or Path
        A file that ends in .png, .svg, .pdf or .html. A page of HTML carries all it needs and opens without network.
    scale : float, default 2
        Pixels of a PNG for each pixel of the chart.

    Raises
    ------
    ValueError
        If the ending names none of the formats.
    """
    import vl_convert

    path = Path(path)
    kind = check_ending(path)
    if not 0 < scale <= MOST_PIXELS:
        raise ValueError(f"the scale is {scale:g}; it must be above 0 and at most {MOST_PIXELS}")
    spec = chart.to_dict()
    if kind == ".png":
        content = vl_convert.vegalite_to_png(spec, scale=scale)
    elif kind == ".svg":
        content = vl_convert.vegalite_to_svg(spec).encode()
    elif kind == ".pdf":
        content = vl_convert.vegalite_to_pdf(spec)
    else:
        content = _page(spec, vl_convert.vegalite_to_html(_NOTHING, bundle=True)).encode()
    write_whole(path, content)


def check_ending(path: Path) -> str:
    """Return the ending of a picture's file; a ValueError if there is no such format."""
    known = (".png", ".svg", ".pdf", ".html")
    if path.suffix.lower() not in known:
        raise ValueError(f"{path}: unknown ending '{path.suffix}'; use one of {', '.join(known)}")
    return path.suffix.lower()


_NOTHING: dict[str, Any] = {"$schema": alt.SCHEMA_URL, "data": {"values": []}, "mark": "point"}


def _page(spec: dict[str, Any], html: str) -> str:
    """
    Put a chart into a page made for nothing, with a title and the ground of the chart.

    The specification holds what its readers wrote, such as names of classes: in a script no `<` may stand, which could end it.
    """
    found = re.findall(r"spec = \{.*\};", html)
    if len(found) != 1:
        raise RuntimeError(
            "vl-convert writes another page than it did; its script has no specification to put the chart in"
        )
    script = "spec = " + json.dumps(spec).replace("<", "\\u003c") + ";"
    title = spec.get("title", "sigmax")
    title = title if isinstance(title, str) else title.get("text", "sigmax")
    ground = spec["config"]["background"]
    style = f"<title>{escape(title)}</title><style>body{{background:{ground};margin:2rem}}</style>"
    html = html.replace("<head>", f'<head><meta name="viewport" content="width=device-width">{style}', 1)
    return html.replace(found[0], script)


def rows_of(**columns: Any) -> Any:
    """Return data for a chart from columns of equal length; numbers that JSON lacks become null."""
    lists = {name: np.asarray(values).tolist() for name, values in columns.items()}
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return alt.Data(values=json.loads(json.dumps(rows), parse_constant=lambda _: None))


def _number(value: float) -> str:
    """Return a number as it stands in a picture: four digits, and a minus that is one."""
    return f"{value:.4g}".replace("-", "\u2212")


def _text(chart: Any, encoding: dict[str, Any], **mark: Any) -> Any:
    """Return text that stays legible on a line: on a rim of the colour of the paper."""
    rim = chart.mark_text(stroke=_PAPER, strokeWidth=4, strokeJoin="round", **mark).encode(**encoding)
    return rim + chart.mark_text(**mark).encode(**encoding)


def _scores(scores: ArrayLike, names: Sequence[str] | None) -> tuple[NDArray[np.float64], list[str]]:
    x = np.asarray(scores, np.float64)
    if x.ndim != 1 or not 2 <= x.size <= 40:
        raise ValueError(f"scores of shape {x.shape}: give one vector of 2 to 40 scores, one a class")
    if np.isnan(x).any():
        raise ValueError("a score is nan; scores are real numbers")
    classes = [f"class {k + 1}" for k in range(x.size)] if names is None else [str(n) for n in names]
    if len(classes) != x.size or len(set(classes)) < x.size:
        raise ValueError(f"{len(classes)} names for {x.size} scores; each class needs a name of its own")
    return x, classes


def _colours(names: list[str]) -> Any:
    return alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])


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
        raise ValueError(f"logits from {low} to {high}: low must be below high")
    if logit is not None and not low <= logit <= high:
        if not abs(logit) <= FARTHEST:
            raise ValueError(f"the logit is {logit:g}; the picture reaches from {-FARTHEST} to {FARTHEST}")
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
        marked = alt.Chart(rows_of(x=[logit, logit], p=p, curve=names, text=[_number(v) for v in p]))
        layers.append(marked.mark_rule(strokeDash=[2, 2]).encode(x="x:Q"))
        layers.append(marked.mark_point(filled=True, size=70, opacity=1).encode(x="x:Q", y="p:Q", color=colour))
        near = 0 <= p[0] - p[1] < 0.2  # where the dots lie side by side, each number stands on its own side
        for name, below in zip(names, (-8, 14) if near else (14, -8), strict=True):  # beside the curve, not on it
            value = marked.transform_filter(alt.datum.curve == name)
            layers.append(_text(value, dict(x="x:Q", y="p:Q", text="text:N"), align="left", dx=8, dy=below))
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
        raise ValueError(f"the probability is {probability}; it must lie between 0 and 1")
    if not 0.005 <= probability <= 0.995:
        raise ValueError(f"the probability is {probability}; the picture reaches from 0.005 to 0.995")
    p = np.linspace(0.005, 0.995, 199)
    marked = np.array([probability])

    def panel(title: str, name: str, function: Any, scale: Any, ticks: list[float]) -> Any:
        horizontal = alt.X("p:Q", title="probability p", scale=alt.Scale(domain=[0, 1]))
        vertical = alt.Y("y:Q", title=name, scale=scale, axis=alt.Axis(format="~g", values=ticks))
        curve = alt.Chart(rows_of(p=p, y=function(p))).mark_line(clip=True, strokeWidth=2.5, color=BLUE)
        value = function(marked)
        point = alt.Chart(rows_of(p=marked, y=value, text=[_number(value[0])]))
        dots = point.mark_point(clip=True, filled=True, size=70, color=ORANGE, opacity=1).encode(
            x=horizontal, y=vertical
        )
        below = 10 if value[0] < 0 or scale.type == "log" else -10  # beside the curve, not on it
        text = _text(point, dict(x=horizontal, y=vertical, text="text:N"), clip=True, align="left", dx=8, dy=below)
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
    x, classes = _scores(scores, names)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        z = x / temperature
        odds = np.exp(z)
    p = sigmax.softmax(x, temperature=temperature)
    divided = "" if temperature == 1 else f" / {temperature:g}"
    order = alt.Y("name:N", sort=classes, title=None)

    def panel(title: str, values: NDArray[Any], colour: str, domain: list[float] | None) -> Any:
        data = rows_of(name=classes, value=values, at=np.maximum(values, 0), text=[_number(v) for v in values])
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
    x, classes = _scores(scores, names)
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
            color=alt.Color("name:N", sort=classes, scale=_colours(classes)),
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
    x, classes = _scores(scores, names)
    if not 0 < low < high:
        raise ValueError(f"temperatures from {low} to {high}: 0 < low < high")
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
        color=alt.Color("name:N", sort=classes, scale=_colours(classes)),
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


def formula_errors() -> Any:
    """
    Draw how far the textbook formulas are off in float16, bfloat16 and float32, beside this library.

    One line of pictures a function, one column a type. Errors are in units in the last place of the type, on a logarithmic
    scale, against the same function in float64; half a unit is perfect rounding.

    Returns
    -------
    altair.VConcatChart

    Examples
    --------
    >>> from sigmax import plots
    >>> chart = plots.formula_errors()
    """
    kinds = {"float16": np.dtype(np.float16), "bfloat16": BFLOAT16, "float32": np.dtype(np.float32)}
    rows = []
    for title, axis, textbook, ours, inputs in _formulas():
        panels: list[Any] = []
        for name, dtype in kinds.items():
            x = np.unique(inputs.astype(dtype))
            with np.errstate(all="ignore"):
                x = x[np.isfinite(ours(x.astype(np.float64)))]
                wrong, right, true = textbook(x), ours(x), ours(x.astype(np.float64))
            makers = ["textbook formula", "sigmax"]
            errors = np.concatenate([_ulps(wrong, true, dtype), _ulps(right, true, dtype)])
            data = rows_of(
                x=np.tile(x.astype(np.float64), 2),
                error=np.clip(errors, 0.01, 1e8),
                who=np.repeat(makers, x.size),
            )
            panels.append(
                alt.Chart(data, width=200, height=130, title=f"{title}, {name}")
                .mark_point(filled=True, size=7, opacity=0.8)
                .encode(
                    x=alt.X("x:Q", title=axis),
                    y=alt.Y(
                        "error:Q",
                        title="ulp" if not panels else None,
                        scale=alt.Scale(type="log", domain=[0.01, 1e8]),
                        axis=alt.Axis(
                            values=[0.01, 0.5, 1e2, 1e4, 1e6, 1e8],
                            labelExpr="datum.value > 1 ? '1e' + round(log(datum.value) / LN10) : datum.value",
                        ),
                    ),
                    color=alt.Color("who:N", scale=alt.Scale(domain=makers, range=[ORANGE, BLUE])),
                )
            )
        rows.append(alt.hconcat(*panels))
    chart = alt.vconcat(*rows).properties(
        title="Where the textbook formulas go wrong: error in units in the last place"
    )
    return on_light(chart)


def _formulas() -> list[tuple[str, str, Any, Any, NDArray[np.float64]]]:
    """Return each function with its axis, the textbook formula, ours, and the inputs to show."""

    def naive_log_softmax(x: Any) -> Any:
        e = np.exp(np.stack([x, np.zeros_like(x)], axis=-1))
        return np.log(e[..., 0] / (e[..., 0] + e[..., 1]))

    def log_softmax(x: Any) -> Any:
        return sigmax.log_softmax(np.stack([x, np.zeros_like(x)], axis=-1))[..., 0]

    scores = np.linspace(-20, 20, 401)
    return [
        ("sigmoid", "x", lambda x: x.dtype.type(1) / (x.dtype.type(1) + np.exp(-x)), sigmax.sigmoid, scores),
        (
            "logit",
            "p",
            lambda p: np.log(p / (p.dtype.type(1) - p)),
            sigmax.logit,
            np.concatenate([np.linspace(0.001, 0.999, 300), 0.5 + np.linspace(-0.01, 0.01, 101)]),
        ),
        ("log-softmax of (x, 0)", "x", naive_log_softmax, log_softmax, scores),
    ]


def _ulps(got: Any, true: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """Return errors in units in the last place; infinite where a result is infinite or not a number and the truth is finite."""
    digits, smallest = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126)}[dtype.name]
    exponent = np.maximum(np.frexp(np.where(true == 0, 1, true))[1] - 1, smallest)
    error = np.abs(np.asarray(got, np.float64) - true) / np.ldexp(1.0, exponent - digits)
    return np.where(np.isnan(error), np.inf, error)


def confidence_histogram(probabilities: ArrayLike, labels: ArrayLike | None = None, *, bins: int = 20) -> Any:
    """
    Draw how sure a classifier is: rows by the probability of their predicted class.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second.
    labels : array_like of int of shape (rows,), optional
        The true classes, by number from 0; the bars are then divided into right and wrong predictions.
    bins : int, default 20
        The number of bars from 0 to 1.

    Returns
    -------
    altair.Chart

    Examples
    --------
    >>> import sigmax
    >>> from sigmax import plots
    >>> p = sigmax.softmax([[2.0, 1.0, 0.1], [0.3, 0.1, 4.0]])
    >>> chart = plots.confidence_histogram(p, [0, 2])
    """
    confidence, correct = confidence_of(probabilities, labels)
    return confidence_chart(histogram_counts(confidence, correct, bins))


def histogram_counts(confidence: NDArray[Any], correct: NDArray[np.bool_] | None, bins: int) -> dict[str, NDArray[Any]]:
    """Return the number of rows in each of `bins` parts of [0, 1], by what became of them."""
    if bins < 1:
        raise ValueError(f"{bins} bins; there must be at least 1")
    groups = {"rows": np.ones(confidence.shape, bool)} if correct is None else {"right": correct, "wrong": ~correct}
    where = bin_of(confidence, bins)
    return {name: np.bincount(where[which], minlength=bins) for name, which in groups.items()}


def confidence_chart(counts: dict[str, NDArray[Any]]) -> Any:
    """Draw the counts of `histogram_counts`."""
    names = list(counts)
    bins = len(counts[names[0]])
    edges = np.linspace(0, 1, bins + 1)
    rows = sum(int(c.sum()) for c in counts.values())
    data = rows_of(
        low=np.tile(edges[:-1], len(names)),
        high=np.tile(edges[1:], len(names)),
        rows=np.concatenate([counts[n] for n in names]),
        outcome=np.repeat(names, bins),
        order=np.repeat(np.arange(len(names)), bins),
    )
    chart = (
        alt.Chart(data, width=480, height=220, title=f"Confidence of {rows:,} rows")
        .mark_bar(stroke=_PAPER, strokeWidth=0.5)
        .encode(
            x=alt.X("low:Q", title="probability of the predicted class", scale=alt.Scale(domain=[0, 1]), bin="binned"),
            x2="high:Q",
            y=alt.Y("rows:Q", title="rows", stack="zero"),
            order="order:Q",
        )
    )
    if len(names) > 1:
        chart = chart.encode(color=alt.Color("outcome:N", scale=alt.Scale(domain=names, range=[BLUE, ORANGE])))
    else:
        chart = chart.encode(color=alt.value(BLUE))
    return on_light(chart)


def reliability_diagram(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 10) -> Any:
    """
    Draw how often predictions are right over how sure they were, with 95 % confidence intervals, and the rows in each bin.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second.
    labels : array_like of int of shape (rows,)
        The true classes, by number from 0.
    bins : int, default 10
        Parts of [0, 1], of equal width.

    Returns
    -------
    altair.VConcatChart
        Points on the diagonal are calibrated; below it the classifier is too sure.

    Examples
    --------
    >>> import sigmax
    >>> from sigmax import plots
    >>> p = sigmax.softmax([[2.0, 1.0, 0.1], [0.3, 0.1, 4.0]])
    >>> chart = plots.reliability_diagram(p, [0, 2])
    """
    confidence, correct = confidence_of(probabilities, labels)
    if correct is None:
        raise ValueError("a reliability diagram needs the labels")
    return reliability_chart(reliability(confidence, correct, bins), calibration_error(confidence, correct))


def reliability_chart(found: Reliability, error: CalibrationError) -> Any:
    """Draw bins that were counted before."""
    filled = found.rows > 0
    data = rows_of(
        confidence=found.confidence[filled],
        accuracy=found.accuracy[filled],
        low=found.low[filled],
        high=found.high[filled],
        rows=found.rows[filled],
        begin=found.edges[:-1][filled],
        end=found.edges[1:][filled],
        text=[f"{n:,}" for n in found.rows[filled]],
    )
    horizontal = alt.X("confidence:Q", title=None, scale=alt.Scale(domain=[0, 1]))
    diagonal = alt.Chart(rows_of(confidence=[0.0, 1.0], accuracy=[0.0, 1.0])).mark_line(
        strokeDash=[4, 3], color=GREY, strokeWidth=1.5
    )
    base = alt.Chart(data)
    bars = base.mark_rule(strokeWidth=2, color=BLUE).encode(x=horizontal, y="low:Q", y2="high:Q")
    points = base.mark_point(filled=True, size=60, color=BLUE, opacity=1).encode(
        x=horizontal, y=alt.Y("accuracy:Q", title="share that is right", scale=alt.Scale(domain=[0, 1]))
    )
    upper = alt.layer(diagonal.encode(x=horizontal, y="accuracy:Q"), bars, points).properties(
        width=320,
        height=320,
        title=alt.TitleParams(
            "Reliability",
            subtitle=[
                f"calibration error: {error}",
                f"plug-in error {found.error:.4f}, by chance alone {found.error_by_chance:.4f}; bars: 95 % intervals",
            ],
        ),
    )
    counts = base.mark_bar(color=GREY, stroke=_PAPER).encode(
        x=alt.X("begin:Q", title="probability of the predicted class", scale=alt.Scale(domain=[0, 1]), bin="binned"),
        x2="end:Q",
        y=alt.Y("rows:Q", title="rows", axis=alt.Axis(tickCount=3)),
    )
    numbers = (
        base.mark_text(dy=-6, fontSize=10)
        .encode(x=alt.X("middle:Q", scale=alt.Scale(domain=[0, 1])), y="rows:Q", text="text:N")
        .transform_calculate(middle="(datum.begin + datum.end) / 2")
    )
    return on_light(alt.vconcat(upper, (counts + numbers).properties(width=320, height=70)))


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
