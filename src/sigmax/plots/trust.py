"""What probabilities are worth, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.calibration import CalibrationError, Reliability, bin_of, calibration_error, confidence_of, reliability
from sigmax.errors import InputError
from sigmax.plots.style import _PAPER, BLUE, GREY, ORANGE, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["confidence_chart", "confidence_histogram", "histogram_counts", "reliability_chart", "reliability_diagram"]


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
        raise InputError(f"{bins} bins; there must be at least 1")
    groups = {"rows": np.ones(confidence.shape, bool)} if correct is None else {"right": correct, "wrong": ~correct}
    where = bin_of(confidence, bins)
    return {name: np.bincount(where[which], minlength=bins) for name, which in groups.items()}


# the probability of a logit, with as many digits as tell it from 1
_AS_PROBABILITY = "format(1 / (1 + exp(-datum.value)), '.' + max(2, ceil(abs(datum.value) / 2.4)) + 'f')"


def confidence_chart(counts: dict[str, NDArray[Any]], logits: NDArray[np.int64] | None = None) -> Any:
    """Draw the counts of `histogram_counts`; or those between some logits, on whose scale the confident rows lie apart."""
    names = list(counts)
    bins = len(counts[names[0]])
    edges = np.linspace(0, 1, bins + 1) if logits is None else logits
    axis = (
        alt.Axis(labelOverlap=True)
        if logits is None
        else alt.Axis(labelOverlap=True, labelExpr=_AS_PROBABILITY, values=list(map(int, logits)))
    )
    domain = [0, 1] if logits is None else [int(logits[0]), int(logits[-1])]
    scale = "" if logits is None else ", on a logit scale"
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
            x=alt.X(
                "low:Q",
                title=f"probability of the predicted class{scale}",
                scale=alt.Scale(domain=domain, nice=False),
                bin="binned",
                axis=axis,
            ),
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
        raise InputError("a reliability diagram needs the labels")
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
