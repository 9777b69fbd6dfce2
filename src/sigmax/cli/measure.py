"""``sigmax measure``: what the probabilities in labelled score files are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from sigmax.calibration.told import class_lines, figures_of, group_lines, holm, lines_of, verdict
from sigmax.cli.app import FOUND, JUDGE, Asked, app, examples
from sigmax.cli.shown import say_how
from sigmax.cli.terminal import Console, fail, plain, progress_bar
from sigmax.errors import InputError

if TYPE_CHECKING:
    from sigmax.tables.measured import Measured

__all__ = ["measure"]

MOST_SHOWN = 30  # classes or groups


@app.command(
    group=JUDGE,
    help_epilogue=examples(
        "sigmax measure scores.csv --label label",
        "sigmax measure probabilities.parquet --label label --by country",
    ),
)
def measure(
    *files: str,
    by: str | None = None,
    weights: str | None = None,
    job: Asked = FOUND,
    workers: int | None = None,
    scheduler: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """
    Measure what the probabilities in labelled score files are worth: whether they hold, by how much they are off, what that costs.

    One pass over the files. Figures have 95 % intervals, over samples of as many rows; the test rejects a calibrated model once in 20
    times. Errors are seen over runs of rows with like probabilities: what averages out within one is not seen.

    Parameters
    ----------
    files : path
        Score files (scores, or probabilities as they are), folders and globs.
    by : str
        A column: the rows of each of its values are measured apart too.
    weights : str
        A column with what each row counts for.
    workers : int
        How many threads read. Default: as many as there are cores.
    scheduler : str
        The address of a Dask scheduler (tcp://HOST:PORT) whose workers read; they must see the files under the same paths.
    as_json : bool
        Print one object of JSON, for programs.
    """
    try:
        from sigmax.tables.measured import measure_files
    except ModuleNotFoundError as missing:
        fail(f"reading score files needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    if not files:
        raise InputError("name the files to measure, as in: sigmax measure scores.csv --label label")
    with progress_bar(Path(files[0]).name if len(files) == 1 else f"{len(files)} sources") as progress:
        found = measure_files(
            files[0] if len(files) == 1 else list(files),
            job,
            by=by,
            weights=weights,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    if as_json:
        print(json.dumps(_everything(found), ensure_ascii=False))
        return
    say_how(found.summary, found.summary.plan.form)
    console = Console()
    console.print(plain(verdict(found.evidence, found.judged)), style="bold", soft_wrap=True)
    console.print(_figures(found))
    if found.left_out:
        console.print(plain(f"Not measured: {found.left_out}"), soft_wrap=True)
    for title, lines in (
        ("By class, each against all others", class_lines(found.evidence)),
        (f"By {by}", group_lines(found.groups, by or "")),
    ):
        if lines:
            console.print(_lines(title, lines))


def _everything(found: Measured) -> dict[str, Any]:
    adjusted = holm({name: e.test().p_value for name, e in found.groups.items() if e.rows})
    return {
        **figures_of(found.evidence, found.judged),
        "verdict": verdict(found.evidence, found.judged),
        "form": found.summary.plan.form,
        "columns": list(found.summary.plan.columns),
        "classes": list(found.summary.plan.classes),
        "before": None if found.before is None else figures_of(found.before),
        "groups": {
            name: {**figures_of(evidence), "p_value_of_all": adjusted.get(name)}
            for name, evidence in found.groups.items()
        },
        "rows_read": found.summary.rows,
        "not_scored": dict(found.summary.unscored),
        "without_label": found.summary.scored - found.summary.labelled,
        "warnings": found.summary.warnings,
    }


def _figures(found: Measured) -> Table:
    table = Table(header_style="bold", box=None, show_header=found.before is not None, padding=(0, 2, 0, 0))
    table.add_column("", style="bold")
    after = list(lines_of(found.evidence, found.judged))
    if found.before is None:
        table.add_column()
        for name, value in after:
            table.add_row(plain(name), plain(value))
        return table
    table.add_column("as they are")
    table.add_column("calibrated")
    before = dict(lines_of(found.before))
    for name, value in after:
        table.add_row(plain(name), plain(before.get(name, "")), plain(value))
    return table


def _lines(title: str, lines: list[dict[str, str]]) -> Table:
    table = Table(title=plain(title), title_justify="left", header_style="bold", box=None)
    for name in lines[0]:
        table.add_column(
            plain(name),
            justify="right" if name in ("rows", "share", "mean probability", "log-loss", "accuracy", "p") else "left",
        )
    for line in lines[:MOST_SHOWN]:
        table.add_row(*(plain(word) for word in line.values()))
    if len(lines) > MOST_SHOWN:
        table.caption = f"and {len(lines) - MOST_SHOWN:,} more; --json has all"
        table.caption_justify = "left"
    return table
