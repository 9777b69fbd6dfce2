"""The model that the command named: its weights, and what it makes of one row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigmax import plots
from sigmax.errors import InputError
from sigmax.explore.shown import chart
from sigmax.links import sigmoid
from sigmax.rows import softmax
from sigmax.tables.explained import explained_row
from sigmax.tables.model import Model

if TYPE_CHECKING:
    from sigmax.tables import Job

__all__ = ["Weighed", "model_of", "weighed", "weights_picture"]


def model_of(job: Job) -> Model | None:
    """Return the model of a job, if it has one that can be read; where it cannot, reading the file says so."""
    try:
        return None if job.model is None else Model.load(job.model)
    except (InputError, OSError):
        return None


def weights_picture(model: Model) -> Any:
    """Draw a model's weights."""
    return chart(
        plots.weights_chart(model.features.names, model.coefficients, model.errors, model.classes, model.deviations)
    )


@dataclass(frozen=True)
class Weighed:
    """One row before a model: a picture of its sums, and the figures that they lead to."""

    picture: Any
    figures: dict[str, float]
    note: str


def weighed(job: Job, file: str, number: int) -> tuple[Weighed | None, str]:
    """Return what a model makes of a row, or None and what is wrong with it."""
    if job.model is None:
        raise ValueError("the job has no model")
    try:
        found = explained_row(job.model, f"{file}:{number}", job)
    except (InputError, OSError) as error:
        return None, str(error).replace(f"{Path(file).parent}/", "")
    picture = chart(plots.terms_chart(found.sums))
    if len(found.scores) == 1:
        p = float(sigmoid(found.scores[0]))
        shown = {
            "z": found.sums[0][2],
            f"P({found.classes[1]})": p,
            f"P({found.classes[0]})": float(sigmoid(-found.scores[0])),
        }
    else:
        shown = {f"P({c})": float(p) for c, p in zip(found.classes, softmax(found.scores), strict=True)}
    return Weighed(picture, shown, found.note), ""
