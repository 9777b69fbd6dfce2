"""
Many score files: a folder, a glob, a list; in several threads or on a cluster.

Each file of results appears when it is complete. A folder of results holds a record, ``_sigmax.jsonl``, of the options and of the files
that are complete, so that a rerun goes on where the last one stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from sigmax.tables.files import expand
from sigmax.tables.job import job_of
from sigmax.tables.one import check_target, refuse_input, score_into
from sigmax.tables.reading import ScoreFile
from sigmax.tables.record import Record
from sigmax.tables.stream import refuse_labels_beside
from sigmax.tables.summary import Summary
from sigmax.tables.task import Task
from sigmax.tables.workers import in_order, use_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sigmax.tables.columns import Plan
    from sigmax.tables.job import Job, Options
    from sigmax.tables.workers import Workers

    Progress = Callable[[int, int], None]

__all__ = ["plan_file", "score_files"]


def score_files(
    source: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    job: Job | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    head: int = 0,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> Summary:
    """
    Score files, folders and globs into a folder, or one file into one.

    Parameters
    ----------
    source : path, or sequence of paths
        Files, folders (with all score files below them) and globs.
    output : path, optional
        For a single file: the file to write. Else a folder, which is made; results have the names of their sources. Without it
        only the summary is made.
    job, head, progress, **options
        As for :func:`sigmax.tables.score_file`; what is not given is settled by the first file and holds for all.
    workers : int, optional
        How many threads score; default: as many as there are cores.
    scheduler : str, optional
        The address of a Dask scheduler, as in ``tcp://10.0.0.5:8786``: the work is done there. Its workers must see the files under
        the same paths. The output is the same to the byte.

    Returns
    -------
    Summary
        Of all files, those included that an earlier run had completed.

    Raises
    ------
    TableError
        If a file, a column or an option cannot be used, or the folder holds results made with other options. What is complete
        by then stays, and a rerun goes on from there.
    """
    task = Task(job_of(job, options))
    files, root = expand(source)
    if root is not None or scheduler is not None:
        refuse_labels_beside(task.job)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            pool = stack.enter_context(use_workers(workers))

            def run(path: Path, target: Path | None, task: Task, **more: Any) -> Summary:
                return score_into(path, target, task, pool, **more)
        else:
            from sigmax.tables.cluster import connect, score_on_cluster

            pool = None
            client = stack.enter_context(connect(scheduler))

            def run(path: Path, target: Path | None, task: Task, **more: Any) -> Summary:
                return score_on_cluster(client, path, target, task, **more)

        if root is None:
            target = None if output is None else Path(output)
            check_target(files[0], target)
            refuse_input(target, task.job.labels, task.job.model, task.job.calibration)
            return run(files[0], target, task, head=head, progress=progress)
        sources = [source] if isinstance(source, str | Path) else list(source)
        folders = [Path(s) for s in sources if Path(s).is_dir()]
        target = None if output is None else Path(output)
        return _score_all(files, root, folders, target, task, pool, run, head, progress)


def _score_all(
    files: list[Path],
    root: Path,
    folders: list[Path],
    folder: Path | None,
    task: Task,
    pool: Workers | None,
    run: Callable[..., Summary],
    head: int,
    progress: Progress | None,
) -> Summary:
    record = None if folder is None else Record(folder, root, task.job, folders)
    task = dataclasses.replace(task, root=str(root))
    plan = _plan_of(files[0], task)
    settled = task.settled(plan, files[0])
    summary = Summary(plan)

    def one(path: Path) -> Summary | dict[str, Any]:
        done = None if record is None else record.state_of(path)
        if done is not None:
            return done
        target = None if record is None else record.target_of(path)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        if along_files:
            return score_into(path, target, settled, None)
        return run(path, target, settled, head=head if path == files[0] and folder is None else 0)

    # many files are shared out whole, few by their batches
    along_files = pool is not None and len(files) >= 2 * pool.count and folder is not None
    results = in_order(pool if along_files else None, one, files)
    for i, (path, result) in enumerate(zip(files, results, strict=True)):
        state = result if isinstance(result, dict) else result.state()
        if isinstance(result, Summary):
            summary.head += result.head[: head - len(summary.head)]
            if record is not None:
                record.add(path, state)
        summary.merge(state)
        if progress is not None:
            progress(i + 1, len(files))
    return summary


def plan_file(path: Path, job: Job) -> Plan:
    """Return what would be done with a file, or raise the error that its first rows meet; labels in another file are not looked at."""
    return _plan_of(path, Task(job if job.labels is None else dataclasses.replace(job, label=None, labels=None)))


def _plan_of(path: Path, task: Task) -> Plan:
    with ScoreFile(path, task).open() as (_, plan, _rows):
        return plan
