"""The weights of a regression, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from sigmax.errors import InputError
from sigmax.plots.style import BLUE, GREY, on_light, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["weights_chart"]

MOST = 30  # weights of a class


def weights_chart(
    names: Sequence[str],
    weights: ArrayLike,
    errors: ArrayLike | None = None,
    classes: Sequence[str] = ("0", "1"),
    deviations: ArrayLike | None = None,
) -> Any:
    """
    Draw the largest weights of a regression with their 95 % intervals, the largest first.

    Parameters
    ----------
    names : sequence of str
        Of the features.
    weights : array_like of shape (1, features) or (classes, features)
        Each on the unit of its feature.
    errors : array_like of the weights' shape, optional
        Standard errors.
    classes : sequence of str
    deviations : array_like of shape (features,), optional
        Of the features: what is drawn is what a typical change of each moves the score by, which no unit changes.
    """
    w = np.atleast_2d(np.asarray(weights, np.float64))
    e = None if errors is None else np.atleast_2d(np.asarray(errors, np.float64))
    if w.shape[1] != len(names) or (len(w) > 1 and len(w) != len(classes)):
        raise InputError(f"weights of shape {w.shape} for {len(names)} features and {len(classes)} classes")
    if deviations is not None:
        typical = np.asarray(deviations, np.float64)
        w, e = w * typical, None if e is None else e * typical
    panels = []
    for k, row in enumerate(w):
        chosen = [j for j in np.argsort(-np.abs(row), kind="stable")[:MOST] if row[j] != 0]
        half = np.zeros(len(row)) if e is None else 1.96 * e[k]
        data = rows_of(
            feature=[names[j] for j in chosen],
            weight=row[chosen],
            low=(row - half)[chosen],
            high=(row + half)[chosen],
            order=np.arange(len(chosen)),
        )
        up = alt.Y("feature:N", title=None, sort=alt.SortField("order"), axis=alt.Axis(labelLimit=220, grid=True))
        base = alt.Chart(data)
        zero = alt.Chart(rows_of(x=[0.0])).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="x:Q")
        unit = "unit" if deviations is None else "standard deviation"
        title = f"what one {unit} of the feature moves the score by"
        bars = base.mark_rule(strokeWidth=2, color=BLUE).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=up)
        dots = base.mark_point(filled=True, size=60, opacity=1, color=BLUE).encode(x="weight:Q", y=up)
        head = f"Weights of the logit of '{classes[1]}'" if len(w) == 1 else f"Weights of the score of '{classes[k]}'"
        missing = len(row) - len(chosen)
        sub = ("with 95 % intervals; " if e is not None else "") + (
            f"{missing} smaller ones are not shown" if missing else "all features"
        )
        panels.append((zero + bars + dots).properties(width=320, title=alt.TitleParams(head, subtitle=sub)))
    return on_light(panels[0] if len(panels) == 1 else alt.concat(*panels, columns=2))
