"""A row of a table before a model, term by term."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sigmax.tables.columns import Plan
from sigmax.tables.errors import TableError
from sigmax.tables.job import Job
from sigmax.tables.reading import ScoreFile
from sigmax.tables.task import Task

__all__ = ["ExplainedRow", "explained_row"]

MOST_TERMS = 30


@dataclass(frozen=True)
class ExplainedRow:
    """
    A row before a model.

    Attributes
    ----------
    sums : list of (str, list of (str, float, float), float)
        Weighted sums: what each is of, its terms (feature, value, weight), the largest first and the constant last, and what they add up to.
    scores : list of float
        The logit of the second of two classes, or a score for each.
    classes : list of str
    note : str
        What else there is to say.
    """

    sums: list[tuple[str, list[tuple[str, float, float]], float]]
    scores: list[float]
    classes: list[str]
    note: str = ""


def explained_row(path: Path, row: str, job: Job | None = None) -> ExplainedRow:
    """
    Return what a model makes of one row of a file.

    Parameters
    ----------
    path : Path
        The model.
    row : str
        The file and the number of the row from 1, as in ``new.csv:7``.
    job : Job, optional
        How the file is read, where more than the model says so.

    Raises
    ------
    TableError
        If there is no such row, or it cannot be scored.
    """
    name, colon, number = row.rpartition(":")
    if not colon or not number.isdecimal() or int(number) < 1:
        raise TableError(f"the row is '{row}'; give a file and the number of a row from 1, as in new.csv:7")
    wanted, seen = int(number), 0
    with ScoreFile(Path(name), Task(dataclasses.replace(job or Job(), model=path))).open() as (_, plan, batches):
        for batch in batches:
            if wanted <= seen + batch.num_rows:
                return _explained(plan, batch.slice(wanted - 1 - seen, 1), f"{Path(name).name}, row {wanted}")
            seen += batch.num_rows
    raise TableError(f"{name} has {seen:,} rows; there is no row {wanted:,}")


def _explained(plan: Plan, batch: pa.RecordBatch, where: str) -> ExplainedRow:
    model = plan.model
    if model is None:
        raise TableError("there is no model")
    encoded = model.encode(batch)
    for told, found in (("is missing", encoded.missing), ("is infinite", encoded.odd)):
        for name in found:
            raise TableError(f"{where}: '{name}' {told}, and the row has no score")
    scores = model.scores(encoded.matrix)[:, 0]
    x = encoded.matrix[:, 0]
    order = range(len(scores)) if model.is_binary else [int(np.argmax(scores))]
    sums = []
    for k in order:
        terms = [
            (n, float(v), float(w)) for n, v, w in zip(model.features.names, x, model.coefficients[k], strict=True)
        ]
        counted = sorted((t for t in terms if t[1] * t[2]), key=lambda t: -abs(t[1] * t[2]))
        shown = counted[:MOST_TERMS]
        if len(counted) > MOST_TERMS:
            shown.append(
                (f"{len(counted) - MOST_TERMS} smaller ones", 1.0, sum(v * w for _, v, w in counted[MOST_TERMS:]))
            )
        of = (
            f"the logit of '{model.classes[1]}'"
            if model.is_binary
            else f"the score of '{model.classes[k]}', the largest"
        )
        sums.append((f"{where}: {of}", [*shown, ("(constant)", 1.0, float(model.intercept[k]))], float(scores[k])))
    note = ""
    final = scores
    if plan.calibrator is not None:
        calibrated = plan.calibrator.calibrated(scores if model.is_binary else scores[None])
        final = np.atleast_1d(np.asarray(calibrated).reshape(-1))
        note = f"Calibrated by {plan.calibrator.method_}: {', '.join(f'{v:.4f}' for v in final)}"
    if encoded.unknown:
        note += (
            f"{'. ' if note else ''}The model does not know the word in {', '.join(encoded.unknown)}: it counts as none"
        )
    return ExplainedRow(sums, [float(v) for v in final], model.classes, note)
