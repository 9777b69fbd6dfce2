"""``sigmax decide``: from probabilities to decisions."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from sigmax.cli.app import DECIDE, FOUND, Asked, Several, app, examples
from sigmax.cli.shown import say_how
from sigmax.cli.terminal import Console, fail, plain, progress_bar
from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sigmax.calibration.sums import Mean
    from sigmax.decisions import Costs, PredictionSets
    from sigmax.tables.job import Job
    from sigmax.tables.model import Model
    from sigmax.tables.paid import Paid
    from sigmax.tables.summary import Summary

__all__ = ["decide"]


@app.command(
    group=DECIDE,
    help_epilogue=examples(
        "sigmax decide scores.csv --costs costs.csv -o decisions.csv",
        "sigmax decide new.parquet --model model.json --costs costs.csv --prior ill=0.01 --prior-before ill=0.5",
        "sigmax decide new.csv --threshold 0.2 --prior estimate --prior-before ill=0.5 --held-out valid.csv --label y",
        "sigmax decide new.csv --coverage 0.9 --held-out valid.csv --label y -o sets.csv",
        "sigmax decide new.csv --model model.json --costs costs.csv --keep whole.json",
        "",
        "costs.csv:  class,leave,treat",
        "            healthy,0,1",
        "            ill,20,0",
    ),
)
def decide(
    file: Path,
    /,
    *,
    costs: Path | None = None,
    threshold: float | None = None,
    prior: Annotated[list[str] | None, Several] = None,
    prior_before: Annotated[list[str] | None, Several] = None,
    coverage: float | None = None,
    held_out: Path | None = None,
    by_class: bool = False,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    keep: Path | None = None,
    rows: int = 10,
    job: Asked = FOUND,
) -> None:
    """
    Decide for each row what is expected to cost least, or which classes it may be of.

    Scores or probabilities, and models and calibrators in front of them, are taken as in ``sigmax score``. Where there are labels, prints what the
    decisions cost indeed, beside the best single decision and the best threshold in hindsight.

    Parameters
    ----------
    file : Path
        The scores, or with --model the features.
    costs : Path
        A CSV table: a line for each class with its name first, a column for each decision, which may be more than the classes (ask, wait).
    threshold : float
        In place of costs, of two classes: the probability from which the second is said.
    prior : list of str
        The classes' shares where the decisions are made, as in ill=0.01; one may be left out. Or 'estimate': those under which the scores of this file are
        the likeliest.
    prior_before : list of str
        Their shares where the model was fitted: those that it saw, with class weights or resampling.
    coverage : float
        How often the set of classes holds the true one: adds a column with the sets.
    held_out : Path
        Labelled rows that nothing was fitted to, for the sets; they show as well whether shares can be estimated.
    by_class : bool
        Whether the coverage holds for the rows of each class by itself.
    output : Path
        Where to write all rows; the ending names the format.
    keep : Path
        Where to write the model with the calibrator, the costs and the sets that were given: one file, with which ``sigmax decide NEW --model FILE`` does
        the same.
    rows : int
        How many of the first rows to print, when nothing is written.
    """
    try:
        from sigmax.tables.job import told_apart
        from sigmax.tables.model import Model
        from sigmax.tables.one import refuse_input
        from sigmax.tables.paid import Paid
        from sigmax.tables.rules import Rule, read_costs
    except ModuleNotFoundError as missing:
        fail(f"reading score files needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    model = None if job.model is None else Model.load(job.model)
    of_model, kept_sets = (None, None) if model is None else (model.costs, model.sets)
    if costs is None and threshold is None and coverage is None and of_model is None and kept_sets is None:
        raise InputError(
            "say how to decide: --costs costs.csv, --threshold 0.2, or --coverage 0.9 with --held-out valid.csv"
        )
    estimated = prior is not None and "estimate" in prior
    if estimated and len(prior or ()) > 1:
        raise InputError("--prior estimate finds the shares of all classes; give either it or shares")
    if (coverage is not None and held_out is None) or (coverage is None and held_out is not None and not estimated):
        raise InputError("sets need both --coverage and --held-out, the labelled rows that they are fitted to")
    if prior_before and not prior:
        raise InputError("--prior-before says where the shares come from; say with --prior where they go")
    asked = job if job.temperature != 1 or job.calibration is not None or job.model is not None else told_apart(job)
    labelled = None if held_out is None else _labelled(held_out, asked)
    if coverage is None and kept_sets is not None and (job.temperature != 1 or job.calibration is not None):
        raise InputError(
            "the model's sets were fitted to its scores as they are, without this temperature or calibration; fit them anew with --coverage 0.9 --held-out "
            "valid.csv"
        )
    sets = kept_sets if coverage is None or labelled is None else _sets(*labelled, coverage, by_class=by_class)
    chosen = read_costs(costs) if costs is not None else of_model if threshold is None else None
    if held_out is not None and job.label is not None and not _has(file, job):
        asked = _without_label(asked)
    before = _shares(prior_before)
    after, doubts = _estimated(file, asked, before, labelled) if estimated else (_shares(prior), [])
    rule = Rule(chosen, threshold, before, after, sets)
    refuse_input(output, costs, held_out, job.model, job.labels, job.calibration)
    whole = (
        None
        if keep is None
        else _whole(keep, model, job.calibration, chosen, sets, file, costs, held_out, job.model, job.labels, output)
    )
    if whole is not None and (threshold is not None or prior or job.temperature != 1):
        raise InputError(
            "what is kept are a calibrator, costs and sets; a threshold, shares and a temperature are said where the decisions are made"
        )
    with progress_bar(file.name) as progress:
        head = rows if output is None else 0
        found, summary = _observed(Paid, file, asked, output=output, head=head, progress=progress, rule=rule)
    console = Console()
    if output is None and summary.head:
        console.print(_decisions(summary.head))
    say_how(summary, summary.plan.form)
    if sets is not None:
        for note in sets.notes_:
            console.print(plain(f"Note: {note}"), soft_wrap=True)
    if sets is not None and prior and not by_class:
        console.print(
            "Note: the coverage is that of the held-out rows' shares; with --by-class it holds for any", soft_wrap=True
        )
    if estimated:
        told = ", ".join(f"{name} {share:.4g}" for name, share in after.items())
        console.print(plain(f"Shares of the classes, estimated: {told}"), soft_wrap=True)
    for doubt in doubts:
        console.print(plain(f"Note: {doubt}"), soft_wrap=True)
    if (made := _made(found)) is not None:
        console.print(made)
    console.print(_told(found, summary))
    if output is not None:
        console.print(plain(f"Wrote {summary.written:,} rows to {output}"), soft_wrap=True)
    if whole is not None and keep is not None:
        whole.save(keep)
        console.print(plain(f"Wrote {keep}: sigmax decide NEW --model {keep} does the same"), soft_wrap=True)


def _whole(
    keep: Path,
    model: Model | None,
    calibration: Path | None,
    costs: Costs | None,
    sets: PredictionSets | None,
    *read: Path | None,
) -> Model:
    """Return the model with all that stands behind it; `read` are files that it must not take the place of."""
    from sigmax.calibration import Calibrator
    from sigmax.tables.one import refuse_input

    if model is None:
        raise InputError("--keep writes a model with what decides behind it: name the model with --model")
    if keep.suffix.lower() != ".json":
        raise InputError(f"{keep}: a model is a file of JSON; let its name end in .json")
    if not keep.absolute().parent.is_dir():
        raise InputError(f"there is no folder {keep.parent}")
    refuse_input(keep, calibration, *read)
    try:
        return model.compose(None if calibration is None else Calibrator.load(calibration), costs, sets)
    except ValueError as error:
        raise InputError(str(error)) from None


def _observed(make: Callable[[Any], Any], file: Path, job: Job, **options: Any) -> tuple[Any, Summary]:
    """Score a file; return what was made of its plan and saw its batches, and the summary."""
    from sigmax.tables import score_file

    made: list[Any] = []

    def observer(plan: Any) -> Any:
        made[:] = [make(plan)]
        return made[0]

    summary = score_file(file, job, observer=observer, **options)
    return made[0], summary


def _shares(words: Sequence[str] | None) -> dict[str, float]:
    found = {}
    for word in words or []:
        name, mark, value = word.rpartition("=")
        try:
            if not mark or not name:
                raise ValueError
            if name in found:
                raise InputError(f"the share of '{name}' is given twice")
            found[name] = float(value)
        except InputError:
            raise
        except ValueError:
            raise InputError(f"'{word}' is no share of a class; write it as in ill=0.01") from None
    return found


def _labelled(path: Path, job: Job) -> tuple[Any, Any, list[str]]:
    """Return the calibrated scores and the labels of a file, by number, and the names of the classes."""
    import numpy as np

    from sigmax.tables.paid import Paid

    if job.label is None and job.labels is None:
        raise InputError("held-out rows have labels: name the column of the true class with --label")
    kept, _ = _observed(Paid, path, job, head=0)
    z, y = np.concatenate(kept.scores), np.concatenate(kept.labels)
    if not len(y):
        raise InputError(f"{path}: no row has scores and a label")
    z = z / kept.plan.temperature
    return z[:, 0] if z.shape[1] == 1 else z, y, list(kept.plan.classes)


def _sets(z: Any, y: Any, classes: list[str], coverage: float, *, by_class: bool) -> PredictionSets:
    import numpy as np

    from sigmax.decisions import PredictionSets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return PredictionSets(coverage, by_class=by_class, form="logits", classes=classes).fit(
                z, np.asarray(classes)[y]
            )
    except ValueError as error:
        raise InputError(str(error)) from None


def _estimated(
    file: Path, job: Job, before: dict[str, float], labelled: tuple[Any, Any, list[str]] | None
) -> tuple[dict[str, float], list[str]]:
    """Return the shares under which the scores of a file are the likeliest, and what speaks against them."""
    import numpy as np

    from sigmax import sigmoid, softmax
    from sigmax.calibration import measure
    from sigmax.decisions import estimate_prior
    from sigmax.tables.rules import shares

    class Kept:
        def __init__(self, plan: Any) -> None:
            self.plan = plan
            self.scores: list[Any] = []

        def see(self, seen: Any) -> None:
            self.scores.append(seen.scores[:, ~seen.bad].T.astype(np.float64))

    kept, _ = _observed(Kept, file, job, head=0)
    classes = kept.plan.classes
    old = shares(before, classes, "before")
    z = np.concatenate(kept.scores) / kept.plan.temperature
    if not len(z):
        raise InputError(f"{file}: no row has scores to estimate shares from")
    z = z[:, 0] if z.shape[1] == 1 else z
    evidence = None
    if labelled is not None:
        of_rows, y, _ = labelled
        evidence = measure(sigmoid(of_rows) if of_rows.ndim == 1 else softmax(of_rows), y)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        new = np.maximum(estimate_prior(z, old, form="logits", evidence=evidence), 1e-9)
    doubts = [
        str(w.message).replace(
            "pass evidence=measure(probabilities, labels) of labelled rows", "--held-out valid.csv shows it"
        )
        for w in told
    ]
    return dict(zip(classes, (new / new.sum()).tolist(), strict=True)), doubts


def _has(file: Path, job: Job) -> bool:
    """Whether a file has the column of the label."""
    from sigmax.tables.sources import open_source

    with open_source(file, dialect=job.dialect) as source:
        return job.label in source.schema.names


def _without_label(job: Job) -> Job:
    import dataclasses

    return dataclasses.replace(job, label=None)


def _decisions(head: list[dict[str, Any]]) -> Table:
    table = Table(title=f"The first {len(head)} rows", title_justify="left", header_style="bold")
    numbers = {n for n in head[0] if n.startswith("p_") or n in ("confidence", "expected_cost", "margin")}
    names = [n for n in head[0] if n not in ("prediction", "confidence")]
    made = [n for n in names if n.startswith("p_") or n in ("decision", "expected_cost", "margin", "set")]
    kept = [n for n in names if n not in made][:2]
    made = made if len(made) <= 8 else [*made[:3], *made[-5:]]
    names = [*kept, *made]
    for name in names:
        table.add_column(plain(name), justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in head:
        cells = []
        for name in names:
            value = row[name]
            if isinstance(value, list):
                cells.append(", ".join(map(str, value)) or "none")
            else:
                cells.append("" if value is None else f"{value:.4f}" if name in numbers else str(value))
        table.add_row(*map(plain, cells))
    return table


def _made(found: Paid) -> Table | None:
    """Return how many rows have each decision, and of which classes those with a label are."""
    rule = found.plan.rule
    if rule is None or rule.costs is None or found.rows is None or found.labelled is None:
        return None
    table = Table(title="Decisions", title_justify="left", header_style="bold")
    table.add_column("decision")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    named = list(found.plan.classes) if found.labelled.any() and len(found.plan.classes) <= 8 else []
    for name in named:
        table.add_column(plain(f"of {name}"), justify="right")
    all_rows = max(int(found.rows.sum()), 1)
    for d, name in enumerate(rule.costs.decisions):
        cells = [f"{found.labelled[k, d]:,}" for k in range(len(named))]
        table.add_row(plain(name), f"{found.rows[d]:,}", f"{100 * found.rows[d] / all_rows:.1f} %", *cells)
    return table


def _told(found: Paid, summary: Summary) -> Table:
    import numpy as np

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    rule = found.plan.rule
    if summary.unscored.total():
        reasons = "; ".join(f"{count:,}: {reason}" for reason, count in summary.unscored.items() if count)
        table.add_row("not decided", plain(f"{summary.unscored.total():,} of {summary.rows:,} rows ({reasons})"))
    if rule is not None and rule.costs is not None and len(found.plan.classes) == 2:
        order = rule.costs.thresholds()
        parts = [rule.costs.decisions[order[0][0]]]
        parts += [
            f"{rule.costs.decisions[d]} from p = {1 / (1 + math.exp(-at)):.4g} on" for d, at in order[1:] if at < 700
        ]
        table.add_row(f"decides, by P({found.plan.classes[1]})", plain(", ".join(parts)))
    if rule is not None and not rule.priced and found.labelled is not None and found.labelled.any():
        right, many = int(found.labelled.trace()), int(found.labelled.sum())
        table.add_row("said the class", f"{right / many:.4f} of {many:,} labelled rows")
    paid = found.realised()
    if paid is not None and rule is not None and rule.priced:
        moved = " (rows weighted to the new shares)" if rule.change is not None else ""
        table.add_row("cost of a row", plain(f"{_mean(paid.mean)}; expected {paid.expected:.4g}{moved}"))
        table.add_row(
            "always the same",
            plain(f"'{paid.constant[0]}' costs {_mean(paid.constant[1])}; the decisions save {_mean(paid.gain)}"),
        )
        if paid.hindsight is not None:
            at, cost = paid.hindsight
            p = 1 / (1 + math.exp(-at)) if abs(at) < 700 else float(at > 0)
            table.add_row("in hindsight", f"the best threshold for these rows, p = {p:.4g}, costs {cost:.4g}")
    if found.sizes:
        sizes = np.concatenate(found.sizes)
        table.add_row(
            "classes in a set",
            f"{sizes.mean():.3g} on average; {int((sizes == 1).sum()):,} of {sizes.size:,} rows have one",
        )
        held = np.concatenate(found.held)
        if held.size:
            table.add_row("held the class", f"{held.mean():.4f} of {held.size:,} labelled rows")
    return table


def _mean(of: Mean) -> str:
    return f"{of.mean:.4g} (95 %: {of.low:.4g} to {of.high:.4g})" if math.isfinite(of.low) else f"{of.mean:.4g}"
