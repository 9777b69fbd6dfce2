"""
Score a file larger than memory should ever hold: ``python -m benchmarks volume [--gigabytes 5] [--keep-in FOLDER]``.

Makes a Parquet file of random scores (not kept), scores it with ``sigmax score``, prints time and peak memory, starts once more, kills
that run half way, and looks for an output file. Then scores a tenth of it in turns with pyarrow reading and writing the same file, batch
by batch and with no dictionary of numbers, compressed as pyarrow does it and not at all, and prints how fast scoring is beside both.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigmax.tables import score_file

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = 10
ROWS = 1 << 20  # in a row group


def make_file(path: Path, gigabytes: float, rows_together: int = ROWS) -> int:
    """Write random scores, doubles that do not compress, in row groups of a million rows or so; return the number of rows."""
    rng = np.random.default_rng(0)
    names = [f"score_{k}" for k in range(CLASSES)] + ["label"]
    types = [pa.float64()] * CLASSES + [pa.int64()]
    schema = pa.schema(list(zip(names, types, strict=True)))
    rows = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        while rows == 0 or path.stat().st_size < gigabytes * 1e9:
            scores = rng.normal(scale=3, size=(CLASSES, rows_together))
            writer.write_table(pa.table([*scores, scores.argmax(axis=0)], schema=schema))
            rows += rows_together
    return rows


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for `process`; return its peak resident memory in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"sigmax score ended with status {process.returncode}")
    return usage.ru_maxrss * 1024


def start(source: Path, target: Path) -> subprocess.Popen[bytes]:
    """Start ``sigmax score`` on the file."""
    command = [sys.executable, "-m", "sigmax", "score", str(source), "--label", "label", "-o", str(target)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def beside_pyarrow(folder: Path, gigabytes: float, rounds: int = 7) -> dict[str, float]:
    """Return how fast a file is scored, as a part of the speed at which pyarrow reads and writes it on the same cores, by compression."""
    source, target = folder / "part.parquet", folder / "out.parquet"
    make_file(source, gigabytes)

    def copy(compression: str) -> None:
        with (
            pq.ParquetFile(source) as read,
            pq.ParquetWriter(target, read.schema_arrow, use_dictionary=["label"], compression=compression) as write,
        ):
            for batch in read.iter_batches(65_536):
                write.write_batch(batch)

    works: dict[str, Callable[[], object]] = {
        "snappy": lambda: copy("snappy"),
        "none": lambda: copy("none"),
        "score": lambda: score_file(source, label="label", output=target),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for i in range(rounds + 1):
        for name in list(works) if i % 2 else reversed(works):
            target.unlink(missing_ok=True)
            begin = time.perf_counter()
            works[name]()
            taken[name].append(time.perf_counter() - begin)
    source.unlink()
    pairs = {name: zip(taken[name][1:], taken["score"][1:], strict=True) for name in ("snappy", "none")}
    return {name: statistics.median(copied / scored for copied, scored in pair) for name, pair in pairs.items()}


def main(gigabytes: float = 5.0, keep_in: str | None = None) -> None:
    """Run the measurement in a temporary folder, or in `keep_in`."""
    with tempfile.TemporaryDirectory(dir=keep_in) as folder:
        source, target = Path(folder, "scores.parquet"), Path(folder, "probabilities.parquet")
        rows = make_file(source, gigabytes)
        size = source.stat().st_size
        begin = time.perf_counter()
        peak = peak_of(start(source, target))
        seconds = time.perf_counter() - begin
        written = pq.read_metadata(target).num_rows
        print(
            f"{size / 1e9:.2f} GB, {rows:,} rows of {CLASSES} classes: {seconds:.0f} s ({size / seconds / 1e6:.0f} MB/s), peak memory {peak / 1e6:.0f} MB"
        )
        print(f"rows written: {written:,}")
        target.unlink()

        process = start(source, target)
        while not any(f.stat().st_size > 1e6 for f in Path(folder).glob(".*.part")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = sorted(f.name for f in Path(folder).iterdir() if f != source)
        print(
            f"after kill -9 in the middle: output file {'there' if target.exists() else 'not there'}; left in the folder: {left}"
        )
        source.unlink()
        speed = beside_pyarrow(Path(folder), min(gigabytes / 10, 0.5))
        print(
            f"scoring runs at {speed['snappy']:.2f} of the speed of pyarrow reading and writing the same file (median of 7), "
            f"and at {speed['none']:.2f} where that does not compress, as scoring does not"
        )
        if written != rows or target.exists() or peak >= 500e6 or speed["snappy"] < 0.8:
            sys.exit("the volume run missed its mark")
