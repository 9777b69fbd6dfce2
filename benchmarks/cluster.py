"""
Kill a worker in the middle of a run on a cluster: ``python -m benchmarks cluster [--gigabytes 0.5]``.

Starts a scheduler and two workers in processes of their own, scores a Parquet file on them, ends one worker with SIGKILL after a few
parts, and compares the output, byte by byte, with that of this process alone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.volume import make_file


def main(gigabytes: float = 0.5) -> None:
    """Run it."""
    from distributed import LocalCluster

    from sigmax.tables import score_files

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        source, here, there = (Path(folder, name) for name in ("scores.parquet", "here.parquet", "there.parquet"))
        rows = make_file(source, gigabytes, rows_together=1 << 17)
        begin = time.perf_counter()
        score_files(source, here, label="label")
        alone = time.perf_counter() - begin
        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster:
            killed: list[int] = []

            def progress(done: int, parts: int) -> None:
                if done == parts // 3 and not killed:
                    worker: Any = next(iter(cluster.workers.values()))
                    killed.append(worker.pid)
                    os.kill(worker.pid, signal.SIGKILL)
                    print(f"killed worker process {worker.pid} after {done} of {parts} parts")

            begin = time.perf_counter()
            summary = score_files(source, there, label="label", scheduler=cluster.scheduler_address, progress=progress)
            spread = time.perf_counter() - begin
        same = here.read_bytes() == there.read_bytes()
        written = pq.read_metadata(there).num_rows
        labels = [pq.read_table(path, columns=["label"])["label"].to_numpy() for path in (source, there)]
        in_place = bool(np.array_equal(*labels))
        print(f"{rows:,} rows: {alone:.1f} s in this process, {spread:.1f} s on the cluster; {written:,} rows written")
        print(
            f"every row once and in its place: {'yes' if in_place else 'no'}; the same bytes: {'yes' if same else 'no'}"
        )
        if not (killed and same and in_place and written == rows == summary.rows):
            sys.exit("the run on the cluster missed its mark")
