"""The scores and labels of files, kept: for what has to look at all of them more than once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sigmax.tables.errors import TableError
from sigmax.tables.observed import observe_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job
    from sigmax.tables.summary import Summary

__all__ = ["Collected", "collect"]


@dataclass(frozen=True)
class Collected:
    """
    The rows of files that have scores and a label.

    Attributes
    ----------
    scores : ndarray of shape (rows, classes), or (rows,) for a sigmoid
    labels : ndarray of int of shape (rows,)
        Class numbers.
    plan : Plan
        What of the file was taken for what.
    summary : Summary
    """

    scores: NDArray[np.float64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    plan: Plan
    summary: Summary


class _Collector:
    """Keeps the rows of each batch that have scores and a label."""

    def __init__(self, plan: Plan) -> None:
        if plan.kind == "multilabel":
            raise TableError("these are scores of many labels a row: a calibrator takes one class a row")
        if plan.label is None:
            raise TableError("name the column of the true class with --label, or its file with --labels")
        self.plan = plan
        self.scores: list[NDArray[np.float64]] = []
        self.labels: list[NDArray[np.int64]] = []

    def see(self, seen: ScoredBatch) -> None:
        """Keep what a batch has."""
        good = ~seen.bad & (seen.labels >= 0)
        self.scores.append(seen.scores[:, good].T.astype(np.float64))
        self.labels.append(seen.labels[good])

    def merge(self, other: _Collector) -> None:
        """Keep what another one has kept."""
        self.scores += other.scores
        self.labels += other.labels


def collect(
    source: str | Path | Sequence[str | Path],
    job: Job,
    *,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Collected:
    """
    Read all scores and labels of files.

    Parameters
    ----------
    source : path, or sequence of paths
        Files, folders (with all score files below them) and globs.
    job : Job
        What of them are the scores, and which column holds the true class.
    scheduler, progress
        As for :func:`sigmax.tables.score_files`.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used, or no row has scores and a label.
    """
    kept, summary = observe_files(source, job, _Collector, scheduler=scheduler, progress=progress)
    labels = np.concatenate(kept.labels) if kept.labels else np.empty(0, np.int64)
    if not labels.size:
        name = source if isinstance(source, str | Path) else source[0] if len(source) == 1 else "the files"
        raise TableError(f"{name}: no row has scores and a label")
    scores = np.concatenate(kept.scores)
    return Collected(scores[:, 0] if kept.plan.kind == "sigmoid" else scores, labels, kept.plan, summary)
