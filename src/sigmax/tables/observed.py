"""Files looked at and not written: one observer for all of their rows, whoever has read them."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from sigmax.tables.files import expand
from sigmax.tables.one import Merging, score_into
from sigmax.tables.stream import refuse_labels_beside
from sigmax.tables.task import Task
from sigmax.tables.workers import use_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job
    from sigmax.tables.summary import Summary

__all__ = ["observe_files"]


Looking = TypeVar("Looking", bound=Merging)


def observe_files(
    source: str | Path | Sequence[str | Path],
    job: Job,
    make: Callable[[Plan], Looking],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Looking, Summary]:
    """
    Look at every row of files, folders and globs, in one pass.

    Parameters
    ----------
    source : path, or sequence of paths
        Files, folders (with all score files below them) and globs.
    job : Job
        What of them are the scores; what is not said is settled by the first file and holds for all.
    make : callable
        Makes an observer of a file, or of a part of it; on a cluster it travels there.
    workers, scheduler, progress
        As for :func:`sigmax.tables.score_files`.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used.
    """
    task = Task(job)
    files, root = expand(source)
    if root is not None or scheduler is not None:
        refuse_labels_beside(job)
    if root is not None:
        task = dataclasses.replace(task, root=str(root))
    whole: Looking | None = None
    summary: Summary | None = None
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            pool = stack.enter_context(use_workers(workers))

            def look(path: Path, **more: Any) -> Summary:
                return score_into(path, None, task, pool, **more)
        else:
            from sigmax.tables.cluster import connect, score_on_cluster

            client = stack.enter_context(connect(scheduler))

            def look(path: Path, **more: Any) -> Summary:
                return score_on_cluster(client, path, None, task, **more)

        for i, path in enumerate(files):
            found: list[Looking] = []

            def observer(plan: Plan, found: list[Looking] = found) -> Looking:
                found[:] = [make(plan)]
                return found[0]

            one = look(path, progress=progress if root is None else None, observer=observer)
            if whole is None or summary is None:
                whole, summary, task = found[0], one, task.settled(one.plan, path)
            else:
                whole.merge(found[0])
                summary.merge(one.state())
            if progress is not None and root is not None:
                progress(i + 1, len(files))
    assert whole is not None  # noqa: S101 - there is a file
    assert summary is not None  # noqa: S101
    return whole, summary
