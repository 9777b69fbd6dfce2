"""``sigmax report``: a page about a labelled score file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sigmax.cli.app import FOUND, JUDGE, Asked, app, examples
from sigmax.cli.shown import say_how
from sigmax.cli.terminal import Console, fail, plain, progress_bar

__all__ = ["report"]


@app.command(group=JUDGE, help_epilogue=examples("sigmax report scores.csv --label label -o report.html"))
def report(
    file: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    job: Asked = FOUND,
    worst: int = 20,
    costs: Path | None = None,
) -> None:
    """
    Write a page about a labelled score file: how right the model is, how sure, and where it errs.

    One file of HTML, which opens without network: accuracy, log-loss, Brier score, calibration, figures by class, the confusion
    matrix and the worst rows.

    Parameters
    ----------
    file : Path
        The scores: .csv, .parquet, .arrow, .feather, .npy, .npz or .safetensors.
    output : Path
        The page to write, ending in .html.
    worst : int
        How many of the rows with the largest loss to show.
    costs : Path
        A CSV table of what decisions cost, as for sigmax decide: what they cost on these rows.
    """
    try:
        from sigmax.report import write_report
        from sigmax.tables.rules import read_costs
    except ModuleNotFoundError as missing:
        fail(f"a report needs '{missing.name}'; install it with: pip install 'sigmax[cli,plot]'")

    with progress_bar(file.name) as progress:
        summary = write_report(
            file,
            output,
            job,
            worst=worst,
            costs=None if costs is None else read_costs(costs),
            progress=progress,
        )
    say_how(summary)
    Console().print(plain(f"Wrote a report on {summary.rows:,} rows to {output}"), soft_wrap=True)
