"""The reader's own scores: a file that the command named or the browser sent."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sigmax
from sigmax.calibration import Evidence
from sigmax.errors import InputError
from sigmax.tables import AmbiguousError, Job, score_file
from sigmax.tables.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan

__all__ = ["OwnScores", "chosen_columns", "columns_of", "job_of", "read_scores"]

MOST_ROWS = 200_000  # that the page keeps


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

    def evidence(self, temperature: float = 1.0) -> Evidence:
        """Return what the probabilities are worth, counted."""
        found = Evidence(self.classes)
        found.count(self.probabilities(temperature), self.truth)
        return found

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
