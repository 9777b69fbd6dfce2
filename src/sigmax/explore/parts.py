"""What the page of ``sigmax explore`` is made of: figures, tables and the reader's own scores, every number by this library."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import math
import tempfile
import warnings
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import marimo as mo
import numpy as np

import sigmax
from sigmax import plots
from sigmax.calibration import Evidence
from sigmax.calibration.given import probabilities_of
from sigmax.calibration.judged import Judged, judge
from sigmax.errors import InputError
from sigmax.tables import AmbiguousError, Job, score_file
from sigmax.tables.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan

__all__ = [
    "METHODS",
    "OwnScores",
    "best_temperature",
    "changed",
    "chart",
    "chosen_columns",
    "columns_of",
    "confusion",
    "decision_costs",
    "figures",
    "formula_table",
    "job_of",
    "mended",
    "mended_charts",
    "read_scores",
    "tempered_chart",
    "unsure",
    "with_scale",
]

MOST_ROWS = 200_000  # that the page keeps
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


@dataclass
class OwnScores:
    """The reader's scores: one column a class, two for a single logit."""

    name: str
    classes: list[str]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64] | None
    rows: list[dict[str, str]] = field(repr=False)
    columns: list[str]
    left_out: list[str]
    warnings: list[str]

    @property
    def truth(self) -> NDArray[np.int64]:
        """The labels."""
        if self.labels is None:
            raise ValueError(f"{self.name} has no labels")
        return self.labels

    def probabilities(self, temperature: float = 1.0) -> NDArray[np.float64]:
        """Return the softmax of every row."""
        p: NDArray[np.float64] = sigmax.softmax(self.scores, temperature=temperature)
        return p

    def log_loss(self, temperature: float = 1.0) -> float:
        """Return the mean of minus the log-probability of the labels."""
        return float(sigmax.cross_entropy(self.scores, self.truth, temperature=temperature).mean())

    def accuracy(self) -> float:
        """Return the share of rows whose largest score is the label's."""
        return float((self.scores.argmax(axis=1) == self.truth).mean())


class _Collector:
    """Keeps the rows of a file that have scores, and a label if there is a column of labels."""

    def __init__(self, plan: Plan) -> None:
        if plan.kind == "multilabel":
            raise InputError("the page shows one class a row, and these are many labels")
        self.plan = plan
        self.scores: list[NDArray[np.float64]] = []
        self.labels: list[NDArray[np.int64]] = []
        self.rows: list[dict[str, str]] = []
        self.kept = 0

    def see(self, seen: ScoredBatch) -> None:
        good = ~seen.bad if self.plan.label is None else ~seen.bad & (seen.labels >= 0)
        places = np.flatnonzero(good)[: MOST_ROWS - self.kept]
        x = seen.scores[:, places].astype(np.float64)
        if self.plan.kind == "sigmoid":
            x = np.vstack([np.zeros_like(x), x])
        self.scores.append(x.T)
        self.labels.append(seen.labels[places])
        self.kept += places.size
        others = [f.name for f in seen.batch.schema if f.name not in self.plan.columns and f.name != self.plan.label]
        self.rows += [{"no.": str(seen.first_row + int(i))} for i in places]
        for name in others[:4]:
            for row, value in zip(
                self.rows[-places.size :], seen.batch.column(name).take(places).to_pylist(), strict=True
            ):
                row[name] = "" if value is None else str(value)


@contextlib.contextmanager
def _file(upload: Any, path: str | None) -> Iterator[Path | None]:
    """Give the file that the browser sent, for as long as it is read, or that the command named."""
    if upload is None:
        yield None if path is None else Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        sent = Path(folder, Path(upload.name).name)
        sent.write_bytes(upload.contents)
        yield sent


def job_of(arguments: Mapping[str, Any], upload: Any) -> Job:
    """Return what the command asked of its file; of one that the browser sent nothing is known."""
    told = arguments.get("job")
    if told is None or upload is not None:
        return Job()
    return Job.from_json(told if isinstance(told, str) else json.dumps(told))


def columns_of(upload: Any, path: str | None, job: Job) -> list[str]:
    """Return the names of a file's columns; none where it cannot be read, which is said elsewhere."""
    with _file(upload, path) as file:
        if file is None:
            return []
        try:
            with open_source(file, dialect=job.dialect) as source:
                return list(dict.fromkeys(source.schema.names))
        except (InputError, OSError):
            return []


