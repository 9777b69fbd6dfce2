"""``sigmax calibrate``: from a labelled score file to a calibrator."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from sigmax.cli.app import FOUND, SCORE, Asked, app, examples
from sigmax.cli.shown import say_how
from sigmax.cli.terminal import Console, fail, plain, progress_bar

__all__ = ["calibrate"]

Method = Literal[
    "auto",
    "none",
    "temperature",
    "platt",
    "beta",
    "quadratic",
    "vector",
    "matrix",
    "dirichlet",
    "structured",
    "structured-diagonal",
    "isotonic",
    "venn-abers",
]


@app.command(
    group=SCORE,
    help_epilogue=examples(
        "sigmax calibrate valid.csv --label label -o calibration.json",
        "sigmax score new.csv --calibration calibration.json -o probabilities.csv",
    ),
)
def calibrate(
    *files: str,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    method: Method = "auto",
    job: Asked = FOUND,
    scheduler: str | None = None,
) -> None:
    """
    Fit a calibrator to labelled score files: what turns the model's scores into probabilities that hold.

    The rows must be ones that the model was not trained on. Prints what is gained on rows that each fit has not seen; ``sigmax score
    --calibration`` applies what is written.

    Parameters
    ----------
    files : path
        The scores and labels: score files, folders and globs. All their rows are kept in memory: 8 bytes a score.
    output : Path
        The calibrator to write, ending in .json.
    method : str
        How: auto takes a parabola of the logit for two classes, and for more a matrix as strong as cross-validation allows.
    scheduler : str
        The address of a Dask scheduler (tcp://HOST:PORT) whose workers read; they must see the files under the same paths.
    """
    try:
        from sigmax.calibration.judged import judge
        from sigmax.tables.collected import collect
        from sigmax.tables.one import refuse_input
    except ModuleNotFoundError as missing:
        fail(f"reading score files needs '{missing.name}'; install it with: pip install 'sigmax[cli]'")
    from sigmax.errors import InputError

    if output is not None and output.suffix != ".json":
        raise InputError(f"{output}: a calibrator is written as JSON; let its name end in .json")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    if job.temperature != 1:
        raise InputError("a temperature is what a calibrator finds; leave --temperature away")
    if job.calibration is not None:
        raise InputError("a calibrator is fitted to the scores as they are; leave --calibration away")
    if not files:
        raise InputError(
            "name the files to calibrate by, as in: sigmax calibrate valid.csv --label label -o calibration.json"
        )
    named = files[0] if len(files) == 1 else f"{len(files)} sources"
    refuse_input(output, *files, job.model, job.labels)
    with progress_bar(Path(named).name) as progress:
        source = files[0] if len(files) == 1 else list(files)
        asked = dataclasses.replace(job, form="logits")
        found = collect(source, asked, scheduler=scheduler, progress=progress)
    unnamed = found.plan.is_list or not found.plan.columns or found.plan.model is not None
    names = None if unnamed else found.plan.columns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notes say the same
        try:
            judged = judge(
                found.scores,
                found.labels,
                method=method,
                form=job.form or "auto",
                classes=found.plan.classes,
                columns=names,
            )
        except ValueError as error:
            raise InputError(f"{named}: {error}") from None
    form = judged.calibrator.form_  # of probabilities the summary is one of their sigmoids
    say_how(found.summary, form, None if form == "logits" else found.plan.notes)
    console = Console()
    table = Table(title="On rows that the fit has not seen", title_justify="left", header_style="bold", box=None)
    for name in ("", "before", "after"):
        table.add_column(name)
    for name, before, after in judged.lines():
        table.add_row(name, before, after)
    console.print(table)
    console.print(plain(f"change of the log-loss: {judged.change()}"), soft_wrap=True)
    console.print(plain(judged.sentence()), soft_wrap=True)
    for note in judged.calibrator.notes_:
        console.print(plain(f"Note: {note}"), soft_wrap=True)
    if output is not None:
        judged.calibrator.save(output)
        applied = "" if judged.gain[2] < 0 else f": sigmax score NEW --calibration {output} applies it"
        console.print(plain(f"Wrote {output}{applied}"), soft_wrap=True)
