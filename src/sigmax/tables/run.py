"""
Score many files: a folder, a glob, a list; in several threads or on a cluster.

Each file of results appears when it is complete. A folder of results holds a record, ``_sigmax.jsonl``, of the options and of the files
that are complete, so that a rerun goes on where the last one stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sigmax.tables.batches import output_schema
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.files import (
    Source,
    expand,
    is_named_like_a_file,
    output_for,
)
from sigmax.tables.reading import ScoreFile
from sigmax.tables.score import (
    Job,
    Summary,
    check_target,
    in_order,
    job_of,
    numbered,
    score_and_make,
    score_into,
    use_workers,
)
from sigmax.writing import aside, remove_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from sigmax.tables.columns import Kind, OnBad, Plan
    from sigmax.tables.dialect import Dialect

    Progress = Callable[[int, int], None]

__all__ = ["ScoredBatches", "score", "score_files"]

RECORD = "_sigmax.jsonl"


def score(
    source: Any,
    *,
    columns: Sequence[str] = (),
    label: str | None = None,
    labels: str | Path | None = None,
    kind: Kind | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    on_bad: OnBad | None = None,
    as_scores: bool = False,
    dialect: Dialect | None = None,
    workers: int | None = None,
) -> ScoredBatches:
    """
    Score a table and get it back in record batches, however large it is.

    Parameters
    ----------
    source : path, folder, glob, a list of these, or Arrow data
        Score files; or a pyarrow Table, RecordBatch or RecordBatchReader, or whatever gives an Arrow stream, such as a Polars
        frame or a DuckDB result.
    columns, label, labels, kind, classes, temperature, on_bad, as_scores, dialect, workers
        As for :func:`sigmax.tables.score_file`.

    Returns
    -------
    ScoredBatches
        An iterable of `pyarrow.RecordBatch`: the columns but the scores, then p_<class> for each class, prediction and confidence.
        Its `summary` counts what has been read so far.

    Raises
    ------
    TableError
        If the source, a column or an option cannot be used; when it is iterated over.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sigmax.tables import score
    >>> batches = score(pa.table({"id": [7], "s_cat": [2.0], "s_dog": [1.0]}), columns=["s_*"])
    >>> [batch.column_names for batch in batches]
    [['id', 'p_cat', 'p_dog', 'prediction', 'confidence']]
    >>> batches.summary.rows
    1
    """
    if not isinstance(
        source, str | Path | list | tuple | pa.RecordBatch | pa.Table | pa.RecordBatchReader
    ) and not hasattr(source, "__arrow_c_stream__"):
        raise TableError(f"cannot read a {type(source).__name__}; pass a path, a list of paths, or Arrow data")
    return ScoredBatches(
        source,
        job_of(columns, label, labels, kind, classes, temperature, on_bad, as_scores, dialect),
        workers,
    )


class ScoredBatches:
    """Record batches, scored as they are asked for; can be iterated over once for Arrow streams, else any number of times."""

    def __init__(self, source: Any, job: Job, workers: int | None) -> None:
        self._source = source
        self._job = job
        self._workers = workers
        self._summary: Summary | None = None

    @property
    def summary(self) -> Summary:
        """What has been read so far."""
        if self._summary is None:
            raise TableError("there is no summary before the first batch is asked for")
        return self._summary

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._summary = None
        with use_workers(self._workers) as pool:
            if isinstance(self._source, str | Path | list | tuple):
                job = self._job
                files, root = expand(self._source)
                if root is not None:
                    _refuse_labels_beside(job)
                    job = dataclasses.replace(job, root=str(root))
                for i, path in enumerate(files):
                    yield from self._file(path, job, pool)
                    if i == 0:
                        job = job.settled(self.summary.plan, path)
            else:
                _refuse_labels_beside(self._job)
                with _arrow_source(self._source) as source:
                    first = next((batch for batch in source.batches if batch.num_rows), None)
                    plan = self._job.plan(source, first, Path("the table"))
                    batches = itertools.chain([] if first is None else [first], source.batches)
                    yield from self._batches("", source, plan, batches, pool)

    def _file(self, path: Path, job: Job, pool: ThreadPoolExecutor | None) -> Iterator[pa.RecordBatch]:
        with ScoreFile(path, job).open() as (source, plan, batches):
            try:
                yield from self._batches(path.name, source, plan, batches, pool)
            except WrongTypeError as wrong:  # batches are gone out already, of another type
                raise TableError(
                    f"{path}: column '{wrong.column}' is read as {wrong.kind}, and then: {wrong.reason}; score the file "
                    "with score_file, which begins anew, or make it Parquet"
                ) from wrong

    def _batches(
        self, file: str, source: Source, plan: Plan, batches: Iterator[pa.RecordBatch], pool: ThreadPoolExecutor | None
    ) -> Iterator[pa.RecordBatch]:
        schema = output_schema(source.schema, plan)
        if self._summary is None:
            self._summary = Summary(plan)
        work = functools.partial(score_and_make, plan, schema, file)
        for scored, made in in_order(pool, work, numbered(batches)):
            self._summary.add(scored)
            yield made


def _refuse_labels_beside(job: Job) -> None:
    if job.labels is not None:
        raise TableError(
            f"the labels in {job.labels} belong to one file of scores, scored on this machine; give others theirs as a column"
        )


@contextlib.contextmanager
def _arrow_source(data: Any) -> Iterator[Source]:
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        data = data.to_reader(max_chunksize=65_536)
    elif not isinstance(data, pa.RecordBatchReader):
        if not hasattr(data, "__arrow_c_stream__"):
            raise TableError(f"cannot read a {type(data).__name__}; pass a path, a list of paths, or Arrow data")
        data = pa.RecordBatchReader.from_stream(data)
    yield Source(data.schema, iter(data), 1, lambda: 0)


def score_files(
    source: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    columns: Sequence[str] = (),
    label: str | None = None,
    labels: str | Path | None = None,
    kind: Kind | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    on_bad: OnBad | None = None,
    as_scores: bool = False,
    dialect: Dialect | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    head: int = 0,
    progress: Progress | None = None,
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
    columns, label, labels, kind, classes, temperature, on_bad, as_scores, dialect, head, progress
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
    job = job_of(columns, label, labels, kind, classes, temperature, on_bad, as_scores, dialect)
    files, root = expand(source)
    if root is not None or scheduler is not None:
        _refuse_labels_beside(job)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            pool = stack.enter_context(use_workers(workers))

            def run(path: Path, target: Path | None, job: Job, **options: Any) -> Summary:
                return score_into(path, target, job, pool, **options)
        else:
            from sigmax.tables.cluster import connect, score_on_cluster

            pool = None
            client = stack.enter_context(connect(scheduler))

            def run(path: Path, target: Path | None, job: Job, **options: Any) -> Summary:
                return score_on_cluster(client, path, target, job, **options)

        if root is None:
            target = None if output is None else Path(output)
            check_target(files[0], target)
            return run(files[0], target, job, head=head, progress=progress)
        sources = [source] if isinstance(source, str | Path) else list(source)
        folders = [Path(s) for s in sources if Path(s).is_dir()]
        target = None if output is None else Path(output)
        return _score_all(files, root, folders, target, job, pool, run, head, progress)


def _score_all(
    files: list[Path],
    root: Path,
    folders: list[Path],
    folder: Path | None,
    job: Job,
    pool: ThreadPoolExecutor | None,
    run: Callable[..., Summary],
    head: int,
    progress: Progress | None,
) -> Summary:
    record = None if folder is None else _Record(folder, root, job, folders)
    job = dataclasses.replace(job, root=str(root))
    plan = _plan_of(files[0], job)
    settled = job.settled(plan, files[0])
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
    along_files = pool is not None and len(files) >= 2 * pool._max_workers and folder is not None
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


def plan_file(
    path: Path,
    *,
    columns: Sequence[str],
    label: str | None,
    labels: str | Path | None,
    kind: Kind | None,
    classes: Sequence[str],
    temperature: float,
    on_bad: OnBad | None,
    as_scores: bool,
    dialect: Dialect,
) -> Plan:
    """Return what would be done with a file, or raise the error that its first rows meet; labels in another file are not looked at."""
    label = label if labels is None else None
    return _plan_of(path, job_of(columns, label, None, kind, classes, temperature, on_bad, as_scores, dialect))


def _plan_of(path: Path, job: Job) -> Plan:
    with ScoreFile(path, job).open() as (_, plan, _rows):
        return plan


class _Record:
    """
    Which files are complete, with what options, and what was counted in them.

    A line of JSON for the options, and one for each file, added when it is complete: the last line counts once its end is there.
    """

    def __init__(self, folder: Path, root: Path, job: Job, folders: list[Path]) -> None:
        if folder.exists() and not folder.is_dir():
            raise TableError(f"{folder} is a file; the results of several files go into a folder")
        if folder.resolve() == root.resolve():
            raise TableError(f"{folder} is the folder of the input; write the results to another")
        if folders and any(folder.resolve().is_relative_to(source.resolve()) for source in folders):
            raise TableError(
                f"{folder} lies in the folder of the input, where the next run would score it; write the results elsewhere"
            )
        if is_named_like_a_file(folder):
            raise TableError(f"{folder} is named like a file; the results of several files go into a folder")
        self._folder, self._root = folder, root
        self._path = folder / RECORD
        self._options = json.loads(_line({"options": dataclasses.asdict(job)}))["options"]
        self._files: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._read()
        remove_left(folder, below=True)

    def _read(self) -> None:
        try:
            *lines, torn = self._path.read_text(encoding="utf-8").split("\n")
            head, *entries = map(json.loads, lines)
            options = dict(head["options"])
            self._files = {entry["file"]: entry for entry in entries}
        except (ValueError, TypeError, KeyError):
            raise TableError(f"{self._path} is no record of a run; remove it, or name another folder") from None
        before, now = _flat(options), _flat(self._options)
        other = [k for k in now if before.get(k) != now[k]]
        if other:
            was = ", ".join(f"{k} = {before.get(k)!r}" for k in other)
            raise TableError(
                f"{self._folder} holds results made with {was}; name another folder, or remove {self._path}"
            )
        if torn:  # of a run that was killed while it wrote it
            self._write()

    def target_of(self, path: Path) -> Path:
        """Return where the results of a file go."""
        return output_for(path, self._root, self._folder)

    def _name(self, path: Path) -> str:
        return str(self.target_of(path).relative_to(self._folder))

    def state_of(self, path: Path) -> dict[str, Any] | None:
        """Return what was counted in a file that is complete, and has not changed since."""
        entry = self._files.get(self._name(path))
        target = self.target_of(path)
        if entry is None or not target.exists() or entry["source"] != _stamp(path):
            return None
        state: dict[str, Any] = entry["state"]
        return state if entry["size"] == target.stat().st_size else None

    def add(self, path: Path, state: dict[str, Any]) -> None:
        """Write down that a file is complete."""
        target = self.target_of(path)
        name = self._name(path)
        self._files[name] = {"file": name, "source": _stamp(path), "size": target.stat().st_size, "state": state}
        if self._path.exists():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(self._files[name]))
        else:
            self._write()

    def _write(self) -> None:
        with aside(self._path) as part:
            part.write_text("".join(map(_line, ({"options": self._options}, *self._files.values()))), encoding="utf-8")


def _line(value: Any) -> str:
    """Return a line of JSON, in which an infinite number, for which JSON has none, is a word."""
    return json.dumps(_worded(value), ensure_ascii=False, allow_nan=False) + "\n"


def _worded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _worded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with those of the dialect beside the others."""
    return {k: v for k, v in options.items() if k != "dialect"} | dict(options.get("dialect") or {})


def _stamp(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]
