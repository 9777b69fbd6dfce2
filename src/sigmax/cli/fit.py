"""``sigmax fit``: from a table of features and classes to a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from sigmax.cli.app import LEARN, Several, app, examples
from sigmax.cli.shown import warn
from sigmax.cli.terminal import Console, fail, plain, progress_bar
from sigmax.errors import InputError
from sigmax.tables.dialect import Dialect

if TYPE_CHECKING:
    from sigmax.tables.fitting import Fitted

__all__ = ["fit"]

SHOWN = 10  # weights
PLAIN = Dialect()


@app.command(
    group=LEARN,
    help_epilogue=examples(
        "sigmax fit train.csv --label bought -o model.json",
        "sigmax fit 'data/*.parquet' --label y --C auto --valid held_out.parquet -o model.json",
    ),
)
def fit(
    *files: str,
    label: str | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    features: Annotated[list[str] | None, Several] = None,
    without: Annotated[list[str] | None, Several] = None,
    strength: Annotated[str, Parameter(name="--C")] = "1.0",
    weights: str | None = None,
    missing: Literal["refuse", "mean"] = "refuse",
    on_bad: Literal["fail", "drop"] = "fail",
    valid: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    dialect: Annotated[Dialect, Parameter(name="*")] = PLAIN,
) -> None:
    """
    Learn the weights of a logistic regression (two classes) or softmax regression (more) from a table.

    Numbers are features as they are, on any scales; words have an indicator each. It arrives, and prints how far from the best it can be at
    most. ``sigmax score FILE --model`` applies what is written, ``sigmax explain --model`` shows a row's sum term by term.

    Parameters
    ----------
    files : path
        Tables with features and classes: .csv, .parquet, .arrow and the like, folders and globs; they may be larger than memory.
    label : str
        The column with the class.
    output : Path
        The model to write, ending in .json.
    features : list of str
        Names or globs of the feature columns. Default: all but the label.
    without : list of str
        Names or globs of columns that are no features.
    strength : str
        The inverse strength of the ridge: a number, inf for none, or auto, which takes what is best for rows that are left out.
    weights : str
        A column with what each row counts for.
    missing : str
        What a missing value is: refused, or the mean of the others with an indicator that it was missing.
    on_bad : str
        What becomes of rows with a missing or infinite value: an error, or they are left out and counted.
    valid : Path
        A file of rows that were not fitted to: their log-loss is printed too.
    workers : int
        How many threads read. Default: as many as there are cores.
    scheduler : str
        The address of a Dask scheduler (tcp://HOST:PORT) whose workers do the work; they must see the files under the same paths.
    dialect : Dialect
        How CSV files are written.
    """
    try:
        from sigmax.tables.fitting import Fitting, fit_files
        from sigmax.tables.one import refuse_input
    except ModuleNotFoundError as missing_one:
        fail(f"reading tables needs '{missing_one.name}'; install it with: pip install 'sigmax[cli]'")
    if not files:
        raise InputError("name the files to fit to, as in: sigmax fit train.csv --label y -o model.json")
    if output is not None and output.suffix != ".json":
        raise InputError(f"{output}: a model is written as JSON; let its name end in .json")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}")
    refuse_input(output, *files, valid)
    try:
        c = strength if strength == "auto" else float(strength)
    except ValueError:
        raise InputError(f"--C is '{strength}'; give a number above 0, inf or auto") from None
    asked = Fitting(
        label=label,
        features=tuple(features or ()),
        without=tuple(without or ()),
        C=c,  # type: ignore[arg-type]
        weights=weights,
        missing=missing,
        on_bad=on_bad,
        dialect=dialect,
    )
    with progress_bar(Path(files[0]).name if len(files) == 1 else f"{len(files)} sources") as progress:
        found = fit_files(
            files[0] if len(files) == 1 else list(files), asked, workers=workers, scheduler=scheduler, progress=progress
        )
    console = Console()
    console.print(_figures(found, _on_others(found, valid, label, dialect) if valid is not None else None))
    console.print(_strongest(found))
    warn(found.notes)
    if found.left_out:
        warn([f"{rows:,} rows were left out, {why}" for why, rows in found.left_out.items()])
    if output is not None:
        found.model.save(output)
        console.print(plain(f"Wrote {output}: sigmax score NEW --model {output} applies it"), soft_wrap=True)


def _on_others(found: Fitted, valid: Path, label: str | None, dialect: Dialect) -> str:
    """Return the log-loss of other rows with its interval, and how often the model is right."""
    from sigmax.tables.job import Job
    from sigmax.tables.measured import measure_files

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        found.model.save(path)
        try:
            evidence = measure_files(valid, Job(model=path, label=label, dialect=dialect), gain=False).evidence
        except InputError as error:
            raise InputError(f"--valid {valid}: {str(error).replace(f' {path}', '')}") from None
    loss, right = evidence.log_loss, evidence.accuracy
    return f"{loss.mean:.4f} nats (95 %: {loss.low:.4f} to {loss.high:.4f}), accuracy {right.mean:.4f}, on {evidence.rows:,} rows of {valid.name}"


def _figures(found: Fitted, on_others: str | None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    shares = [f"{name} ({100 * share:.3g} %)" for name, share in found.shares.items()]
    few = shares if len(shares) <= 8 else [*shares[:5], "...", *shares[-2:]]
    table.add_row("rows", f"{found.rows:,}")
    table.add_row("classes", plain(f"{len(shares)}: {', '.join(few)}"))
    table.add_row(
        "features", f"{len(found.model.features.names):,}, from {len(found.model.features.columns):,} columns"
    )
    read = "once" if found.passes == 1 else f"{found.passes} times"
    table.add_row("looked at", f"all rows {found.looks + 1} times; the files were read {read}")
    strength = (
        "none"
        if float("inf") == found.C
        else f"C = {found.C:.3g}" + (", the best for rows that are left out" if found.model.about["auto"] else "")
    )
    table.add_row("penalty", strength)
    sure = (
        f"{found.gap:.1g}"
        if found.gap == found.gap
        else f"about {found.decrement:.1g} (there is no bound without a penalty)"
    )
    table.add_row(
        "gap", f"{sure} nats a row above the best, at most" if found.gap == found.gap else f"{sure} nats a row"
    )
    shares_alone = -sum(s * _log(s) for s in found.shares.values())
    table.add_row(
        "log-loss", f"{found.log_loss:.4f} nats on these rows; the classes' shares alone give {shares_alone:.4f}"
    )
    if on_others is not None:
        table.add_row("on others", plain(on_others))
    return table


def _log(share: float) -> float:
    import math

    return math.log(share) if share > 0 else 0.0


def _strongest(found: Fitted) -> Table:
    """Show the weights that move the score most, for a typical change of their feature."""
    model = found.model
    effects = sorted(
        (
            (abs(w * found.deviations[j]), k, j)
            for k, row in enumerate(model.coefficients.tolist())
            for j, w in enumerate(row)
        ),
        reverse=True,
    )
    shown = [e for e in effects if e[0] > 0][:SHOWN]
    more = sum(e[0] > 0 for e in effects) - len(shown)
    title = (
        f"The strongest weights, of the logit of '{model.classes[1]}'" if model.is_binary else "The strongest weights"
    )
    table = Table(title=plain(title), title_justify="left", header_style="bold", box=None)
    for name in ("feature", *([] if model.is_binary else ["class"])):
        table.add_column(name, overflow="fold")
    for name in ("weight", "95 % interval", "by a deviation"):
        table.add_column(name, justify="right", no_wrap=True)
    z = NormalDist().inv_cdf(0.975)
    for _, k, j in shown:
        w = float(model.coefficients[k, j])
        error = None if model.errors is None else float(model.errors[k, j])
        interval = "" if error is None else f"{w - z * error:.4g} to {w + z * error:.4g}"
        names = [model.features.names[j], *([] if model.is_binary else [model.classes[k]])]
        table.add_row(*map(plain, (*names, f"{w:.4g}", interval, f"{w * found.deviations[j]:+.3g}")))
    if more > 0:
        table.caption, table.caption_justify = f"and {more:,} more", "left"
    return table
