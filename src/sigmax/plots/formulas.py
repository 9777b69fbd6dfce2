"""Where textbook formulas go wrong, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

import sigmax
from sigmax.host.dtypes import BFLOAT16
from sigmax.plots.style import BLUE, ORANGE, on_light, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["formula_errors"]


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
