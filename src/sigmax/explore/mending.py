"""Whether the reader's probabilities hold, and what makes them: the temperature, the calibrators, the rows that change."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax import plots
from sigmax.calibration import Evidence
from sigmax.calibration.given import probabilities_of
from sigmax.calibration.judged import Judged, judge
from sigmax.explore.shown import chart, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.explore.own import OwnScores

__all__ = ["METHODS", "best_temperature", "changed", "mended", "mended_charts", "tempered_chart", "unsure"]

METHODS = ("auto", "temperature", "platt", "beta", "quadratic", "structured", "isotonic", "venn-abers")
MENDED = 30_000  # numbers that a calibrator is fitted to on the page: a second or two


def best_temperature(own: OwnScores) -> float:
    """
    Return the temperature of the least log-loss, between 0.01 and 100.

    The loss is convex in 1/T; its derivative, the mean of sum(p x) - x[label], is bisected.
    """
    x = own.scores - own.scores.max(axis=1, keepdims=True)
    x = np.where(np.isfinite(x), x, 0)  # what is impossible counts for nothing
    of_label = x[np.arange(x.shape[0]), own.truth].mean()
    low, high = math.log(0.01), math.log(100)
    for _ in range(40):
        middle = (low + high) / 2
        slope = float((own.probabilities(math.exp(middle)) * x).sum(axis=1).mean() - of_label)
        low, high = (low, middle) if slope < 0 else (middle, high)
    return math.exp((low + high) / 2)


def tempered_chart(own: OwnScores, temperature: float, best: float) -> Any:
    """Draw the log-loss over the temperature, with its minimum and the chosen one."""
    t = np.geomspace(0.05, 20, 61)
    curve = plots.rows_of(t=t, loss=[own.log_loss(float(v)) for v in t])
    names = ["least", "chosen"]
    marks = plots.rows_of(t=[best, temperature], loss=[own.log_loss(best), own.log_loss(temperature)], what=names)
    horizontal = alt.X(
        "t:Q",
        title="temperature (logarithmic)",
        scale=alt.Scale(type="log", domain=[0.05, 20]),
        axis=alt.Axis(values=[0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], format="~g"),
    )
    vertical = alt.Y("loss:Q", title="log-loss, nats", scale=alt.Scale(zero=False))
    line = alt.Chart(curve).mark_line(strokeWidth=2.5, color=plots.GREY).encode(x=horizontal, y=vertical)
    points = (
        alt.Chart(marks)
        .mark_point(filled=True, size=90, opacity=1, clip=True)
        .encode(
            x=horizontal,
            y=vertical,
            color=alt.Color("what:N", scale=alt.Scale(domain=names, range=[plots.GREEN, plots.ORANGE])),
            shape=alt.Shape("what:N", scale=alt.Scale(domain=names, range=["diamond", "circle"])),
        )
    )
    return plots.on_light((line + points).properties(width=320, height=260, title="Log-loss over the temperature"))


@dataclass(frozen=True)
class Mended:
    """What calibration makes of the reader's rows, or of some at equal distances."""

    judged: Judged
    rows: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def mended(own: OwnScores, method: str) -> Mended:
    """Calibrate, each row by a fit that has not seen it."""
    step = max(1, -(-own.scores.size // MENDED))
    rows = np.arange(0, len(own.scores), step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notes say the same
        judged = judge(own.scores[rows], own.truth[rows], method=method, form="logits", classes=own.classes)
    before, after = map(probabilities_of, judged.scores)
    return Mended(judged, rows, before, after)


def mended_charts(own: OwnScores, found: Mended) -> list[Any]:
    """Draw how far the probabilities hold before and after."""
    y = own.truth[found.rows]
    drawn = []
    for title, p in (("Before", found.before), ("After", found.after)):
        evidence = Evidence(own.classes)
        evidence.count(p, y)
        drawn.append(chart(plots.reliability_chart(evidence, title=title)))
    return drawn


def changed(own: OwnScores, found: Mended, rows: int = 8) -> Any:
    """Show the rows for which calibration changes the most."""
    guess = found.before.argmax(axis=1)
    at = np.arange(len(guess))
    before, after = found.before[at, guess], found.after[at, guess]
    lines = []
    for i in np.argsort(-np.abs(after - before), kind="stable")[:rows]:
        row = own.rows[found.rows[i]]
        line = [*(escape(v) for v in row.values()), escape(own.classes[guess[i]])]
        lines.append([*line, f"{before[i]:.4f}", f"{after[i]:.4f}", escape(own.classes[own.truth[found.rows[i]]])])
    return table([*own.rows[0], "predicted", "P before", "P after", "true class"], lines, "changed")


def unsure(own: OwnScores, rows: int = 10) -> Any:
    """Show the rows whose two most probable classes lie closest."""
    p = own.probabilities()
    order = np.argsort(p, axis=1)
    first, second = (np.take_along_axis(p, order[:, [k]], axis=1)[:, 0] for k in (-1, -2))
    chosen = np.argsort(first - second, kind="stable")[:rows]
    head = [*own.rows[0], "first", "P", "second", "P"] + (["true class"] if own.labels is not None else [])
    lines = []
    for i in chosen:
        line = [escape(v) for v in own.rows[i].values()]
        for k, probability in ((order[i, -1], first[i]), (order[i, -2], second[i])):
            line += [escape(own.classes[k]), f"{probability:.4f}"]
        lines.append(line + ([escape(own.classes[own.labels[i]])] if own.labels is not None else []))
    return table(list(map(escape, head)), lines, "unsure")
