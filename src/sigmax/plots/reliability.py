"""Whether probabilities hold, drawn: the isotonic reliability line, and the band in which that of a calibrated model lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import altair as alt
import numpy as np

from sigmax.calibration import Evidence, bin_of, measure
from sigmax.errors import InputError
from sigmax.links import logit
from sigmax.plots.style import _PAPER, BLUE, GREY, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["AS_PROBABILITY", "Axis", "reliability_chart", "reliability_diagram"]

Axis = Literal["probability", "logit"]
WIDTH, UPPER, LOWER = 320, 320, 70  # pixels
BARS = 20  # of rows below the line, on the axis of probability
ENDS = 16.0  # logits that are drawn at most
# the probability of a logit, with as many digits as tell it from 1
AS_PROBABILITY = "format(1 / (1 + exp(-datum.value)), '.' + max(1, ceil(abs(datum.value) / 2.4)) + 'f')"


def reliability_diagram(probabilities: ArrayLike, labels: ArrayLike, *, axis: Axis = "probability") -> Any:
    """
    Draw how often something happened over how probable it was said to be, without bins, and the rows below.

    Of two classes the second is drawn; of more, whether the predicted class is the true one.

    Parameters
    ----------
    probabilities : array_like of shape (rows, classes) or (rows,)
        One probability a class; or, for two classes, that of the second.
    labels : array_like of int of shape (rows,)
        The true classes, by number from 0.
    axis : {'probability', 'logit'}, default 'probability'
        The scale of both axes; on that of the logit probabilities near 0 and 1 lie apart.

    Returns
    -------
    altair.VConcatChart
        A line on the diagonal is calibrated; below it the probabilities are too high. In 19 of 20 places that of a calibrated model lies in the
        grey band. The line is the isotonic regression of the labels (CORP: Dimitriadis, Gneiting and Jordan, PNAS 2021).

    Examples
    --------
    >>> import sigmax
    >>> from sigmax import plots
    >>> p = sigmax.softmax([[2.0, 1.0, 0.1], [0.3, 0.1, 4.0]])
    >>> chart = plots.reliability_diagram(p, [0, 2])
    """
    return reliability_chart(measure(probabilities, labels), axis=axis)


def reliability_chart(evidence: Evidence, *, axis: Axis = "probability", title: str = "Reliability") -> Any:
    """Draw what was counted before."""
    if axis not in get_args(Axis):
        raise InputError(f"axis is {axis!r}; it must be 'probability' or 'logit'")
    tally, line = evidence.tally(), evidence.line()
    if not tally.p.size:
        raise InputError("there is no row to draw")
    two = len(evidence.classes) == 2
    what = f"probability of '{evidence.classes[1]}'" if two else "probability of the predicted class"
    how_often = f"share of '{evidence.classes[1]}'" if two else "share that is right"
    place, low, high = _placed(axis, tally.p)
    scale = alt.Scale(domain=[low, high], nice=False, clamp=True)
    marks = (
        alt.Axis(tickCount=5)
        if axis == "probability"
        else alt.Axis(labelExpr=AS_PROBABILITY, values=_whole(low, high), labelOverlap=True)
    )
    x = alt.X("probability:Q", title=None, scale=scale, axis=marks)
    y = alt.Y("share:Q", title=how_often, scale=scale, axis=marks)
    band = (
        alt.Chart(rows_of(probability=place(line.at), share=place(line.low), high=place(line.high)))
        .mark_area(color=GREY, opacity=0.3)
        .encode(x=x, y=y, y2="high:Q")
    )
    diagonal = (
        alt.Chart(rows_of(probability=[low, high], share=[low, high]))
        .mark_line(strokeDash=[4, 3], color=GREY, strokeWidth=1.5)
        .encode(x=x, y=y)
    )
    drawn = alt.Chart(rows_of(probability=place(line.probability), share=place(line.share)))
    found = drawn.mark_line(color=BLUE, strokeWidth=2).encode(x=x, y=y, order="probability:Q")
    if line.probability.size == 1:
        found = drawn.mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(x=x, y=y)
    upper = alt.layer(band, diagonal, found).properties(
        width=WIDTH,
        height=UPPER,
        title=alt.TitleParams(title, subtitle=[f"calibration error: {evidence.error()}"]),
    )
    edges = np.linspace(0, 1, BARS + 1) if axis == "probability" else np.linspace(low, high, round(high - low) + 1)
    at = (place(tally.p) - low) / (high - low)
    counts = np.bincount(bin_of(at, edges.size - 1), tally.rows, edges.size - 1)
    rows = (
        alt.Chart(rows_of(begin=edges[:-1], end=edges[1:], rows=counts))
        .mark_bar(color=GREY, stroke=_PAPER, strokeWidth=0.5)
        .encode(
            x=alt.X("begin:Q", title=what, scale=scale, bin="binned", axis=marks),
            x2="end:Q",
            y=alt.Y(
                "rows:Q",
                title="rows",
                axis=alt.Axis(tickCount=2, labelExpr="datum.value % 1 ? '' : format(datum.value, '~s')"),
            ),
        )
    )
    return on_light(alt.vconcat(upper, rows.properties(width=WIDTH, height=LOWER)))


def _placed(axis: Axis, p: NDArray[np.float64]) -> tuple[Any, float, float]:
    """Return what places probabilities on an axis, and the ends of it."""
    if axis == "probability":
        return (lambda q: q), 0.0, 1.0
    with np.errstate(divide="ignore"):
        seen = np.clip(np.asarray(logit(p)), -ENDS, ENDS)
    low, high = float(np.floor(seen.min())), float(np.ceil(seen.max()))
    if high - low < 2:
        low, high = low - 1, high + 1

    def place(q: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.clip(np.asarray(logit(q)), low, high), np.float64)

    return place, low, high


def _whole(low: float, high: float) -> list[int]:
    """Return at most eight logits with equal steps between them, 0 among them."""
    step = int(np.ceil((high - low) / 7))
    return [v for v in range(int(low), int(high) + 1) if v % step == 0]
