"""
Score on a Dask cluster: its workers score parts of a file, the client writes them in order.

What is written is made of the same batches as by one process, and so the same to the byte. A part that is lost with its worker is done
again by another, and each is written once, by the client, when its turn has come.
"""

from __future__ import annotations

import collections
import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sigmax.tables.batches import output_schema
from sigmax.tables.errors import TableError, WrongTypeError
from sigmax.tables.files import format_of
from sigmax.tables.one import numbered, score_and_make
from sigmax.tables.reading import ScoreFile
from sigmax.tables.sinks import open_sink
from sigmax.tables.sources import open_source, parts_of
from sigmax.tables.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sigmax.tables.columns import Plan
    from sigmax.tables.one import Merging
    from sigmax.tables.task import Task

__all__ = ["connect", "in_order_there", "score_on_cluster"]


@contextlib.contextmanager
def connect(address: str) -> Iterator[Any]:
    """Connect to the scheduler at `address`."""
    try:
        from distributed import Client
    except ModuleNotFoundError as missing:
        raise TableError(f"a cluster needs '{missing.name}'; install it with: pip install 'sigmax[cluster]'") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise TableError(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        yield client
    finally:
        client.close()


def score_part(
    path: Path,
    part: list[int] | None,
    first_row: int,
    plan: Plan,
    schema: pa.Schema | None,
    types: dict[str, pa.DataType],
    keys: dict[str, str],
    observer: Callable[[Plan], Merging] | None = None,
) -> tuple[list[bytes], dict[str, Any], Merging | None]:
    """Score one part of a file; return its batches as they travel, what was counted, and what saw them."""
    summary, made = Summary(plan), []
    watching = None if observer is None else observer(plan)
    with open_source(path, types, part, plan.dialect, keys) as source:
        for item in numbered(source.batches, first_row):
            scored, batch = score_and_make(plan, schema, path.name, item)
            summary.add(scored)
            if watching is not None:
                watching.see(scored)
            if batch is not None:
                made.append(batch.serialize().to_pybytes())
    return made, summary.state(), watching


def _first_rows(path: Path, parts: list[list[int] | None]) -> list[int]:
    """Return the number of the first row of each part."""
    if parts[:1] == [None] or not parts:
        return [1] * len(parts)
    metadata = pq.read_metadata(path)
    rows, first = 1, []
    for part in parts:
        first.append(rows)
        rows += sum(metadata.row_group(i).num_rows for i in part or ())
    return first


def score_on_cluster(
    client: Any,
    path: Path,
    target: Path | None,
    task: Task,
    *,
    head: int = 0,
    progress: Callable[[int, int], None] | None = None,
    observer: Callable[[Plan], Merging] | None = None,
) -> Summary:
    """Score one file on a cluster; see `sigmax.tables.score_files`. An observer of each part sees it there, and is merged here."""
    reading = ScoreFile(path, task)
    while True:
        try:
            with reading.open() as (source, plan, _):
                read_schema = source.schema_of_results(target)
            text = target is not None and format_of(target) == "csv"
            schema = output_schema(read_schema, plan, text=text, shown=target is None)
            with contextlib.ExitStack() as stack:
                sink = None
                if target is not None:
                    sink = stack.enter_context(open_sink(target, schema, [f"p_{c}" for c in plan.classes]))
                summary = Summary(plan)
                parts = parts_of(path)
                wanted = schema if sink is not None or head else None
                watching = None if observer is None else observer(plan)
                calls = [
                    (path.absolute(), part, row, plan, wanted, dict(reading.types), reading.keys, observer)
                    for part, row in zip(parts, _first_rows(path, parts), strict=True)
                ]
                for i, (made, state, seen) in enumerate(in_order_there(client, score_part, calls)):
                    summary.merge(state)
                    if watching is not None and seen is not None:
                        watching.merge(seen)
                    for data in made:
                        batch = pa.ipc.read_record_batch(pa.py_buffer(data), schema)
                        if len(summary.head) < head:
                            summary.head += batch.slice(0, head - len(summary.head)).to_pylist()
                        if sink is not None:
                            sink.write_batch(batch)
                    if progress is not None:
                        progress(i + 1, len(parts))
                return summary
        except WrongTypeError as wrong:
            reading.widen(wrong)


def in_order_there(client: Any, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Run calls on the cluster, a few ahead of the one whose turn it is, and return their results in order."""
    run = uuid.uuid4().hex
    ahead: collections.deque[Any] = collections.deque()
    try:
        for i, call in enumerate(calls):
            ahead.append(client.submit(function, *call, key=f"sigmax-{run}-{i}", retries=3))
            if len(ahead) > 2 * max(sum(client.nthreads().values()), 1):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        client.cancel(list(ahead))
