"""``sigmax plot``: pictures of the functions, of scores, of a score file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sigmax.cli.app import FOUND, UNDERSTAND, Asked, app, examples
from sigmax.cli.shown import say_how
from sigmax.cli.terminal import Console, fail, plain, progress_bar
from sigmax.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["plot"]

Axis = Literal["probability", "logit"]
Picture = Literal[
    "sigmoid",
    "odds",
    "softmax",
    "sigmoid-each",
    "temperature",
    "accuracy",
    "confidence",
    "reliability",
    "weights",
    "terms",
]


@app.command(
    group=UNDERSTAND,
    help_epilogue=examples(
        "sigmax plot softmax 2.0 1.0 0.1 --classes cat dog fox -o softmax.svg",
        "sigmax plot reliability scores.csv --label label -o reliability.png",
        "sigmax plot terms new.csv:7 --model model.json -o row.png",
    ),
)
def plot(
    name: Picture,
    /,
    *values: str,
    output: Annotated[Path, Parameter(alias="-o")],
    axis: Axis = "probability",
    job: Asked = FOUND,
    dark: bool = False,
    scale: float = 2.0,
) -> None:
    """
    Draw a picture: of the functions, of your scores, or of a score file.

    sigmoid [LOGIT], odds [PROBABILITY], and softmax, sigmoid-each and temperature [SCORES] explain; accuracy shows where textbook
    formulas go wrong; confidence FILE and reliability FILE --label COLUMN show what a model's probabilities are worth (of scores, or of
    probabilities as they are); weights MODEL shows those of a regression that sigmax fit wrote, and terms FILE:ROW --model MODEL what one row's features
    add to its score.

    Parameters
    ----------
    name : str
        Which picture.
    values : str
        The numbers, the score file or the row to draw.
    output : Path
        Where to write it; the ending names the format: .png, .svg, .pdf or .html, which opens without network.
    axis : {'probability', 'logit'}
        The scale of a reliability diagram: on that of the logit probabilities near 0 and 1 lie apart.
    dark : bool
        Draw for a dark page.
    scale : float
        Pixels of a .png for each pixel of the picture.
    """
    try:
        from sigmax import plots
    except ModuleNotFoundError as missing:
        fail(f"pictures need '{missing.name}'; install it with: pip install 'sigmax[plot]'")

    plots.check_ending(output)
    if name in ("confidence", "reliability"):
        if len(values) != 1:
            raise InputError(f"give one score file, as in: sigmax plot {name} scores.csv --label label -o {output}")
        if name == "reliability" and job.label is None and job.labels is None:
            raise InputError(
                "a reliability diagram needs the true classes: name their column with --label, or their file with --labels"
            )
        from sigmax.tables import score_file
        from sigmax.tables.job import told_apart
        from sigmax.tables.measured import measure_files

        with progress_bar(values[0]) as progress:
            if name == "reliability":
                found = measure_files(values[0], job, progress=progress, gain=False)
                summary, chart = found.summary, plots.reliability_chart(found.evidence, axis=axis)
            else:
                summary = score_file(Path(values[0]), told_apart(job), head=0, progress=progress)
                counts = summary.by_logit[::-1] if summary.labelled else (summary.by_confidence,)
                chart = plots.confidence_chart(*counts)
        say_how(summary, summary.plan.form)
    elif name == "weights":
        if len(values) != 1:
            raise InputError(f"give one model, as in: sigmax plot weights model.json -o {output}")
        from sigmax.tables.model import Model

        model = Model.load(values[0])
        chart = plots.weights_chart(
            model.features.names, model.coefficients, model.errors, model.classes, model.deviations
        )
    elif name == "terms":
        if len(values) != 1 or job.model is None:
            raise InputError(
                f"give a row and a model, as in: sigmax plot terms new.csv:7 --model model.json -o {output}"
            )
        from sigmax.tables.explained import explained_row

        chart = plots.terms_chart(explained_row(job.model, values[0], job).sums)
    else:
        told = [option for option in ("columns", "label", "labels", "kind", "on_bad") if getattr(job, option)]
        if told:
            raise InputError(f"'{name}' draws numbers; --{told[0].replace('_', '-')} is for pictures of a score file")
        chart = _picture(plots, name, _numbers(values), job.classes, job.temperature)
    plots.save(plots.on_dark(chart) if dark else chart, output, scale=scale)
    Console().print(plain(f"Wrote {output}"), soft_wrap=True)


def _numbers(values: Sequence[str]) -> list[float]:
    found = []
    for word in values:
        try:
            found.append(float(word))
        except ValueError:
            raise InputError(f"'{word}' is not a number; this picture draws numbers") from None
    return found


def _picture(plots: Any, name: str, numbers: list[float], classes: Sequence[str], temperature: float) -> Any:
    """Draw one of the pictures that explain."""
    one = {"sigmoid": plots.sigmoid_curve, "odds": plots.odds_and_log_odds}
    if name in one:
        if len(numbers) > 1:
            raise InputError(f"'{name}' marks one number; there are {len(numbers)}")
        return one[name](*numbers)
    if name == "accuracy":
        if numbers:
            raise InputError("'accuracy' takes no numbers")
        return plots.formula_errors()
    scores = numbers or [2.0, 1.0, 0.1]
    if name == "softmax":
        return plots.softmax_bars(scores, classes or None, temperature=temperature)
    return {"sigmoid-each": plots.sigmoid_each, "temperature": plots.temperature_curves}[name](scores, classes or None)