def chosen_columns(names: Sequence[str], job: Job) -> list[str]:
    """Return the columns that the command named, by names and globs."""
    found = (n for word in job.columns for n in ([word] if word in names else fnmatch.filter(names, word)))
    return list(dict.fromkeys(found))


def read_scores(
    upload: Any,
    path: str | None,
    job: Job,
    label: str,
    classes: str = "",
    columns: Sequence[str] = (),
    as_scores: bool = False,
) -> tuple[OwnScores | None, str]:
    """
    Return the scores of an uploaded file, or of the one that the command named; or None and what is wrong.

    Parameters
    ----------
    upload : object with name and contents, or None
        What the browser sent.
    path : str or None
        The file that the command named.
    job : Job
        What the command asked; what follows takes the place of its own.
    label : str
        The column of the true class; empty if there is none.
    classes : str
        The names of the classes, with commas between them; empty for those of the columns.
    columns : sequence of str
        The score columns; none for the family that can be meant.
    as_scores : bool
        Whether numbers that look like probabilities are scores.
    """
    names = [word.strip() for word in classes.split(",") if word.strip()]
    if classes == ", ".join(job.classes):  # the command's own, in which a comma may stand
        names = list(job.classes)
    chosen = chosen_columns(columns, job)
    if set(chosen) == set(columns):  # the command's, in its order
        columns = chosen
    found: list[_Collector] = []

    def observer(plan: Plan) -> _Collector:
        found[:] = [_Collector(plan)]
        return found[0]

    with _file(upload, path) as file:
        if file is None:
            return None, "there is no file"
        try:
            summary = score_file(
                file,
                dataclasses.replace(
                    job, label=label or None, classes=tuple(names), columns=tuple(columns), as_scores=as_scores
                ),
                head=0,
                observer=observer,
            )
        except AmbiguousError as error:
            ways = "".join(
                f"\n- columns `{', '.join(r.columns)}`" + (f", label `{r.label}`" if r.label else "")
                for r in error.readings
            )
            return None, f"{error.reason}. Choose the score columns above, as in{ways}"
        except (InputError, OSError) as error:
            return None, str(error).replace(f"{file.parent}/", "")
    kept = found[0]
    if not kept.kept:
        return None, "no row has scores" + (" and a label" if label else "")
    labels = np.concatenate(kept.labels) if kept.plan.label is not None else None
    left_out = [name for name, _ in kept.plan.left_out]
    scores, plan = np.concatenate(kept.scores), kept.plan
    own = OwnScores(file.name, plan.classes, scores, labels, kept.rows, plan.columns, left_out, summary.warnings)
    return own, ""


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


def _counts(own: OwnScores, temperature: float, threshold: float | None) -> NDArray[np.int64]:
    p = own.probabilities(temperature)
    said = p.argmax(axis=1) if threshold is None else (p[:, 1] >= threshold).astype(np.int64)
    k = len(own.classes)
    return np.bincount(own.truth * k + said, minlength=k * k).reshape(k, k)


def confusion(own: OwnScores, temperature: float, threshold: float | None = None) -> Any:
    """Show what is taken for what: a line for each true class, a column for each prediction."""
    counts = _counts(own, temperature, threshold)
    rows = [[escape(c), *(f"{n:,}" for n in row)] for c, row in zip(own.classes, counts.tolist(), strict=True)]
    return table(["true class", *map(escape, own.classes)], rows[:40], "confusion")


def decision_costs(
    own: OwnScores, temperature: float, threshold: float, false_alarm: float, miss: float
) -> dict[str, float]:
    """Return what a threshold costs, and the one that costs least if the probabilities are right."""
    (_, alarms), (misses, _) = _counts(own, temperature, threshold).tolist()
    least = false_alarm / (false_alarm + miss) if false_alarm + miss else math.nan
    cost = alarms * false_alarm + misses * miss
    return {"false alarms": alarms, "misses": misses, "cost": cost, "best threshold if calibrated": least}


METHODS = ("auto", "temperature", "platt", "beta", "quadratic", "structured", "isotonic", "venn-abers")
MENDED = 30_000  # numbers that a calibrator is fitted to on the page: a second or two


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
