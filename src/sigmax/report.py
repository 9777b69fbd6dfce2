"""
One page of HTML about a labelled score file: how right the model is, how sure, and where it errs.

The page carries its pictures and opens without network; it follows the reader's light or dark setting, and prints in light.
Needs ``pip install 'sigmax[cli,plot]'``.
"""

from __future__ import annotations

import dataclasses
import math
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import jinja2

import sigmax
from sigmax import plots
from sigmax.calibration import wilson_interval
from sigmax.calibration.told import class_lines, lines_of, verdict
from sigmax.decisions import Costs, Realised
from sigmax.tables import Diagnosis, TableError, score_file
from sigmax.tables.job import job_of, told_apart
from sigmax.tables.measured import Measuring
from sigmax.tables.paid import Paid
from sigmax.tables.rules import Rule, Settled
from sigmax.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sigmax.calibration.sums import Mean
    from sigmax.tables import Job, Summary
    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Options
    from sigmax.tables.measured import Measured

__all__ = ["write_report"]

SECOND = 428  # pixels, as high as the two parts of a reliability diagram
MATRIX = 20  # classes up to which the confusion matrix is shown whole


def write_report(
    path: str | Path,
    output: str | Path,
    job: Job | None = None,
    *,
    worst: int = 20,
    costs: Costs | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[Options],
) -> Summary:
    """
    Read a score file and write a report on it.

    Parameters
    ----------
    path : str or Path
        A CSV, Parquet, Arrow IPC (Feather) or .npy file.
    output : str or Path
        The page to write, ending in .html.
    job, progress, **options
        As in :func:`sigmax.tables.score_file`; `label`, or `labels` in its place, is needed.
    worst : int, default 20
        How many of the rows with the largest loss to show.
    costs : Costs, optional
        What decisions cost, by the names of the classes: what they cost on these rows is shown, and of two classes and two decisions over all thresholds.

    Returns
    -------
    Summary
        What was read.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used, or no row has a label.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise TableError(f"{output}: unknown ending '{output.suffix}'; a report ends in .html")
    asked = told_apart(job_of(job, options))
    if asked.label is None and asked.labels is None:
        raise TableError("a report needs the true classes: name their column with --label, or their file with --labels")
    found: list[_Reported] = []

    def observer(plan: Plan) -> _Reported:
        found[:] = [_Reported(plan, worst, None if costs is None else Rule(costs).settled(plan.classes))]
        return found[0]

    summary = score_file(path, asked, head=0, progress=progress, observer=observer)
    if not summary.labelled:
        raise TableError(f"no row of {path} has both scores and a label; there is nothing to report on")
    of = found[0]
    page = render(_shown(Path(path)), of.diagnosis, of.measuring.measured(summary), of.paid())
    write_whole(output, page.encode())
    return summary


class _Reported:
    """What a report is made of: the figures of the model, and those of its probabilities."""

    def __init__(self, plan: Plan, worst: int, rule: Settled | None = None) -> None:
        self.diagnosis, self.measuring, self.rule = Diagnosis(plan, worst), Measuring(plan), rule
        self.kept = None if rule is None else Paid(dataclasses.replace(plan, rule=rule))

    def see(self, seen: ScoredBatch) -> None:
        """Count the rows of a batch."""
        self.diagnosis.see(seen)
        self.measuring.see(seen)
        if self.kept is not None:
            self.kept.see(seen)

    def paid(self) -> tuple[Costs, Realised] | None:
        """Return the costs, and what the decisions by them cost."""
        found = None if self.kept is None else self.kept.realised()
        return None if found is None or self.rule is None or self.rule.costs is None else (self.rule.costs, found)


def render(name: str, diagnosis: Diagnosis, found: Measured, paid: tuple[Costs, Realised] | None = None) -> str:
    """Return the page for what was counted."""
    summary, evidence = found.summary, found.evidence
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(files("sigmax").joinpath("templates/report.html.j2").read_text(encoding="utf-8"))
    logits, counts = summary.by_logit
    # where most rows are sure, they lie apart on the scale of the logit
    axis: plots.Axis = "logit" if summary.mean_confidence > 0.9 else "probability"
    figures = {
        "reliability": plots.reliability_chart(
            evidence, axis=axis, title="Reliability" if found.before is None else "Calibrated"
        )
    }
    if found.before is not None:
        figures["before"] = plots.reliability_chart(found.before, axis=axis, title="As the scores are")
    else:
        figures["confidence"] = plots.confidence_chart(counts, logits).properties(width=320, height=SECOND)
    thresholds = diagnosis.thresholds
    if thresholds is not None and 0 < (positives := diagnosis.classes[1].rows) < diagnosis.rows:
        curves = thresholds.curves()
        share = positives / diagnosis.rows
        figures["roc"] = plots.roc_chart(curves["false_alarm_rate"], curves["recall"], thresholds.area)
        figures["precision"] = plots.precision_recall_chart(
            curves["recall"], curves["precision"], thresholds.average_precision, share
        )
    if paid is not None and paid[1].hindsight is not None:
        figures["costs"] = plots.threshold_costs(evidence, *paid)
    drawn = {
        key: dict(zip(("light", "dark"), plots.light_and_dark(chart), strict=True)) for key, chart in figures.items()
    }
    whole = len(summary.plan.classes) <= MATRIX
    matrix = diagnosis.confusion if whole else []
    most = max([1, *(count for line in matrix for count in line)])
    page: str = template.render(
        name=name,
        verdict=_verdict(summary, diagnosis, found),
        lines=list(lines_of(evidence, found.judged)),
        before=None if found.before is None else dict(lines_of(found.before)),
        class_lines=class_lines(evidence),
        shown=[key for key in ("before", "reliability", "confidence") if key in figures],
        axis=axis,
        version=sigmax.__version__,
        summary=summary,
        plan=summary.plan,
        diagnosis=diagnosis,
        error=evidence.error(),
        accuracy_interval=tuple(map(float, wilson_interval(diagnosis.right, diagnosis.rows))),
        guess=math.log(len(summary.plan.classes)),
        figures=drawn,
        costs=[] if paid is None else list(_cost_lines(paid[1])),
        decisions=thresholds.decisions if thresholds is not None and "roc" in figures else [],
        whole=whole,
        largest=max(1, *(c.rows for c in diagnosis.classes)),
        matrix=matrix,
        share=lambda count: round(100 * count / most),
    )
    return page


def _cost_lines(paid: Realised) -> Iterator[tuple[str, str]]:
    def told(of: Mean) -> str:
        return f"{of.mean:.4g} (95 %: {of.low:.4g} to {of.high:.4g})"

    yield "cost of a row", f"{told(paid.mean)}; expected {paid.expected:.4g}"
    yield f"always “{paid.constant[0]}”", told(paid.constant[1])
    yield "saved by deciding", told(paid.gain)
    if paid.hindsight is not None:
        yield "with the best threshold in hindsight", f"{paid.hindsight[1]:.4g}"


def _shown(path: Path) -> str:
    """Return a file's name; of bytes that are no text, what is."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _verdict(summary: Summary, diagnosis: Diagnosis, found: Measured) -> str:
    """Return what there is to say in two sentences: how often the model is right, and whether its probabilities hold."""
    most = max(c.rows for c in diagnosis.classes) / diagnosis.rows
    return (
        f"The model is right in {summary.accuracy:.1%} of {diagnosis.rows:,} labelled rows, where always saying the most frequent class would be "
        f"right in {most:.1%}. {verdict(found.evidence, found.judged)}"
    )
