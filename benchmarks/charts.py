"""
The pictures of docs/speed.md and README.md, as SVG: how many times as long each library takes, and the time over the number of classes.

Each is written twice, for a light page and for a dark one; ``python -m benchmarks readme`` calls this module.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

import sigmax
from sigmax import bench, plots

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["over_classes", "peers", "time_over_classes", "write"]

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
# colours that colour-blind readers tell apart, and a shape each
COLOURS = {"jax": "#E69F00", "numpy": "#56B4E9", "scipy": "#009E73", "torch": "#D55E00"}
SHAPES = {"jax": "square", "numpy": "diamond", "scipy": "cross", "torch": "triangle-up"}
NUMBERS = 60_000  # in cache, input and result


def time_over_classes(most: int = 300) -> list[dict[str, Any]]:
    """Return nanoseconds per element of softmax for 1 to `most` classes, in cache, beside a copy of the same array."""
    found = []
    for dtype in ("float32", "float64"):
        for classes in range(1, most + 1):
            x = np.random.default_rng(0).normal(scale=3, size=(NUMBERS // classes, classes)).astype(dtype)
            y = np.empty_like(x)
            calls: dict[str, Callable[[], object]] = {
                "softmax": partial(sigmax.softmax, x, out=y),
                "copy": partial(np.copyto, y, x),
            }
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(9):
                for name, call in calls.items():
                    call()
                    begin = time.perf_counter()
                    for _ in range(5):
                        call()
                    times[name].append((time.perf_counter() - begin) / 5 / x.size * 1e9)
            found += [
                {"what": f"{name} {dtype}", "classes": classes, "ns": statistics.median(t)} for name, t in times.items()
            ]
    return found


def over_classes(times: list[dict[str, Any]]) -> Any:
    """Nanoseconds per element over the number of classes."""
    order = ["softmax float64", "softmax float32", "copy float64", "copy float32"]
    return (
        alt.Chart(alt.Data(values=times), title="softmax on one core, in cache", width=620, height=240)
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("classes:Q", title="classes", scale=alt.Scale(domain=[0, 300], nice=False)),
            y=alt.Y("ns:Q", title="ns per element", scale=alt.Scale(domain=[0, 3], clamp=True)),
            color=alt.Color(
                "what:N", title=None, sort=order, scale=alt.Scale(domain=order, range=["#D55E00", "#0072B2"] * 2)
            ),
            strokeDash=alt.StrokeDash(
                "what:N", sort=order, scale=alt.Scale(domain=order, range=[[1, 0], [1, 0], [3, 3], [3, 3]])
            ),
        )
    )


def peers(by_level: dict[str, list[bench.Result]]) -> Any:
    """How many times as long as sigmax each library takes, one line a cell, on a logarithmic scale; the CPU levels side by side."""
    cells = [str(r.cell) for r in next(iter(by_level.values()))]
    titles = {"v3": "AVX2 (v3)", "v4": "AVX-512 (v4)"}
    values = [
        {"cell": str(r.cell), "library": name, "ratio": ratio, "level": titles.get(level, level)}
        for level, results in by_level.items()
        for r in results
        for name, ratio in r.ratios.items()
    ]
    base = alt.Chart(width=360, height=alt.Step(15))
    names = sorted(COLOURS)
    points = base.mark_point(filled=True, size=46, opacity=0.9).encode(
        x=alt.X(
            "ratio:Q",
            title="times as long as sigmax (logarithmic)",
            scale=alt.Scale(type="log", domain=[0.4, 200], clamp=True),
            axis=alt.Axis(values=[0.5, 1, 2, 5, 10, 20, 50, 100, 200]),
        ),
        y=alt.Y("cell:N", title=None, sort=cells, axis=alt.Axis(labelLimit=280)),
        color=alt.Color("library:N", title=None, scale=alt.Scale(domain=names, range=[COLOURS[n] for n in names])),
        shape=alt.Shape("library:N", scale=alt.Scale(domain=names, range=[SHAPES[n] for n in names])),
    )
    equal = base.mark_rule(strokeWidth=1.5).encode(x=alt.datum(1))
    return (equal + points).facet(
        column=alt.Column("level:N", title=None, sort=[titles.get(level, level) for level in by_level]),
        data=alt.Data(values=values),
    )


def write(name: str, chart: Any) -> None:
    """Write docs/figures/`name`.svg and its dark sister."""
    FIGURES.mkdir(exist_ok=True)
    plots.save(plots.on_light(chart), FIGURES / f"{name}.svg")
    plots.save(plots.on_dark(chart), FIGURES / f"{name}-dark.svg")
