"""How sure a classifier is, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.calibration import bin_of, confidence_of
from sigmax.errors import InputError
from sigmax.plots.reliability import AS_PROBABILITY
from sigmax.plots.style import _PAPER, BLUE, ORANGE, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["confidence_chart", "confidence_histogram", "histogram_counts"]


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


def confidence_chart(counts: dict[str, NDArray[Any]], logits: NDArray[np.int64] | None = None) -> Any:
    """Draw the counts of `histogram_counts`; or those between some logits, on whose scale the confident rows lie apart."""
    names = list(counts)
    bins = len(counts[names[0]])
    edges = np.linspace(0, 1, bins + 1) if logits is None else logits
    axis = (
        alt.Axis(labelOverlap=True)
        if logits is None
        else alt.Axis(labelOverlap=True, labelExpr=AS_PROBABILITY, values=list(map(int, logits)))
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
        alt.Chart(data, width=480, height=220, title=alt.TitleParams("Confidence", subtitle=f"{rows:,} rows"))
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
        colour = alt.Color(
            "outcome:N", scale=alt.Scale(domain=names, range=[BLUE, ORANGE]), legend=alt.Legend(orient="top-left")
        )
        chart = chart.encode(color=colour)
    else:
        chart = chart.encode(color=alt.value(BLUE))
    return on_light(chart)
