"""How the page of ``sigmax explore`` shows things: figures, tables, pictures, and a formula in every type of number."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import altair as alt
import marimo as mo
import numpy as np

import sigmax
from sigmax import plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["chart", "figures", "formula_table", "minus", "table", "with_scale"]

DIGITS = {"float16": 4, "bfloat16": 3, "float32": 8, "float64": 16}

STYLE = """<style>
:root{--marimo-heading-font:var(--marimo-text-font)}
.sx-figures{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;margin:.5rem 0}
.sx-figures dt{font-size:.8rem;opacity:.75}.sx-figures dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
.sx-scale{display:flex;justify-content:space-between;margin:0 2.6rem 0 .3rem;font-size:.75rem;opacity:.75;font-variant-numeric:tabular-nums}
.sx-scale span{width:0;display:flex;justify-content:center;white-space:nowrap}
.sx-table{overflow-x:auto;background:linear-gradient(var(--background),var(--background)) right/1.5rem 100% no-repeat local,
linear-gradient(to left,#8889,transparent) right/1.2rem 100% no-repeat scroll}.sx-table table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
.sx-table th,.sx-table td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #8884;white-space:nowrap}
.sx-table th:first-child,.sx-table td:first-child{text-align:left}
@media (max-width:30rem){.sx-table table{font-size:.75rem}.sx-table th,.sx-table td{padding:.2rem .3rem}}
.sx-wrong{color:#D55E00;font-weight:600}
.sx-row{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem}
.sx-chart svg{max-width:100%;height:auto}.sx-chart svg text{font-family:inherit}.sx-dark{display:none}
.dark .sx-light{display:none}.dark .sx-dark{display:block}
</style>"""


def minus(text: str) -> str:
    """Return a number with a minus that is one."""
    return text.replace("-", "\u2212")


def figures(name: str, values: Mapping[str, float]) -> Any:
    """Show numbers with their names; the page's tests read them by `name`."""
    items = "".join(
        f'<div><dt>{escape(key)}</dt><dd data-figure="{escape(name)}: {escape(key)}" data-value="{value!r}">{minus(f"{value:.6g}")}</dd></div>'
        for key, value in values.items()
    )
    return mo.Html(f'{STYLE}<dl class="sx-figures">{items}</dl>')


def with_scale(slider: Any, marks: Sequence[str]) -> Any:
    """Show a slider with the numbers of its track below it, equally far apart."""
    shown = "".join(f"<span>{mark}</span>" for mark in marks)
    return mo.vstack([slider, mo.Html(f'{STYLE}<div class="sx-scale">{shown}</div>')], gap=0)


def chart(drawn: Any) -> Any:
    """Show a chart, in the colours of the page; pictures that stand side by side are stacked where there is no room."""
    side_by_side = isinstance(drawn, alt.HConcatChart)
    shown = []
    for one in [plots.on_light(part.copy()) for part in drawn.hconcat] if side_by_side else [drawn]:
        light, dark = plots.light_and_dark(one)
        shown.append(
            f'<div class="sx-chart"><div class="sx-light">{light}</div><div class="sx-dark">{dark}</div></div>'
        )
    return mo.Html(f'{STYLE}<div class="sx-row">{"".join(shown)}</div>')


def table(head: list[str], rows: list[list[str]], name: str) -> Any:
    """Show a table; cells may hold HTML."""
    top = "".join(f"<th>{h}</th>" for h in head)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return mo.Html(
        f'{STYLE}<div class="sx-table"><table data-table="{name}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def formula_table(number: float, types: Mapping[str, Any]) -> Any:
    """Show the textbook formulas of a number in each type, beside this library's results, a table each; what is wrong stands out."""
    formulas = ["1 / (1 + exp(−x))", "log(p / (1 − p))", "log(eˣ / (eˣ + 1))"]
    functions = ["sigmoid", "logit", "log_softmax"]
    rows: list[list[list[str]]] = [[] for _ in functions]
    for name, kind in types.items():
        with np.errstate(all="ignore"):
            x = kind(number)
            one, e = kind(1), np.exp(x)
            p = sigmax.sigmoid(np.array([x]))[0]
            cases = [
                (one / (one + np.exp(-x)), p),
                (np.log(p / (one - p)), sigmax.logit(np.array([p]))[0]),
                (np.log(e / (e + one)), sigmax.log_softmax(np.array([x, kind(0)]))[0]),
            ]
        for of_function, (textbook, ours) in zip(rows, cases, strict=True):
            with np.errstate(invalid="ignore"):
                right = textbook == ours or abs(float(textbook) - float(ours)) <= 4 * float(_spacing(ours))
            shown, better = (minus(f"{float(v):#.{DIGITS[name]}g}") for v in (textbook, ours))
            of_function.append([name, shown if right else f'<span class="sx-wrong">{shown}</span>', better])
    tables = [
        table(["type", textbook, f"sigmax.{ours}"], of_function, f"formulas: {ours}").text
        for textbook, ours, of_function in zip(formulas, functions, rows, strict=True)
    ]
    return mo.Html(f'{STYLE}<div class="sx-row">{"".join(tables)}</div>')


def _spacing(value: Any) -> Any:
    """Return a unit in the last place."""
    if not np.isfinite(value):
        return np.float64(0)
    return abs(np.nextafter(value, value.dtype.type(np.inf)) - value)
